//! The audit log: owns the bytes of its lines, their chain, the signed heads in it, and finding
//! out what was done to it. It must not write files or run threads: the sidecar's sink does. Only
//! the files of a log that is verified are read ahead by a thread.
//!
//! ```text
//! record ── encode ──> body ── Chain::append ──> line      files ──> Verifier ──> Report
//! ```

mod ahead;
mod chain;
mod files;
mod line;
mod record;
mod report;
mod text;
mod verify;

pub use chain::{Chain, Head, Position, PositionError};
pub use files::{LogFile, MAX_LINE, file_name, files, lines, verify_directory};
pub use line::{Body, Caller, Line, NotALine, Note, Noted, Recorded};
pub use record::{Decision, Name, NameKey, Names, Record, RequestId, Subject};
pub use report::{Fault, Problem, Report};
pub use text::Text;
pub use verify::Verifier;
