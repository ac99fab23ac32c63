//! Injection: owns how opened values reach consumers as environment variables, as a directory of
//! files and as a supervised process. It must not know stores, sockets or snapshots: it is given
//! one revision's values and delivers them whole or not at all.

use crate::kind::Kind;
use crate::name::EntryPath;
use crate::secret::Secret;

/// The opened values of one revision, for one consumer.
#[derive(Debug)]
pub struct Material {
    /// The revision every value is of.
    pub revision: u64,
    /// The values, by path.
    pub values: Vec<Value>,
}

/// One opened value.
#[derive(Debug)]
pub struct Value {
    /// Its path.
    pub path: EntryPath,
    /// What it is; a flag's bytes are the text of its default variant.
    pub kind: Kind,
    /// The bytes to deliver.
    pub bytes: Secret,
}
