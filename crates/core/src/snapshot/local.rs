//! What one machine says of config, nearer than any environment: owns these documents. It must not know
//! where they were read.

use std::collections::BTreeMap;

use crate::config::{self, DocumentError, Format};
use crate::id::Hash;
use crate::name::EntryPath;

/// One machine's layer of a config document.
#[derive(Clone, PartialEq, Eq)]
pub struct Local {
    format: Format,
    bytes: Vec<u8>,
    mark: u64,
}

impl std::fmt::Debug for Local {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Local({} bytes)", self.bytes.len())
    }
}

impl Local {
    /// Takes a document of `format` that was read.
    ///
    /// # Errors
    /// [`DocumentError`]; text has no keys that could be nearer than others.
    pub fn new(format: Format, bytes: Vec<u8>) -> Result<Self, DocumentError> {
        config::layer(format, &bytes)?;
        let Hash(hash) = Hash::of(&bytes);
        let mark = hash
            .iter()
            .take(8)
            .fold(0, |mark, byte| mark << 8 | u64::from(*byte));
        Ok(Self { format, bytes, mark })
    }

    /// Its format.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// A number that other bytes do not have, for all that is likely.
    #[must_use]
    pub fn mark(&self) -> u64 {
        self.mark
    }
}

/// The layers of one machine, by the path of the config.
pub type Locals = BTreeMap<EntryPath, Local>;
