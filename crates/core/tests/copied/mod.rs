//! Copies of programs that a test then runs: owns making them where no other test is in the way.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::path::Path;
use std::process::Command;

/// Copies `program` to `to`, by a process of its own: what this one has open for writing, the child
/// of another test inherits for a moment, and the kernel runs no file that is open for writing.
pub fn copy(program: impl AsRef<Path>, to: &Path) {
    let mut copy = Command::new("cp");
    copy.args(["--preserve=mode", "--"]).arg(program.as_ref()).arg(to);
    assert!(copy.status().unwrap().success());
}
