//! Reading one document: owns the parsers and the positions of what they refuse. It must not know
//! layers.

use serde::de::DeserializeOwned;

use super::{DocumentError, Format};

/// Checks that `bytes` are a document of `format`.
///
/// # Errors
/// [`DocumentError::Syntax`], and what stands where nothing can be unset.
pub fn check(format: Format, bytes: &[u8]) -> Result<(), DocumentError> {
    match format {
        Format::Text => Ok(()),
        Format::Json | Format::Toml => {
            let document = super::layer(format, bytes)?;
            super::references(&document).map(|_| ())
        }
    }
}

/// Deserialises a document.
///
/// # Errors
/// [`DocumentError`].
pub fn read<T: DeserializeOwned>(format: Format, bytes: &[u8]) -> Result<T, DocumentError> {
    match format {
        Format::Text => Err(DocumentError::Unstructured),
        Format::Json => serde_json::from_slice(bytes).map_err(|error| {
            if error.is_data() {
                let (line, column) = (error.line(), error.column());
                DocumentError::Shape { line, column }
            } else {
                json_error(&error)
            }
        }),
        Format::Toml => {
            let text = utf8(bytes)?;
            toml(bytes)?;
            toml::from_str(text).map_err(|error| {
                let (line, column) = position(text, error.span().map_or(0, |span| span.start));
                DocumentError::Shape { line, column }
            })
        }
    }
}

pub(super) fn json(bytes: &[u8]) -> Result<serde_json::Value, DocumentError> {
    serde_json::from_slice(bytes).map_err(|error| json_error(&error))
}

fn json_error(error: &serde_json::Error) -> DocumentError {
    DocumentError::Syntax {
        format: "json",
        line: error.line(),
        column: error.column(),
    }
}

pub(super) fn toml(bytes: &[u8]) -> Result<toml::Table, DocumentError> {
    let text = utf8(bytes)?;
    toml::from_str(text).map_err(|error| {
        let (line, column) = position(text, error.span().map_or(0, |span| span.start));
        DocumentError::Syntax {
            format: "toml",
            line,
            column,
        }
    })
}

pub(super) fn utf8(bytes: &[u8]) -> Result<&str, DocumentError> {
    std::str::from_utf8(bytes).map_err(|error| {
        let valid = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let (line, column) = position(std::str::from_utf8(valid).unwrap_or_default(), valid.len());
        DocumentError::Syntax {
            format: "toml",
            line,
            column,
        }
    })
}

fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}
