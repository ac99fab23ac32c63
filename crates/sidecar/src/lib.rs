//! The sidecar: opens what its identity may and injects it into containers, live. Owns settings,
//! the socket, following the store and injections.
//!
//! ```text
//! store -> follow -> state (one snapshot) -> grant -> serve (socket) | inject (files, process)
//!                 \-> keep (verified revision, sealed copy)
//! ```
//!
//! Every plaintext passes [`read`], and nothing does without a [`grant`]: attested, decided by policy,
//! recorded; but for policies, and for the plans that [`schedule`] has core count. Threads: one runs the
//! listener and signals, a few serve connections, one follows the store, one injects, one keeps, one
//! reports, one counts rotations.

pub mod args;
pub mod asker;
pub mod audit;
pub mod bell;
pub mod caller;
pub mod change;
pub mod chronicle;
pub mod error;
pub mod evaluated;
pub mod fallback;
pub mod flags;
pub mod follow;
pub mod grant;
pub mod guest;
pub mod harden;
pub mod home;
pub mod inject;
pub mod keep;
pub mod listen;
pub mod log;
pub mod make;
pub mod mirror;
pub mod notify;
pub mod past;
pub mod peer;
pub mod read;
pub mod reload;
pub mod run;
pub mod schedule;
pub mod serve;
pub mod settings;
pub mod source;
pub mod state;
pub mod tally;
pub mod timer;
pub mod unserved;
pub mod uptake;
pub mod worker;
