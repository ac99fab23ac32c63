//! The kit of the tests across crates: owns how a test gets programs, a store, a sidecar, a
//! container, and how it waits. It must not know what any test asserts.
//!
//! Whatever a test starts is ended by process id or container name when its handle is dropped.

// a kit that cannot go on has found a failure: it says what and where, and stops the test
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::unwrap_used
)]

pub mod component;
pub mod container;
pub mod dice;
pub mod flag_client;
pub mod http;
pub mod nginx;
pub mod postgres;
pub mod program;
pub mod redis;
pub mod scene;
pub mod server;
pub mod sidecar;
pub mod source;
pub mod sshd;
pub mod wait;
