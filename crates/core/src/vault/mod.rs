//! The face for embedding: owns opening a store with an identity, reads, commits and the watch.

use std::path::Path;
use std::sync::Arc;

use crate::ambient::{Ambient, EntropyError, Timestamp};
use crate::config::Format;
use crate::crypto::identity::{Identity, PublicIdentity};
use crate::id::{Hash, Revision, Version};
use crate::name::{CompartmentName, EntryPath, EnvironmentName, MemberName};
use crate::secret::Secret;
use crate::snapshot::{Changed, Kind, ReadError, Reading, Role, Snapshot};
use crate::store::{Store, StoreError};

/// The highest revision a reader has verified; it refuses anything less. Keep it outside the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trust {
    /// The store's fingerprint: the hash of its first commit.
    pub fingerprint: Hash,
    /// The revision.
    pub revision: Revision,
    /// The hash of that revision's commit.
    pub hash: Hash,
}

impl Trust {
    /// Reads a trust file; `None` when there is none yet.
    ///
    /// # Errors
    /// [`TrustError`] when it cannot be read or is not a trust file.
    pub fn load(path: &Path) -> Result<Option<Self>, TrustError> {
        let _ = path;
        todo!()
    }

    /// Writes a trust file atomically, mode 0600. A file of a higher revision is left.
    ///
    /// # Errors
    /// [`TrustError`].
    pub fn save(&self, path: &Path) -> Result<(), TrustError> {
        let _ = path;
        todo!()
    }
}

/// A trust file could not be used.
#[derive(Debug, thiserror::Error)]
#[error("trust file {path}: {problem}")]
pub struct TrustError {
    /// The file.
    pub path: String,
    /// What is wrong.
    pub problem: String,
}

/// What a store is opened against.
#[derive(Debug)]
pub struct OpenOptions {
    /// The fingerprint the store must have; without it the first open trusts what it finds.
    pub fingerprint: Option<Hash>,
    /// What was verified before.
    pub trust: Option<Trust>,
    /// Clock and randomness.
    pub ambient: Ambient,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            fingerprint: None,
            trust: None,
            ambient: Ambient::system(),
        }
    }
}

/// Why a store was not opened, refreshed or verified.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store has no first commit.
    #[error("{location}: the store is empty: it has no first commit")]
    Empty {
        /// Where.
        location: String,
    },
    /// What the store holds was changed, forged, replayed or cut.
    #[error(transparent)]
    Integrity(#[from] IntegrityError),
    /// The identity is no member of this store.
    #[error("this identity is not a member of the store: ask an admin for `strongroom member add`")]
    NotMember,
}

/// What an untrusted store held instead of what was signed. Nothing of it was used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("revision {revision}: {what}")]
pub struct IntegrityError {
    /// The revision at fault.
    pub revision: Revision,
    /// What broke.
    pub what: Break,
}

/// The ways in which a store can break its chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Break {
    /// Another store than the pinned one.
    #[error("the store's fingerprint is not the pinned one: this is another store")]
    Fingerprint,
    /// The store went back behind what was verified.
    #[error("the store was rolled back: it was verified at a higher revision before")]
    RolledBack,
    /// The commit at a verified revision is another one now.
    #[error("the history was replaced: the commit verified before is not this one")]
    Replaced,
    /// A commit is missing.
    #[error("a commit is missing")]
    MissingCommit,
    /// A commit does not decode.
    #[error("the commit is damaged")]
    DamagedCommit,
    /// A commit of a newer format.
    #[error("the commit has a newer format: update this program")]
    NewerFormat,
    /// A commit does not name its predecessor.
    #[error("the commit does not follow the one before it")]
    BrokenChain,
    /// The signature does not verify.
    #[error("the commit's signature does not verify")]
    Signature,
    /// The author is no member, or its role does not allow the change.
    #[error("the commit's author was not allowed to make it")]
    Unauthorised,
    /// A change contradicts the state before it.
    #[error("the commit contradicts the state before it")]
    Contradiction,
    /// A listed object is missing.
    #[error("a sealed record or key file that the commit lists is missing")]
    MissingObject,
    /// An object's bytes are not those that were signed.
    #[error("a sealed record or key file is not the one that was signed")]
    ForeignObject,
    /// A record does not open under its context.
    #[error("a sealed record does not open: it was changed or moved")]
    Record,
    /// The checkpoint does not verify.
    #[error("the checkpoint does not verify")]
    Checkpoint,
}

