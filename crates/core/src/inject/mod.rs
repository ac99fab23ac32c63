//! Injection: owns how opened values reach consumers as environment variables, as a directory of
//! files and as a supervised process. It must not know stores, sockets or snapshots: it is given
//! one revision's values and delivers them whole or not at all.

pub mod env;
pub mod files;
pub mod process;

use std::collections::HashSet;
use std::fmt;

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
    /// What was made of the revision's values for this consumer, under the names it wants them by.
    pub made: Vec<Made>,
}

/// A text that was made of values, such as a rendered template.
#[derive(Debug)]
pub struct Made {
    /// The name of its file or variable.
    pub name: String,
    /// True when an operator gave the whole name; false when part of it is a document's key.
    pub is_named: bool,
    /// What it was made of, for messages.
    pub of: String,
    /// The bytes to deliver.
    pub bytes: Secret,
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

/// Entries that a consumer cannot do without are not there: nothing was delivered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "revision {revision} lacks {}: put them into the store, let policy permit them to this process, or do not require them",
    Listed(.paths)
)]
pub struct Missing {
    /// The revision that was looked at.
    pub revision: u64,
    /// Every missing path, not only the first.
    pub paths: Vec<EntryPath>,
}

impl Material {
    /// Checks that every one of `required` is among the values.
    ///
    /// # Errors
    /// [`Missing`] with all that are not.
    pub fn require<'a>(&self, required: impl IntoIterator<Item = &'a EntryPath>) -> Result<(), Missing> {
        let present: HashSet<&EntryPath> = self.values.iter().map(|value| &value.path).collect();
        let mut paths: Vec<EntryPath> = Vec::new();
        for path in required {
            if !present.contains(path) && !paths.contains(path) {
                paths.push(path.clone());
            }
        }
        if paths.is_empty() {
            Ok(())
        } else {
            Err(Missing {
                revision: self.revision,
                paths,
            })
        }
    }

    /// True when both deliver the same bytes under the same paths and names, of whatever revision.
    #[must_use]
    pub fn same_values(&self, other: &Self) -> bool {
        let same = |a: &Secret, b: &Secret| a.len() == b.len() && a.same_as(b);
        let mut made = self.made.iter().zip(&other.made);
        self.made.len() == other.made.len()
            && made.all(|(a, b)| a.name == b.name && same(&a.bytes, &b.bytes))
            && self.values.len() == other.values.len()
            && self
                .values
                .iter()
                .zip(&other.values)
                .all(|(a, b)| a.path == b.path && a.kind == b.kind && same(&a.bytes, &b.bytes))
    }
}

/// The entries that a consumer may use: a source need not open any other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    all: bool,
    under: Vec<EntryPath>,
}

impl Wanted {
    /// Adds everything at or below `prefix`; everything there is when `None`.
    pub fn add_prefix(&mut self, prefix: Option<&EntryPath>) {
        match prefix {
            Some(prefix) => self.add(prefix),
            None => {
                *self = Self {
                    all: true,
                    under: Vec::new(),
                }
            }
        }
    }

    /// Adds everything at or below `path`.
    pub fn add(&mut self, path: &EntryPath) {
        if !self.contains(path) {
            self.under.retain(|under| !under.is_under(path));
            self.under.push(path.clone());
        }
    }

    /// True when `path` is wanted.
    #[must_use]
    pub fn contains(&self, path: &EntryPath) -> bool {
        self.all || self.under.iter().any(|under| path.is_under(under))
    }

    /// True when what lies at `path`, among what is wanted, is delivered as it is: a template only where its own
    /// path is wanted, since what is made of it is delivered.
    #[must_use]
    pub fn takes(&self, path: &EntryPath) -> bool {
        !path.is_template() || self.under.contains(path)
    }

    /// The fewest prefixes that cover what is wanted, none inside another; `None` for everything.
    #[must_use]
    pub fn prefixes(&self) -> Option<&[EntryPath]> {
        (!self.all).then_some(&self.under)
    }
}

/// The part of `path` below `prefix`; the last segment when they are equal. `None` when `path`
/// does not lie there, and for templates: what is made of them is delivered.
fn below<'a>(path: &'a EntryPath, prefix: Option<&EntryPath>) -> Option<&'a str> {
    if path.is_template() {
        return None;
    }
    let text = path.as_str();
    let Some(prefix) = prefix else { return Some(text) };
    match text.strip_prefix(prefix.as_str())? {
        "" => Some(text.rsplit('/').next().unwrap_or(text)),
        rest => rest.strip_prefix('/'),
    }
}

/// Writes an error and what caused it, in one line.
#[derive(Debug)]
pub struct WithCauses<'a>(pub &'a (dyn std::error::Error + 'static));

impl fmt::Display for WithCauses<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        std::iter::successors(self.0.source(), |error| error.source())
            .try_for_each(|cause| write!(f, ": {cause}"))
    }
}

/// Writes a list as `a, b and c`.
struct Listed<'a, T>(&'a [T]);

impl<T: fmt::Display> fmt::Display for Listed<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, item) in self.0.iter().enumerate() {
            let before = match at {
                0 => "",
                _ if at + 1 == self.0.len() => " and ",
                _ => ", ",
            };
            write!(f, "{before}{item}")?;
        }
        Ok(())
    }
}
