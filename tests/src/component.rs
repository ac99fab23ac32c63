//! Components a machine may lack: owns the rule what then happens. Under CI a missing component
//! fails the run; elsewhere the test is skipped, loudly.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// True when `program` is there. When it is not: panics under CI, and otherwise says on the
/// terminal, past the test harness's capture, that `what` is skipped.
#[must_use]
pub fn present(program: &str, what: &str) -> bool {
    let found = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok();
    if !found {
        lacking(program, what);
    }
    found
}

/// Reports that `what` cannot be tested here for want of `component`.
pub fn lacking(component: &str, what: &str) {
    assert!(
        !under_ci(),
        "{component} is missing and CI is set: run scripts/deps.sh (needed for {what})"
    );
    // not eprintln!: the harness captures that
    let _ = writeln!(
        std::io::stderr(),
        "SKIPPED: {what}: {component} is missing; run scripts/deps.sh"
    );
}

/// True when `file` is there, which lies beside a checkout and is not installed by name. When it is not, the
/// terminal is told that `what` is skipped, and that `setting` in the environment says where it is; under CI too.
#[must_use]
pub fn is_file_there(file: &Path, setting: &str, what: &str) -> bool {
    let found = file.is_file();
    if !found {
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: {what}: {} is missing; {setting} says where it is",
            file.display()
        );
    }
    found
}

/// True when a missing component must fail the run.
#[must_use]
pub fn under_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "0" && value != "false")
}
