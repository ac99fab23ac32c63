//! The storage boundary: owns the trait every store implements. A store holds bytes and is
//! trusted with nothing: no cryptography, no names and no policy may appear below this module.

mod memory;
mod sqlite;

use std::time::Duration;

pub use memory::{Fault, MemoryStore};
pub use sqlite::SqliteStore;

use crate::id::{Hash, Revision};

/// The newest commit of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its number.
    pub revision: Revision,
    /// Its hash, as claimed by the writer; readers verify it.
    pub hash: Hash,
}

/// A commit as stored: opaque signed bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredCommit {
    /// Number and hash, as claimed.
    pub head: Head,
    /// The signed bytes.
    pub bytes: Vec<u8>,
}

/// An object (sealed record or key file) under the hash of its bytes, as claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredObject {
    /// SHA-256 of the bytes, as claimed; readers verify it.
    pub hash: Hash,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// What one author last said beside the chain, in one place of its own: opaque signed bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredReport {
    /// Where it lies; what comes later with a higher counter takes its place.
    pub slot: [u8; 32],
    /// Rises with each report of a slot, as claimed; readers verify it.
    pub counter: u64,
    /// The signed bytes.
    pub bytes: Vec<u8>,
}

/// Longest report, bytes.
pub const MAX_REPORT: usize = 256 << 10;
/// So many reports are kept; of more, those with the lowest counters go.
pub const MAX_REPORTS: usize = 8192;

/// Why a store could not be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no store there.
    #[error("{location}: there is no store here; `strongroom init` makes one")]
    Missing {
        /// Where.
        location: String,
    },
    /// There is one already.
    #[error("{location}: a store is here already; nothing was changed")]
    Exists {
        /// Where.
        location: String,
    },
    /// Reading or writing failed, or the store is locked or out of reach.
    #[error("{location}: the store cannot be reached: {reason}")]
    Unreachable {
        /// Where.
        location: String,
        /// The storage's own words.
        reason: String,
    },
    /// Only reading is allowed to this process.
    #[error("{location}: the store can only be read by this process: {reason}")]
    ReadOnly {
        /// Where.
        location: String,
        /// The storage's own words.
        reason: String,
    },
    /// The storage itself says that it is damaged.
    #[error("{location}: the store is damaged: {reason}")]
    Damaged {
        /// Where.
        location: String,
        /// What is damaged.
        reason: String,
    },
    /// Written by a newer program.
    #[error("{location}: the store has format {found}, this program knows up to {known}: update it")]
    Newer {
        /// Where.
        location: String,
        /// Its format.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// The location text is not understood.
    #[error("a store is given as `sqlite:PATH`: {problem}")]
    Location {
        /// What is wrong with it.
        problem: &'static str,
    },
}

/// Why a commit was not appended.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Another writer was first; the store is unchanged. Read the new head and try again.
    #[error("another commit came first: the store is at revision {}", head.map_or(0, |h| h.revision.0))]
    Conflict {
        /// The head that was found.
        head: Option<Head>,
    },
    /// The store failed; whether the commit is in must be read from the head.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What woke a [`StoreWatch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// The store may have a new head.
    Changed,
    /// The time is over, or [`Waker::wake`] was called; nothing is known to have changed.
    Idle,
}

/// Waits for other processes' commits by notification. Made by [`Store::watch`]; commits made
/// after that call are never missed.
pub trait StoreWatch: Send {
    /// Blocks until the store may have changed, at most `timeout`.
    ///
    /// # Errors
    /// [`StoreError`] when the store is gone; call again later.
    fn wait(&mut self, timeout: Duration) -> Result<Wake, StoreError>;

    /// A handle that ends a [`StoreWatch::wait`] of another thread early.
    fn waker(&self) -> Box<dyn Waker>;
}

/// Ends a wait early.
pub trait Waker: Send + Sync {
    /// Makes the current or next wait return [`Wake::Idle`] at once.
    fn wake(&self);
}

/// Where everything sealed lies. All calls block; they are short but for the network or the disk.
/// Implementations are shared between threads.
pub trait Store: Send + Sync {
    /// Where it lies, for messages: `sqlite:/path`.
    fn location(&self) -> String;

    /// The newest commit, or `None` in a store without one.
    ///
    /// # Errors
    /// [`StoreError`].
    fn head(&self) -> Result<Option<Head>, StoreError>;

    /// Commits from revision `from` upwards in order, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`].
    fn commits(&self, from: Revision, limit: usize) -> Result<Vec<StoredCommit>, StoreError>;

