//! Shared by the store's tests: bytes to store, and children that run a job of the same test
//! binary in a process of their own.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr
)]

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use strongroom_core::id::{Hash, Revision};
use strongroom_core::store::{AppendError, Head, SqliteStore, Store, StoredCommit, StoredObject};
use tempfile::TempDir;

/// Long enough for anything that arrives at all.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// An object of `size` bytes that differ by `seed`.
pub(crate) fn object(seed: u64, size: usize) -> StoredObject {
    let mut bytes = seed.to_be_bytes().to_vec();
    bytes.resize(size.max(8), seed as u8);
    StoredObject {
        hash: Hash::of(&bytes),
        bytes,
    }
}

/// The commit after `head`; `text` tells it from others.
pub(crate) fn commit(head: Option<Head>, text: &str) -> StoredCommit {
    let revision = head.map_or(Revision(1), |head| head.revision.next());
    let bytes = format!("{revision} {text}").into_bytes();
    StoredCommit {
        head: Head {
            revision,
            hash: Hash::of(&bytes),
        },
        bytes,
    }
}

/// Appends a commit named `text` with one object after the head that is there, trying again after
/// each conflict. Gives the new head and how many conflicts there were.
pub(crate) fn append_until_in(store: &dyn Store, text: &str, objects: &[StoredObject]) -> (Head, usize) {
    let mut conflicts = 0;
    loop {
        let expected = store.head().unwrap();
        let commit = commit(expected, text);
        match store.append(expected, &commit, objects) {
            Ok(()) => return (commit.head, conflicts),
            Err(AppendError::Conflict { head }) => {
                assert!(head.unwrap().revision >= commit.head.revision);
                conflicts += 1;
            }
            Err(AppendError::Store(error)) => panic!("{error}"),
        }
    }
}

/// Every wanted object that is there.
pub(crate) fn objects(store: &dyn Store, wanted: &[Hash]) -> Vec<StoredObject> {
    let mut found = Vec::new();
    store
        .objects(wanted, &mut |hash, bytes| {
            found.push(StoredObject {
                hash,
                bytes: bytes.to_vec(),
            });
            true
        })
        .unwrap();
    found
}

/// The file that SQLite keeps beside `path`.
pub(crate) fn companion(path: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", path.display()))
}

/// A store with one commit in a new directory.
pub(crate) fn store() -> (TempDir, PathBuf, SqliteStore) {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("store.db");
    let store = SqliteStore::create(&path).unwrap();
    append_until_in(&store, "first", &[object(1, 50)]);
    (directory, path, store)
}

/// The variable that tells a child its job.
const JOB: &str = "STORE_TEST_JOB";

/// A process that runs one job; killed when dropped.
pub(crate) struct Job {
    pub(crate) process: Child,
    pub(crate) lines: Receiver<String>,
}

impl Job {
    /// Runs `job` about `path` in test `entry` of this binary.
    pub(crate) fn start(entry: &str, job: &str, path: &Path) -> Self {
        Self::start_by(Command::new(std::env::current_exe().unwrap()), entry, job, path)
    }

    /// The same as another user, by a `copy` of this binary that the user can run.
    pub(crate) fn start_as(user: u32, entry: &str, job: &str, path: &Path, copy: &Path) -> Self {
        let mut command = Command::new(copy);
        command.uid(user).gid(user);
        Self::start_by(command, entry, job, path)
    }

    /// The same by a command that ends in running this binary.
    pub(crate) fn start_by(mut command: Command, entry: &str, job: &str, path: &Path) -> Self {
        command.args([entry, "--exact", "--ignored", "--nocapture"]);
        command.env(JOB, job).env("STORE_TEST_PATH", path);
        Self::spawn(&mut command)
    }

    fn spawn(command: &mut Command) -> Self {
        let mut process = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let output = BufReader::new(process.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                match line.strip_prefix('@') {
                    Some(line) => drop(sender.send(line.to_owned())),
                    None => eprintln!("child: {line}"),
                }
            }
        });
        Self { process, lines }
    }

    /// The next line that the child said.
    pub(crate) fn line(&self) -> String {
        self.lines.recv_timeout(SOON).expect("the child says nothing")
    }

    /// Waits for a good end.
    pub(crate) fn finish(mut self) {
        assert!(self.process.wait().unwrap().success());
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// In a child: its job and the path it is about. None in an ordinary run of the tests.
pub(crate) fn my_job() -> Option<(String, std::path::PathBuf)> {
    Some((
        std::env::var(JOB).ok()?,
        std::env::var_os("STORE_TEST_PATH")?.into(),
    ))
}

/// In a child: says a line to its parent.
pub(crate) fn say(line: impl std::fmt::Display) {
    use std::io::Write;
    // One write for a line: a killed child says it whole or not at all.
    std::io::stderr()
        .write_all(format!("@{line}\n").as_bytes())
        .unwrap();
}
