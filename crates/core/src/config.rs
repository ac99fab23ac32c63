//! Config documents: owns their formats, parsing and the merge of environment layers.
//! It must not know where a document comes from. Errors give a position, never content.

use std::str::FromStr;

use serde::de::DeserializeOwned;

/// The format of a config document's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Format {
    /// Any bytes: never merged, the nearest environment's document is the whole document.
    Text = 1,
    /// JSON; objects merge key by key.
    Json = 2,
    /// TOML; tables merge key by key.
    Toml = 3,
}

impl Format {
    pub(crate) const ALL: [Self; 3] = [Self::Text, Self::Json, Self::Toml];

    /// `text`, `json` or `toml`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
            Self::Toml => "toml",
        }
    }
}

/// The word is not a format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a format is one of text, json, toml")]
pub struct FormatError;

impl FromStr for Format {
    type Err = FormatError;
    fn from_str(text: &str) -> Result<Self, FormatError> {
        Self::ALL
            .into_iter()
            .find(|format| format.as_str() == text)
            .ok_or(FormatError)
    }
}

/// Why a document cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// It does not parse.
    #[error("the document is not valid {format} at line {line}, column {column}")]
    Syntax {
        /// The format it should have.
        format: &'static str,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
    /// It parses but does not fit the type asked for.
    #[error("the document does not fit the type asked for, near line {line}, column {column}")]
    Shape {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
    /// Text has no structure to read a type from.
    #[error("the document is text: only json and toml documents have keys")]
    Unstructured,
    /// A JSON layer holds `null`, which TOML cannot say.
    #[error("a json layer holds a null, which a toml document cannot carry: remove the key")]
    Null,
}

/// Checks that `bytes` are a document of `format`.
///
/// # Errors
/// [`DocumentError::Syntax`].
pub fn check(format: Format, bytes: &[u8]) -> Result<(), DocumentError> {
    match format {
        Format::Text => Ok(()),
        Format::Json => json(bytes).map(|_| ()),
        Format::Toml => toml(bytes).map(|_| ()),
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

/// Merges `layers`, nearest first, into one document of the nearest layer's format: tables merge
/// key by key, anything else replaces what is farther away. A single layer is returned as it is.
///
/// # Errors
/// [`DocumentError`].
pub fn merge(layers: &[(Format, &[u8])]) -> Result<Vec<u8>, DocumentError> {
    let count = merged_layers(layers.iter().map(|(format, _)| *format));
    let merged = layers.get(..count).unwrap_or(layers);
    match merged {
        [] => Ok(Vec::new()),
        [(_, only)] => Ok(only.to_vec()),
        [(Format::Toml, _), ..] => {
            let mut whole = toml::Table::new();
            for (format, bytes) in merged.iter().rev() {
                let layer = match format {
                    Format::Json => toml::Table::try_from(json(bytes)?).map_err(|_| DocumentError::Null)?,
                    _ => toml(bytes)?,
                };
                merge_toml(&mut whole, layer);
            }
            toml::to_string(&whole)
                .map(String::into_bytes)
                .map_err(|_| DocumentError::Null)
        }
        _ => {
            let mut whole = serde_json::Value::Object(serde_json::Map::new());
            for (format, bytes) in merged.iter().rev() {
                let layer = match format {
                    Format::Toml => toml_to_json(toml::Value::Table(toml(bytes)?)),
                    _ => json(bytes)?,
                };
                merge_json(&mut whole, layer);
            }
            Ok(whole.to_string().into_bytes())
        }
    }
}

/// How many of the layers, nearest first, become part of the merged document: text has no keys to
/// merge, so that it is the whole document when it is the nearest, and otherwise hides itself and
/// all that is farther away.
pub(crate) fn merged_layers(formats: impl ExactSizeIterator<Item = Format>) -> usize {
    let all = formats.len();
    let mut formats = formats;
    let text = formats.position(|format| format == Format::Text);
    text.map_or(all, |text| text.max(1))
}

fn merge_toml(into: &mut toml::Table, layer: toml::Table) {
    for (key, value) in layer {
        match (into.get_mut(&key), value) {
            (Some(toml::Value::Table(below)), toml::Value::Table(above)) => merge_toml(below, above),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

fn merge_json(into: &mut serde_json::Value, layer: serde_json::Value) {
    match (into, layer) {
        (serde_json::Value::Object(below), serde_json::Value::Object(above)) => {
            for (key, value) in above {
                merge_json(below.entry(key).or_insert(serde_json::Value::Null), value);
            }
        }
        (into, layer) => *into = layer,
    }
}

/// TOML's dates become strings in JSON, as in every other tool.
fn toml_to_json(value: toml::Value) -> serde_json::Value {
    match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(flag) => flag.into(),
        toml::Value::Datetime(date) => date.to_string().into(),
        toml::Value::Array(items) => items.into_iter().map(toml_to_json).collect(),
        toml::Value::Table(table) => table
            .into_iter()
            .map(|(key, value)| (key, toml_to_json(value)))
            .collect(),
    }
}

fn json(bytes: &[u8]) -> Result<serde_json::Value, DocumentError> {
    serde_json::from_slice(bytes).map_err(|error| json_error(&error))
}

fn json_error(error: &serde_json::Error) -> DocumentError {
    DocumentError::Syntax {
        format: "json",
        line: error.line(),
        column: error.column(),
    }
}

fn toml(bytes: &[u8]) -> Result<toml::Table, DocumentError> {
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

fn utf8(bytes: &[u8]) -> Result<&str, DocumentError> {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn merged(layers: &[(Format, &str)]) -> String {
        let layers: Vec<_> = layers
            .iter()
            .map(|(format, text)| (*format, text.as_bytes()))
            .collect();
        String::from_utf8(merge(&layers).unwrap()).unwrap()
    }

    #[test]
    fn one_layer_is_delivered_byte_for_byte() {
        let odd = "# kept\na   = 1\n";
        assert_eq!(merged(&[(Format::Toml, odd)]), odd);
    }

    #[test]
    fn tables_merge_and_the_nearest_wins() {
        let near = (Format::Toml, "[pool]\nsize = 2\n");
        let far = (Format::Json, r#"{"pool":{"size":1,"wait":3},"name":"x"}"#);
        let toml: toml::Table = toml::from_str(&merged(&[near, far])).unwrap();
        assert_eq!(toml, toml::from_str("name='x'\n[pool]\nsize=2\nwait=3").unwrap());
        let json: serde_json::Value = serde_json::from_str(&merged(&[far, near])).unwrap();
        assert_eq!(json, serde_json::json!({"pool":{"size":1,"wait":3},"name":"x"}));
    }

    #[test]
    fn arrays_and_text_replace() {
        let far = (Format::Json, r#"{"a":[1,2]}"#);
        assert_eq!(merged(&[(Format::Json, r#"{"a":[3]}"#), far]), r#"{"a":[3]}"#);
        assert_eq!(merged(&[(Format::Text, "plain"), far]), "plain");
        assert_eq!(
            merged(&[(Format::Json, "{\"b\":1 }"), (Format::Text, "x"), far]),
            "{\"b\":1 }"
        );
    }

    #[test]
    fn errors_have_a_position_and_no_content() {
        let error = check(Format::Toml, b"a = 1\nb = canary\n").unwrap_err();
        assert_eq!(
            error.to_string(),
            "the document is not valid toml at line 2, column 5"
        );
        let error =
            read::<std::collections::BTreeMap<String, u8>>(Format::Toml, b"a = 'canary'").unwrap_err();
        assert!(matches!(error, DocumentError::Shape { line: 1, .. }), "{error:?}");
        let error = read::<Vec<u8>>(Format::Json, br#"["canary"]"#).unwrap_err();
        assert!(!format!("{error:?}{error}").contains("canary"));
        let error = merge(&[(Format::Toml, b"b=1"), (Format::Json, br#"{"a":null}"#)]).unwrap_err();
        assert_eq!(error, DocumentError::Null);
    }
}
