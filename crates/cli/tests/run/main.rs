//! `strongroom-run` against a real sidecar and a real store: values in, changes followed, failures
//! told with the right exit code.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr
)]

#[path = "../../../core/tests/copied/mod.rs"]
mod copied;
mod follow;
mod scratch;
mod stage;
mod start;
mod terminal;
