//! The verified state at one revision, values still sealed: owns lookup, environment layers and
//! opening. It must not know stores; it is built from verified commits and checked objects.

mod build;
mod delta;
mod directory;
mod document;
mod fill;
mod fit;
mod flag;
mod label;
mod local;
mod meta;
mod read;
mod schema;
mod serving;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use crate::ambient::Timestamp;
use crate::commit::{Marks, Sealed, State};
pub use crate::commit::{Role, RoleError};
use crate::config::{DocumentError, Format, Schema};
use crate::crypto::identity::PublicIdentity;
use crate::crypto::keyring::Keyring;
use crate::id::{CompartmentId, EntryId, Hash, MemberId, PersistentMap, Revision, Version};
pub use crate::kind::{Kind, KindError};
use crate::name::{CompartmentName, EntryPath, EnvironmentName, MemberName};
use crate::secret::Secret;
pub(crate) use build::{Fetch, Take};
pub(crate) use delta::Delta;
pub(crate) use directory::{Directory, EnvironmentInfo, MAX_DEPTH};
pub(crate) use fill::is_in_place;
pub(crate) use fit::Depth;
pub use fit::{Layer, Unfit};
pub use flag::{FlagEntry, is_below_set, is_flag_set};
pub use label::{Label, LabelError};
pub use local::{Local, Locals};
pub(crate) use meta::{
    EnvironmentRecord, Meta, index_context, message_context, meta_context, name_context, report_context,
    rotation_context, value_context,
};
pub use schema::governed_by;

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
    /// The revision that made this version current.
    pub revision: Revision,
    /// The format of a config document; [`Format::Text`] for everything else.
    pub format: Format,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The compartment it is sealed in.
    pub compartment: CompartmentName,
    /// Length of its value in bytes.
    pub size: usize,
    /// The id of its compartment; private, so that entries come from snapshots only.
    pub(crate) sealed_in: CompartmentId,
    /// Its value.
    pub(super) sealed: Sealed,
    /// What else has a label.
    pub(crate) marks: Option<Arc<Marks>>,
    /// The records of what else has a label; few entries have that.
    pub(super) marked: Option<Box<label::MarkedRecords>>,
    /// What it says, where it is a schema that was asked for by now.
    pub(super) schema: OnceLock<Arc<Schema>>,
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
    /// The label points at no version.
    #[error("{path:?} in {environment:?} has no {label} version")]
    NoLabel {
        /// The environment asked for.
        environment: EnvironmentName,
        /// The path asked for.
        path: EntryPath,
        /// The label asked for.
        label: Label,
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
    /// The record of the rotation that is at work on it cannot be read.
    #[error(
        "{path:?} in {environment:?}: the record of its rotation cannot be read: an admin gives it up, and looks at the target"
    )]
    Rotation {
        /// The environment asked for.
        environment: EnvironmentName,
        /// The path asked for.
        path: EntryPath,
    },
    /// A config document refers to a secret that is not there. Which one is not said here: it may be a
    /// value that nobody meant to be a path.
    #[error(
        "{path:?} in {environment:?} refers to a secret that is not there, or that this identity does not open: \
         `strongroom config check` names the key"
    )]
    NoSecret {
        /// The environment asked for.
        environment: EnvironmentName,
        /// The document.
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
        problem: DocumentError,
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
pub struct Snapshot {
    state: State,
    me: MemberId,
    keyring: Arc<Keyring>,
    directory: Arc<Directory>,
    spaces: PersistentMap<EnvironmentName, Space>,
    /// What whoever serves an environment keeps beside.
    serving: Option<Arc<serving::Serving>>,
}

/// The entries of one environment: by hash to read them, in order to list them.
#[derive(Clone, Default)]
struct Space {
    entries: PersistentMap<EntryPath, Arc<Entry>>,
    /// Made by the first listing and kept up from then on: most readers never list.
    order: OnceLock<imbl::OrdMap<EntryPath, Arc<Entry>>>,
    /// The policies among them, in order: few, and asked for with every snapshot.
    policies: imbl::OrdMap<EntryPath, Arc<Entry>>,
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Snapshot(revision {})", self.revision())
    }
}

