//! A control group of a test's own, whatever its name tells: owns making it, and putting a program
//! into it. A test that uses it has `root` beside it.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::root;

/// Removed when dropped; what is in it must have ended by then.
pub struct Group(PathBuf);

impl Group {
    /// Below the group this process is in; `None`, said loudly, where none may be made.
    pub fn named(name: &str) -> Option<Self> {
        let own = std::fs::read_to_string("/proc/self/cgroup").unwrap();
        let unified = own.lines().find_map(|line| line.strip_prefix("0::"));
        let memory = own
            .lines()
            .find_map(|line| line.split_once(":memory:").map(|(_, path)| path));
        let mounted = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
        let unified = mounted
            .iter()
            .zip(unified.into_iter().cycle())
            .map(|(root, path)| format!("{root}{path}"));
        let memory = memory.map(|path| format!("/sys/fs/cgroup/memory{path}"));
        for parent in memory.into_iter().chain(unified) {
            let group = Path::new(&parent).join(name);
            if Path::new(&parent).join("cgroup.procs").exists() && std::fs::create_dir(&group).is_ok() {
                return Some(Self(group));
            }
        }
        root::lacking("no control group can be made here");
        None
    }

    /// Has `shell` go on as `program` in it.
    pub fn inside<'a>(&self, shell: &'a mut Command, program: &Path) -> &'a mut Command {
        let enter = format!(
            "echo $$ > {}/cgroup.procs && exec \"$0\" \"$@\"",
            self.0.display()
        );
        shell.args(["-c", &enter]).arg(program)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.0);
    }
}
