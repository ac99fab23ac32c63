//! The command line as a person or a script meets it: the real binary, real stores in scratch
//! directories, real terminals. One test binary; each module is one subject.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod desk;
mod pty;

mod audit;
mod canonical;
mod config;
mod docs;
mod doctor;
mod edit;
mod entries;
mod flag;
mod generate;
mod history;
mod identity;
mod integrity;
mod label;
mod leaks;
mod names;
mod policy;
mod policy_fmt;
mod promote;
mod reads;
mod rotate;
mod run;
mod settings;
mod structure;
mod template;
mod terminal;
mod transfer;
mod uptake;
mod watch;
mod workload;