/// Whether an entry may exist when it is put.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expect {
    /// It may or may not.
    #[default]
    Any,
    /// It must be new.
    Absent,
    /// It must be at this version.
    Version(Version),
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
    },
    /// Add an environment; without a compartment it gets one of its own name.
    AddEnvironment {
        /// Its name.
        name: EnvironmentName,
        /// Where it inherits config and flags from.
        parent: Option<EnvironmentName>,
        /// The compartment of its entries.
        compartment: Option<CompartmentName>,
    },
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

/// Why nothing was committed.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// The store could not be read or holds what was not signed.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// An entry, environment or member named by the change is not there.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No randomness.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// A precondition does not hold: somebody else was first.
    #[error("{path:?} in {environment:?} is at version {found}, not as expected: read it again")]
    Stale {
        /// The environment.
        environment: EnvironmentName,
        /// The path.
        path: EntryPath,
        /// The version that is there; 0 when absent.
        found: Version,
    },
    /// Other writers were first too often.
    #[error("other writers were first {attempts} times: nothing was committed; try again")]
    Contended {
        /// How often it was tried.
        attempts: u32,
    },
    /// The member's role or compartments do not allow it.
    #[error("this identity may not do that: {reason}")]
    Denied {
        /// Why.
        reason: String,
    },
    /// The change itself is not valid.
    #[error("{problem}")]
    Invalid {
        /// What is wrong and what to do, never with a value.
        problem: String,
    },
}

/// What a watch delivers.
#[derive(Clone, Debug)]
pub enum Event {
    /// A new snapshot is in place.
    Revised(Arc<Revised>),
    /// The store holds a revision that was refused; the last good one stays.
    Refused {
        /// Why.
        reason: Arc<str>,
    },
    /// The store is out of reach since this time; the last good snapshot stays.
    StoreLost {
        /// Since when.
        since: Timestamp,
        /// Why.
        reason: Arc<str>,
    },
    /// The store is back.
    StoreBack,
    /// This watcher was too slow and missed events: compare with the current snapshot.
    Lagged,
}

/// One applied step, possibly of several commits.
#[derive(Clone, Debug)]
pub struct Revised {
    /// The snapshot that is in place now.
    pub revision: Revision,
    /// The revision before it.
    pub from: Revision,
    /// What changed between the two.
    pub changes: Vec<Changed>,
}

/// A stream of events; dropped, it ends.
#[derive(Debug)]
pub struct Watch {}

impl Watch {
    /// The next event; `None` when the vault is gone.
    pub async fn next(&mut self) -> Option<Event> {
        todo!()
    }

    /// The next event, blocking this thread; not for async contexts.
    pub fn next_blocking(&mut self) -> Option<Event> {
        todo!()
    }
}

/// How current the snapshot is.
#[derive(Clone, Debug, Default)]
pub struct Freshness {
    /// Since when the store is out of reach, if it is.
    pub stale_since: Option<Timestamp>,
    /// Why the store's newest revision was refused, if it was.
    pub refused: Option<Arc<str>>,
}

/// One past version of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past {
    /// The revision that made it.
    pub revision: Revision,
    /// When.
    pub at: Timestamp,
    /// Who, by name, or the id of a removed member.
    pub author: String,
    /// The message.
    pub message: String,
    /// What happened to entries this identity opens.
    pub changes: Vec<Changed>,
}

/// What `verify` checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verification {
    /// Commits whose signature and chain were checked.
    pub commits: u64,
    /// Objects whose hash was checked.
    pub objects: u64,
    /// Records that were opened; those of other compartments stay sealed.
    pub opened: u64,
    /// The head that was reached.
    pub revision: Revision,
    /// Its hash.
    pub hash: Hash,
}

/// A store opened by an identity.
pub struct Vault {}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault")
    }
}

