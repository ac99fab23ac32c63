//! Config documents: owns their formats, parsing and the merge of environment layers.
//! It must not know where a document comes from.

use std::str::FromStr;

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
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            "toml" => Ok(Self::Toml),
            _ => Err(FormatError),
        }
    }
}
