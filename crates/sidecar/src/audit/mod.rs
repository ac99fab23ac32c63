//! The audit sink: owns getting records into files before anything is released, in bounded time
//! or with an error. The bytes of a line are core's. It must not know what is decided, nor HTTP.
//!
//! ```text
//! worker ── Sink::try_write ──┬─ lock free ──> Writer ──> Medium (files)     written by the worker
//!                             └─ lock taken, or trouble ──> Queue ── whoever holds the lock drains it
//! ```

mod copies;
mod keeper;
mod queue;
mod sink;
mod tick;
mod ticket;
mod trouble;
mod writer;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

pub use sink::{Attempt, Figures, Sink};
pub use strongroom_core::audit::{Durability, Files, Medium, Rest};
pub use ticket::Pending;
pub use trouble::Trouble;

/// The proof that a record is in the log. Only the sink makes one.
#[derive(Debug)]
#[must_use]
pub struct Written {
    seq: u64,
}

impl Written {
    /// The number of the last line that was written.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.seq
    }
}

/// Why a record is not in the log: what it is for must not be released.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuditError {
    /// The write was not over in time.
    #[error("the audit log takes too long")]
    Late,
    /// Too many wait already.
    #[error("too many records wait for the audit log")]
    Full,
    /// The system refused.
    #[error("the audit log cannot be written: {0}")]
    Io(io::ErrorKind),
    /// The sidecar is going down.
    #[error("the audit log is closed")]
    Stopped,
    /// There was no record: nothing is proven.
    #[error("there was nothing to record")]
    Nothing,
}

/// The settings of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Where the files lie.
    pub directory: PathBuf,
    /// Whether names stand in records as keyed hashes.
    pub hashed_names: bool,
    /// When a record counts as written.
    pub durability: Durability,
    /// A file that has so many bytes is followed by the next.
    pub rotate_bytes: u64,
    /// So is one that is so old.
    pub rotate_every: Duration,
    /// So many files are kept; all of them when `None`.
    pub keep: Option<usize>,
    /// A head is signed after so many lines,
    pub head_every_records: u64,
    /// or so long after a line.
    pub head_every: Duration,
    /// A record is written within this time or refused.
    pub timeout: Duration,
    /// A socket of syslog's that gets a copy of each line.
    pub syslog: Option<PathBuf>,
    /// Whether standard output gets one.
    pub stdout: bool,
    /// Whether evaluations of flags that are allowed are recorded.
    pub evaluations: bool,
}

impl Options {
    /// The defaults, in `directory`.
    #[must_use]
    pub fn new(directory: PathBuf) -> Self {
        Self {
            directory,
            hashed_names: false,
            durability: Durability::Written,
            rotate_bytes: 64 << 20,
            rotate_every: Duration::from_secs(24 * 3600),
            keep: None,
            head_every_records: 1000,
            head_every: Duration::from_secs(10),
            timeout: Duration::from_secs(1),
            syslog: None,
            stdout: false,
            evaluations: false,
        }
    }
}
