//! Uptake: owns what sidecars report beside the chain, which consumer has which version of what, its
//! bytes, and who is still waited for. It must not know how anything is found out, delivered or
//! stored. A report is worth its author's signature and no more.
//!
//! ```text
//! Consumer ── seal ──> Report (signed) ── store ──> verify ── open ──> Reported ──> Uptake::waiting
//! ```

mod consumer;
mod report;
mod waiting;

pub use consumer::{Consumer, ConsumerKind, MAX_USES, Presence, Reaction, Seen, Use};
pub use report::{NotAReport, Report, decode, slot};
pub use waiting::{KEPT, KEPT_ENDED, Lag, Missing, Reported, SILENT_AFTER, Uptake, is_outdated};