    /// Calls `each` once for every wanted object that is present, in the order that is fastest to
    /// read; absent ones are passed over. `each` returns false to stop; it must not use the store.
    ///
    /// # Errors
    /// [`StoreError`].
    fn objects(&self, wanted: &[Hash], each: &mut dyn FnMut(Hash, &[u8]) -> bool) -> Result<(), StoreError>;

    /// Appends `commit` and its `objects` durably and atomically if the head is still `expected`.
    /// Objects that are present already are left as they are.
    ///
    /// # Errors
    /// [`AppendError::Conflict`] when the head is another one.
    fn append(
        &self,
        expected: Option<Head>,
        commit: &StoredCommit,
        objects: &[StoredObject],
    ) -> Result<(), AppendError>;

    /// The newest signed checkpoint, opaque bytes, if there is one.
    ///
    /// # Errors
    /// [`StoreError`].
    fn checkpoint(&self) -> Result<Option<Vec<u8>>, StoreError>;

    /// Replaces the checkpoint by one of `revision`, unless a newer one is there.
    ///
    /// # Errors
    /// [`StoreError`].
    fn put_checkpoint(&self, revision: Revision, bytes: &[u8]) -> Result<(), StoreError>;

    /// The storage's own integrity check; reads everything. It finds broken storage, not forgery.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] with the first thing that is broken.
    fn check(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Starts to watch.
    ///
    /// # Errors
    /// [`StoreError`].
    fn watch(&self) -> Result<Box<dyn StoreWatch>, StoreError>;

    /// Keeps `reports` beside the chain, each unless its slot has one with the same or a higher
    /// counter. All or none; they need not survive a power failure. Who may only read the store may
    /// still be allowed this.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`] when this process may not.
    fn put_reports(&self, reports: &[StoredReport]) -> Result<(), StoreError>;

    /// Removes the reports of these slots that still have these counters. Whoever may put reports may
    /// remove any: they are no more than what their authors last said.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`] when this process may not.
    fn drop_reports(&self, reports: &[([u8; 32], u64)]) -> Result<(), StoreError>;

    /// Every report that is kept, by slot.
    ///
    /// # Errors
    /// [`StoreError`].
    fn reports(&self) -> Result<Vec<StoredReport>, StoreError>;

    /// What tells the place of reports that is there now from one that took its place, cheaply; nothing
    /// while there is none.
    fn reports_place(&self) -> Option<(u64, u64)>;

    /// Starts to watch for reports instead of commits. The place for them is made where there is none
    /// yet.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::ReadOnly`] when there is none and this process may not make it:
    /// ask again later. A wait fails while the place is gone, and tells when it is back.
    fn watch_reports(&self) -> Result<Box<dyn StoreWatch>, StoreError>;
}

/// Opens the store at `location` (`sqlite:PATH`); `writable` asks for write permission too.
///
/// # Errors
/// [`StoreError`].
pub fn open(location: &str, writable: bool) -> Result<Box<dyn Store>, StoreError> {
    Ok(Box::new(SqliteStore::open(sqlite_path(location)?, writable)?))
}

/// Makes a new, empty store at `location`; its directory must exist.
///
/// # Errors
/// [`StoreError::Exists`] when there is one.
pub fn create(location: &str) -> Result<Box<dyn Store>, StoreError> {
    Ok(Box::new(SqliteStore::create(sqlite_path(location)?)?))
}

/// Holds that reports are no longer than they may be.
fn fits(location: &str, reports: &[StoredReport]) -> Result<(), StoreError> {
    if reports.iter().all(|report| report.bytes.len() <= MAX_REPORT) {
        return Ok(());
    }
    Err(StoreError::Unreachable {
        location: location.to_owned(),
        reason: format!("a report was offered that has over {MAX_REPORT} bytes"),
    })
}

/// Holds that `commit` is the next one after `expected`: revisions have no gaps.
fn follows(location: &str, expected: Option<Head>, commit: &StoredCommit) -> Result<(), StoreError> {
    if commit.head.revision == expected.map_or(Revision(1), |head| head.revision.next()) {
        return Ok(());
    }
    Err(StoreError::Unreachable {
        location: location.to_owned(),
        reason: "a commit was offered whose revision does not follow the one before it".to_owned(),
    })
}

fn sqlite_path(location: &str) -> Result<&std::path::Path, StoreError> {
    match location.strip_prefix("sqlite:") {
        Some("") => Err(StoreError::Location {
            problem: "the path is empty",
        }),
        Some(path) => Ok(std::path::Path::new(path)),
        None => Err(StoreError::Location {
            problem: "the kind before `:` is not known",
        }),
    }
}