impl Vault {
    /// Makes the first commit of an empty store: `admin` is its first member.
    ///
    /// # Errors
    /// [`CommitError`].
    pub fn create(
        store: Arc<dyn Store>,
        admin: &MemberName,
        identity: Arc<Identity>,
        ambient: Ambient,
    ) -> Result<Self, CommitError> {
        let _ = (store, admin, identity, ambient);
        todo!()
    }

    /// Verifies a store and opens what the identity may.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(
        store: Arc<dyn Store>,
        identity: Arc<Identity>,
        options: OpenOptions,
    ) -> Result<Self, OpenError> {
        let _ = (store, identity, options);
        todo!()
    }

    /// The current snapshot.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        todo!()
    }

    /// Where the store lies.
    #[must_use]
    pub fn location(&self) -> String {
        todo!()
    }

    /// What to remember outside the store.
    #[must_use]
    pub fn trust(&self) -> Trust {
        todo!()
    }

    /// Opens a secret of the current snapshot.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn secret(&self, environment: &EnvironmentName, path: &EntryPath) -> Result<Secret, ReadError> {
        let _ = (environment, path);
        todo!()
    }

    /// Opens an entry of any kind of the current snapshot.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn read(&self, environment: &EnvironmentName, path: &EntryPath) -> Result<Reading, ReadError> {
        self.snapshot().read(environment, path)
    }

    /// A config document of the current snapshot, merged and deserialised.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn config<T: serde::de::DeserializeOwned>(
        &self,
        environment: &EnvironmentName,
        path: &EntryPath,
    ) -> Result<T, ReadError> {
        let _ = (environment, path);
        todo!()
    }

    /// What `change` would do, without doing it.
    ///
    /// # Errors
    /// [`CommitError`].
    pub fn plan(&self, change: &Change) -> Result<Vec<Planned>, CommitError> {
        let _ = change;
        todo!()
    }

    /// Seals, signs and stores `change`; tries again when another writer was first.
    ///
    /// # Errors
    /// [`CommitError`]; nothing was committed.
    pub fn commit(&self, change: &Change) -> Result<Receipt, CommitError> {
        let _ = change;
        todo!()
    }

    /// Reads and verifies what is new in the store and swaps the snapshot.
    ///
    /// # Errors
    /// [`OpenError`]; the last good snapshot stays.
    pub fn refresh(&self) -> Result<Arc<Snapshot>, OpenError> {
        todo!()
    }

    /// Follows the store from a thread of its own until the vault is dropped: every commit of
    /// any process is verified, swapped in and sent to the watchers. Calling it again is harmless.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be watched.
    pub fn follow(self: &Arc<Self>) -> Result<(), StoreError> {
        todo!()
    }

    /// Events from now on; needs [`Vault::follow`] to see other processes' commits.
    #[must_use]
    pub fn watch(&self) -> Watch {
        todo!()
    }

    /// How current the snapshot is.
    #[must_use]
    pub fn freshness(&self) -> Freshness {
        todo!()
    }

    /// The verified state at a past revision.
    ///
    /// # Errors
    /// [`OpenError`]; [`Break::MissingCommit`] when the revision is not there.
    pub fn at(&self, revision: Revision) -> Result<Snapshot, OpenError> {
        let _ = revision;
        todo!()
    }

    /// All commits, newest first, that changed an entry this identity opens, at most `limit`;
    /// with `entry` only those that changed that environment's path.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn history(
        &self,
        entry: Option<(&EnvironmentName, &EntryPath)>,
        limit: usize,
    ) -> Result<Vec<Past>, OpenError> {
        let _ = (entry, limit);
        todo!()
    }

    /// Checks every signature, hash and record there ever was; `progress` gets done and total.
    ///
    /// # Errors
    /// [`OpenError`] naming the first thing that broke.
    pub fn verify(&self, progress: &mut dyn FnMut(u64, u64)) -> Result<Verification, OpenError> {
        let _ = progress;
        todo!()
    }

    /// The change that sets one entry (or with `None` every entry this identity opens) back to
    /// what it was at `revision`, for [`Vault::commit`].
    ///
    /// # Errors
    /// [`CommitError`].
    pub fn rollback(
        &self,
        entry: Option<(&EnvironmentName, &EntryPath)>,
        revision: Revision,
    ) -> Result<Change, CommitError> {
        let _ = (entry, revision);
        todo!()
    }
}
