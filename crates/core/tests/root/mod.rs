//! Tests that take root: under CI they fail where they cannot run, elsewhere they say that they
//! were skipped.
#![allow(dead_code, unreachable_pub, clippy::panic)]

use std::io::Write as _;

/// True for root. Otherwise panics under CI, and says elsewhere that `what` is skipped.
pub fn can(what: &str) -> bool {
    if rustix::process::geteuid().is_root() {
        return true;
    }
    let under_ci =
        std::env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "0" && value != "false");
    assert!(
        !under_ci,
        "CI is set and this is not root, who alone can {what}: run the tests as root"
    );
    // not eprintln!: the harness captures that
    let _ = writeln!(std::io::stderr(), "SKIPPED: only root can {what}");
    false
}
