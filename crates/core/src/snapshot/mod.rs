//! The verified state at one revision, values still sealed: owns lookup, environment layers and
//! opening. It must not know stores; it is built from verified commits and checked objects.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::ambient::Timestamp;
use crate::config::Format;
use crate::crypto::identity::PublicIdentity;
use crate::id::{EntryId, Hash, Revision, Version};
pub use crate::kind::{Kind, KindError};
use crate::name::{CompartmentName, EntryPath, EnvironmentName, MemberName};
use crate::secret::Secret;

/// What a member may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Role {
    /// Everything: members, compartments, environments and entries.
    Admin = 1,
    /// Entries of its compartments.
    Writer = 2,
    /// New versions of secrets of its compartments.
    Rotator = 3,
    /// Reading only.
    Reader = 4,
}

impl Role {
    /// The word used in messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Writer => "writer",
            Self::Rotator => "rotator",
            Self::Reader => "reader",
        }
    }
}

/// The word is not a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a role is one of admin, writer, rotator, reader")]
pub struct RoleError;

impl FromStr for Role {
    type Err = RoleError;
    fn from_str(text: &str) -> Result<Self, RoleError> {
        [Self::Admin, Self::Writer, Self::Rotator, Self::Reader]
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or(RoleError)
    }
}

/// An entry as described by its opened metadata; its value stays sealed.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its id over all versions.
    pub id: EntryId,
    /// The environment it was put into.
    pub environment: EnvironmentName,
    /// Its path.
    pub path: EntryPath,
    /// What it is.
    pub kind: Kind,
    /// Its current version.
    pub version: Version,
    /// The revision that made this version.
    pub revision: Revision,
    /// The format of a config document; [`Format::Text`] for everything else.
    pub format: Format,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The compartment it is sealed in.
    pub compartment: CompartmentName,
    /// Length of its value in bytes.
    pub size: usize,
}

/// An environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// Its name.
    pub name: EnvironmentName,
    /// The environment it inherits config and flags from.
    pub parent: Option<EnvironmentName>,
    /// The compartment its new entries are sealed in.
    pub compartment: CompartmentName,
}

/// A compartment as this identity sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compartment {
    /// Its name; `common` is the one of names and messages that every member opens.
    pub name: CompartmentName,
    /// Its members, by name.
    pub members: Vec<MemberName>,
    /// The newest term of its key.
    pub term: u32,
    /// True when this identity opens it.
    pub open: bool,
}

/// A member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub name: MemberName,
    /// What it may do.
    pub role: Role,
    /// Its public keys.
    pub public: PublicIdentity,
    /// The compartments it opens, by name.
    pub compartments: Vec<CompartmentName>,
    /// True for the identity that opened this snapshot.
    pub is_self: bool,
}

/// Why a read was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// No such environment.
    #[error("there is no environment {environment:?} in this store")]
    NoEnvironment {
        /// The name asked for.
        environment: EnvironmentName,
    },
    /// No such entry among those this identity opens.
    #[error("there is no entry {path:?} in {environment:?} that this identity opens")]
    NoEntry {
        /// The environment asked for.
        environment: EnvironmentName,
        /// The path asked for.
        path: EntryPath,
    },
    /// The entry is of another kind.
    #[error("{path:?} in {environment:?} is a {found}, not a {wanted}")]
    Kind {
        /// The environment asked for.
        environment: EnvironmentName,
        /// The path asked for.
        path: EntryPath,
        /// What it is.
        found: Kind,
        /// What was asked for.
        wanted: Kind,
    },
    /// The sealed record does not open: integrity.
    #[error("{path:?} in {environment:?}: its sealed record does not open: it was changed or moved")]
    Damaged {
        /// The environment asked for.
        environment: EnvironmentName,
        /// The path asked for.
        path: EntryPath,
    },
    /// A layer of a config document does not parse, or does not fit the type asked for.
    #[error("{path:?} in {environment:?}: {problem}")]
    Document {
        /// The environment of the document.
        environment: EnvironmentName,
        /// The path asked for.
        path: EntryPath,
        /// What is wrong, with a position and never with content.
        problem: String,
    },
}

