//! Tests that take root, or what only some machines have: under CI they fail where they cannot run,
//! elsewhere they say that they were skipped.
#![allow(dead_code, unreachable_pub, clippy::panic)]

use std::io::Write as _;

/// True for root. Otherwise panics under CI, and says elsewhere that `what` is skipped.
pub fn can(what: &str) -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        lacking(&format!("only root can {what}"));
    }
    is_root
}

/// Panics under CI, and says elsewhere that something is skipped because of `why`.
pub fn lacking(why: &str) {
    let under_ci =
        std::env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "0" && value != "false");
    assert!(!under_ci, "CI is set, and {why}: run the tests as root");
    // not eprintln!: the harness captures that
    let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
}
