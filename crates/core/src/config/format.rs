//! The formats of config documents: owns their words and format bytes.

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
