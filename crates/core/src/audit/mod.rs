//! The audit log: owns the bytes of its lines, their chain, the signed heads in it, finding out what
//! was done to it, and its files on a disk. It must not decide when something is recorded: the sidecar's
//! sink and the command line do. Only the files of a log that is verified are read ahead by a thread.
//!
//! ```text
//! record ── encode ──> body ── Chain::append ──> line      files ──> Verifier ──> Report
//! ```

mod ahead;
mod chain;
mod disk;
mod files;
mod journal;
mod line;
mod medium;
mod record;
mod report;
mod text;
mod verify;

pub use chain::{Chain, Head, Position, PositionError};
pub use disk::{Files, Found};
pub use files::{LogFile, MAX_LINE, file_name, files, lines, verify_directory};
pub use journal::append;
pub use line::{Body, Caller, Line, NotALine, Note, Noted, Recorded};
pub use medium::{Durability, Medium, Rest};
pub use record::{Decision, Name, NameKey, Names, Record, RequestId, Subject};
pub use report::{Fault, Problem, Report};
pub use text::Text;
pub use verify::Verifier;
