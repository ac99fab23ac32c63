//! What can be asked of a vault: owns the words of a change and of its outcome.

use super::rewrap::RewrapEdit;
use super::rotation::RotationEdit;
use crate::config::Format;
use crate::crypto::identity::PublicIdentity;
use crate::id::{Hash, Revision, Version};
use crate::name::{CompartmentName, EntryPath, EnvironmentName, MemberName};
use crate::secret::Secret;
use crate::snapshot::{Changed, Kind, Role};

/// Whether an entry may exist when it is put.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expect {
    /// It may or may not.
    #[default]
    Any,
    /// It must be new.
    Absent,
    /// It must be at this version. A deleted entry that is put again begins at version 1 again.
    Version(Version),
    /// It must be as this revision left it, its labels included: nothing happened to it since.
    Revision(Revision),
}

/// One value to put.
#[derive(Debug)]
pub struct Put {
    /// The environment.
    pub environment: EnvironmentName,
    /// The path.
    pub path: EntryPath,
    /// What it is.
    pub kind: Kind,
    /// The plaintext.
    pub value: Secret,
    /// The format of a config document.
    pub format: Format,
    /// Labels; `None` keeps those of the version before.
    pub labels: Option<std::collections::BTreeMap<String, String>>,
    /// The compartment of a new entry; the environment's when `None`. An entry stays in its own.
    pub compartment: Option<CompartmentName>,
    /// The precondition.
    pub expect: Expect,
}

/// A new place for the labels of a secret.
#[derive(Debug)]
pub struct LabelEdit {
    /// The environment.
    pub environment: EnvironmentName,
    /// The path.
    pub path: EntryPath,
    /// What moves.
    pub to: Relabel,
    /// The precondition; [`Expect::Version`] is of the current version.
    pub expect: Expect,
}

/// How labels move.
#[derive(Debug)]
pub enum Relabel {
    /// A new value becomes the pending version; there must be none.
    Pending(Secret),
    /// The pending version becomes the current one, which becomes the previous one; there must be
    /// no previous one.
    Promote,
    /// The previous version becomes the current one again, which becomes the pending one.
    TakeBack,
    /// The pending version loses its label, for good.
    Drop,
    /// The previous version loses its label, for good.
    Retire,
}

/// One edit of a change.
#[derive(Debug)]
pub enum Edit {
    /// Put a value.
    Put(Put),
    /// Delete an entry; its old versions stay in the history.
    Delete {
        /// The environment.
        environment: EnvironmentName,
        /// The path.
        path: EntryPath,
        /// The precondition.
        expect: Expect,
    },
    /// Move the labels of a secret.
    Label(LabelEdit),
    /// Begin a rotation, or go on with one.
    Rotate(RotationEdit),
    /// Add an environment; without a compartment it gets one of its own name.
    AddEnvironment {
        /// Its name.
        name: EnvironmentName,
        /// Where it inherits config and flags from.
        parent: Option<EnvironmentName>,
        /// The compartment of its entries.
        compartment: Option<CompartmentName>,
    },
    /// Make a new key for a compartment: what is put from now on is sealed under it.
    NewKey {
        /// The compartment.
        compartment: CompartmentName,
    },
    /// Wrap records anew that lie under older keys; [`Vault::rewrap`](super::Vault::rewrap) makes these.
    Rewrap(RewrapEdit),
    /// Add a compartment that admins open.
    AddCompartment {
        /// Its name.
        name: CompartmentName,
    },
    /// Add a member.
    AddMember {
        /// Its name.
        name: MemberName,
        /// Its public keys.
        public: PublicIdentity,
        /// Its role; admins open every compartment.
        role: Role,
        /// The compartments it opens.
        compartments: Vec<CompartmentName>,
    },
    /// Remove a member; every compartment it opened gets a new term.
    RemoveMember {
        /// Its name.
        name: MemberName,
    },
    /// Let a member open one more compartment.
    Grant {
        /// The member.
        member: MemberName,
        /// The compartment.
        compartment: CompartmentName,
    },
}

/// A change of any number of entries, committed whole or not at all.
#[derive(Debug, Default)]
pub struct Change {
    /// What it is for; sealed like a name. At most 4096 bytes.
    pub message: String,
    /// Its edits.
    pub edits: Vec<Edit>,
}

/// What a commit would do to one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// The change of the entry.
    pub change: Changed,
    /// The version it has now.
    pub before: Option<Version>,
    /// True when the new value equals the old one: nothing is written for it.
    pub unchanged: bool,
}

/// What a commit did.
#[derive(Clone, Debug)]
pub struct Receipt {
    /// The revision that holds the change; the current one when nothing had to change.
    pub revision: Revision,
    /// The hash of its commit.
    pub hash: Hash,
    /// False when everything was as asked already and no commit was made.
    pub committed: bool,
    /// What changed.
    pub changes: Vec<Changed>,
    /// Secrets a removed member could have read: rotate them.
    pub exposed: Vec<Changed>,
}
