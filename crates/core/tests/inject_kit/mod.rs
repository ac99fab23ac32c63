//! What the injection tests share: material from pairs, a tmpfs to write into, waiting.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

#[path = "../copied/mod.rs"]
mod copied;
#[path = "../root/mod.rs"]
pub mod root;

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use strongroom_core::inject::{Material, Value};
use strongroom_core::kind::Kind;
use strongroom_core::name::EntryPath;
use strongroom_core::secret::Secret;

pub fn path(text: &str) -> EntryPath {
    EntryPath::new(text).unwrap()
}

pub fn material(revision: u64, values: &[(&str, &[u8])]) -> Material {
    let values = values.iter().map(|(text, bytes)| Value {
        path: path(text),
        kind: Kind::Secret,
        bytes: Secret::new(bytes.to_vec()),
    });
    Material {
        revision,
        values: values.collect(),
        made: Vec::new(),
    }
}

/// A file system of its own in a temporary directory; unmounted when dropped.
pub struct Tmpfs {
    directory: tempfile::TempDir,
}

impl Tmpfs {
    /// `None` where this user cannot mount; under CI that fails the test.
    pub fn mount(options: &str) -> Option<Self> {
        if !root::can("mount") {
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "none"])
            .arg(directory.path())
            .status()
            .unwrap();
        assert!(status.success(), "mount -t tmpfs -o {options}");
        Some(Self { directory })
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn remount(&self, options: &str) {
        let options = format!("remount,{options}");
        let status = Command::new("mount")
            .args(["-o", &options])
            .arg(self.path())
            .status();
        assert!(status.unwrap().success(), "mount -o {options}");
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

/// Runs one test of this program, which is ignored otherwise, as another user; it finds
/// `directory` in its environment.
pub fn as_user(id: u32, test: &str, directory: &Path) {
    let copy = tempfile::tempdir().unwrap();
    std::fs::set_permissions(copy.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let program = copy.path().join("test");
    copied::copy(std::env::current_exe().unwrap(), &program);
    let output = Command::new(program)
        .args(["--exact", test, "--ignored", "--nocapture"])
        .env("INJECT_DIRECTORY", directory)
        .current_dir("/")
        .uid(id)
        .gid(id)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Tries until `look` finds something; for things that happen soon, on however slow a machine.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < Duration::from_secs(30), "{what} did not happen");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The names in a directory, in order.
pub fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// The data directories in a target directory.
pub fn data_directories(directory: &Path) -> Vec<PathBuf> {
    let all = names(directory).into_iter();
    all.filter(|name| name.starts_with("..") && name != "..data")
        .map(|name| directory.join(name))
        .collect()
}