impl Snapshot {
    /// Its revision.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.state.revision()
    }

    /// The hash of its commit.
    #[must_use]
    pub fn hash(&self) -> Hash {
        self.state.hash()
    }

    /// When its commit was made, by the author's clock; not before the one it follows, unless an
    /// admin made it.
    #[must_use]
    pub fn committed_at(&self) -> Timestamp {
        self.state.time()
    }

    /// The hash of the first commit: what settings pin.
    #[must_use]
    pub fn fingerprint(&self) -> Hash {
        self.state.fingerprint()
    }

    /// The number of entries this identity opens, over all environments.
    #[must_use]
    pub fn len(&self) -> usize {
        self.spaces.values().map(|space| space.entries.len()).sum()
    }

    /// True when this identity opens no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All environments, by name.
    #[must_use]
    pub fn environments(&self) -> Vec<Environment> {
        let environment = |(name, info): (&EnvironmentName, &directory::EnvironmentInfo)| {
            Some(Environment {
                name: name.clone(),
                parent: info.parent.clone(),
                compartment: self.directory.compartments.get(&info.compartment)?.clone(),
            })
        };
        self.directory
            .environments
            .iter()
            .filter_map(environment)
            .collect()
    }

    /// All compartments, by name.
    #[must_use]
    pub fn compartments(&self) -> Vec<Compartment> {
        let admin = self.state.admin();
        let compartment = |(id, name): (&CompartmentId, &CompartmentName)| {
            let mut members: Vec<_> = admin
                .recipients(*id)
                .filter_map(|(member, _)| self.directory.members.get(&member).cloned())
                .collect();
            members.sort();
            Some(Compartment {
                name: name.clone(),
                members,
                term: admin.compartments().get(id)?.term().0,
                open: self.keyring.opens(*id),
            })
        };
        let mut all: Vec<_> = self
            .directory
            .compartments
            .iter()
            .filter_map(compartment)
            .collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// The name of the compartment that policies lie in.
    pub(crate) fn common(&self) -> Option<&CompartmentName> {
        self.directory.compartments.get(&self.state.admin().common())
    }

    /// All members, by name.
    #[must_use]
    pub fn members(&self) -> Vec<Member> {
        let admin = self.state.admin();
        let member = |(id, name): (&MemberId, &MemberName)| {
            let state = admin.members().get(id)?;
            let mut compartments: Vec<_> = self
                .directory
                .compartments
                .iter()
                .filter(|(compartment, _)| admin.opens(*id, **compartment))
                .map(|(_, name)| name.clone())
                .collect();
            compartments.sort();
            Some(Member {
                name: name.clone(),
                role: state.role,
                public: state.public.clone(),
                compartments,
                is_self: *id == self.me,
            })
        };
        let mut all: Vec<_> = self.directory.members.iter().filter_map(member).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    pub(crate) fn keyring(&self) -> &Arc<Keyring> {
        &self.keyring
    }

    pub(crate) fn directory(&self) -> &Arc<Directory> {
        &self.directory
    }

    pub(crate) fn me(&self) -> MemberId {
        self.me
    }

    /// The own entries of all environments that this identity opens, in no order.
    pub fn all_entries(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.spaces.values().flat_map(|space| space.entries.values())
    }

    /// The policy entries of `environment` itself, by path.
    pub(crate) fn policies(&self, environment: &EnvironmentName) -> impl Iterator<Item = &Arc<Entry>> {
        self.spaces
            .get(environment)
            .into_iter()
            .flat_map(|space| space.policies.values())
    }

    /// The environment's own entry at `path`.
    pub(crate) fn own(&self, environment: &EnvironmentName, path: &EntryPath) -> Option<&Arc<Entry>> {
        self.spaces.get(environment)?.entries.get(path)
    }

    /// The metadata an entry was built from.
    pub(crate) fn meta_of(&self, entry: &Entry) -> Option<Meta> {
        Some(Meta {
            environment: self.directory.environments.get(&entry.environment)?.id,
            kind: entry.kind,
            format: entry.format,
            path: entry.path.clone(),
            labels: entry.labels.clone(),
        })
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