/// An opened value with what it is. For config with parents, `value` is the merged document.
#[derive(Debug)]
pub struct Reading {
    /// The entry nearest to the environment asked for.
    pub entry: Arc<Entry>,
    /// The plaintext.
    pub value: Secret,
    /// The environments it was merged from, nearest first; one for everything but merged config.
    pub layers: Vec<EnvironmentName>,
}

/// The verified state at one revision; cheap to clone, shared without locks.
#[derive(Clone)]
pub struct Snapshot {}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Snapshot(revision {})", self.revision())
    }
}

impl Snapshot {
    /// Its revision.
    #[must_use]
    pub fn revision(&self) -> Revision {
        todo!()
    }

    /// The hash of its commit.
    #[must_use]
    pub fn hash(&self) -> Hash {
        todo!()
    }

    /// When its commit was made, by the author's clock.
    #[must_use]
    pub fn committed_at(&self) -> Timestamp {
        todo!()
    }

    /// The hash of the first commit: what settings pin.
    #[must_use]
    pub fn fingerprint(&self) -> Hash {
        todo!()
    }

    /// All environments, by name.
    #[must_use]
    pub fn environments(&self) -> Vec<Environment> {
        todo!()
    }

    /// All compartments, by name.
    #[must_use]
    pub fn compartments(&self) -> Vec<Compartment> {
        todo!()
    }

    /// All members, by name.
    #[must_use]
    pub fn members(&self) -> Vec<Member> {
        todo!()
    }

    /// `environment` and its ancestors, nearest first.
    ///
    /// # Errors
    /// [`ReadError::NoEnvironment`].
    pub fn layers(&self, environment: &EnvironmentName) -> Result<Vec<EnvironmentName>, ReadError> {
        let _ = environment;
        todo!()
    }

    /// The entry an environment sees at `path`: its own, or an inherited config or flag.
    ///
    /// # Errors
    /// [`ReadError::NoEnvironment`], [`ReadError::NoEntry`].
    pub fn entry(&self, environment: &EnvironmentName, path: &EntryPath) -> Result<Arc<Entry>, ReadError> {
        let _ = (environment, path);
        todo!()
    }

    /// All entries an environment sees, by path, optionally only those at or under `prefix`.
    ///
    /// # Errors
    /// [`ReadError::NoEnvironment`].
    pub fn entries(
        &self,
        environment: &EnvironmentName,
        prefix: Option<&EntryPath>,
    ) -> Result<Vec<Arc<Entry>>, ReadError> {
        let _ = (environment, prefix);
        todo!()
    }

    /// Opens a value; config is merged with its inherited layers.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn read(&self, environment: &EnvironmentName, path: &EntryPath) -> Result<Reading, ReadError> {
        let _ = (environment, path);
        todo!()
    }

    /// Opens exactly this entry's own value, without layers, and lends it to `f`.
    ///
    /// # Errors
    /// [`ReadError::Damaged`], [`ReadError::NoEntry`] when the entry is not of this snapshot.
    pub fn expose<R>(&self, entry: &Entry, f: impl FnOnce(&[u8]) -> R) -> Result<R, ReadError> {
        let _ = (entry, f);
        todo!()
    }
}

/// What happened to an entry in a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It is new.
    Created,
    /// It has a new version.
    Updated,
    /// It is gone.
    Deleted,
}

/// One changed entry of those this identity opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The environment it is in.
    pub environment: EnvironmentName,
    /// Its path.
    pub path: EntryPath,
    /// Its kind.
    pub kind: Kind,
    /// What happened.
    pub action: Action,
    /// The new version, or the last one of a deleted entry.
    pub version: Version,
}
