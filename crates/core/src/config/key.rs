//! The name of a key in a document: owns its grammar, which is that of TOML's dotted keys.

use std::fmt;
use std::str::FromStr;

use serde_json::Value;

/// Most names one within the other; parsers stop at documents not much deeper.
const MAX_DEPTH: usize = 64;

/// Where a value stands in a document: the names of its tables and its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Vec<String>);

/// A text is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a key is names joined by `.`, as in `pool.size`, at most {MAX_DEPTH}; quote a name that has other signs than letters, digits, `-` and `_`"
)]
pub struct KeyError;

impl Key {
    /// The key of these names; without any, the document itself.
    #[must_use]
    pub fn of(names: Vec<String>) -> Self {
        Self(names)
    }

    /// The names, outermost first.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// What `document` has under this key.
    #[must_use]
    pub fn find<'a>(&self, document: &'a Value) -> Option<&'a Value> {
        self.0.iter().try_fold(document, |at, name| at.get(name.as_str()))
    }

    /// Whether this is `other`, or the key of a table that it stands in.
    #[must_use]
    pub fn holds(&self, other: &Self) -> bool {
        other.0.starts_with(&self.0)
    }
}

impl FromStr for Key {
    type Err = KeyError;
    fn from_str(text: &str) -> Result<Self, KeyError> {
        let parsed = toml_edit::Key::parse(text).map_err(|_| KeyError)?;
        if parsed.is_empty() || parsed.len() > MAX_DEPTH {
            return Err(KeyError);
        }
        Ok(Self(parsed.iter().map(|key| key.get().to_owned()).collect()))
    }
}

impl fmt::Display for Key {
    /// As TOML writes it, with names quoted that are not bare.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("(the document)");
        }
        for (index, name) in self.0.iter().enumerate() {
            let dot = if index == 0 { "" } else { "." };
            write!(f, "{dot}{}", toml_edit::Key::new(name).display_repr())?;
        }
        Ok(())
    }
}
