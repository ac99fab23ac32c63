//! The sidecar as its users meet it: the real binary, a real store, real sockets.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    unreachable_pub,
    missing_docs
)]

#[path = "../../../core/tests/between/mod.rs"]
mod between;
#[path = "../../../core/tests/copied/mod.rs"]
mod copied;
#[path = "../../../core/tests/forge/mod.rs"]
mod forge;
#[path = "../../../core/tests/group/mod.rs"]
mod group;
mod http;
mod process;
mod raw;
#[path = "../../../core/tests/root/mod.rs"]
mod root;
mod scene;

mod attest;
mod audit;
mod chronicle;
mod config;
mod connections;
mod crowd;
mod engine;
mod exposition;
mod fit;
mod grant;
mod hardening;
mod held;
mod hostile;
mod inject;
mod labels;
mod lifecycle;
mod listener;
mod made;
mod metrics;
mod offline;
mod ofrep;
mod openapi;
mod overrides;
mod past;
mod policies;
mod programs;
mod reads;
mod rpc;
mod settings;
mod uptake;
mod watch;
