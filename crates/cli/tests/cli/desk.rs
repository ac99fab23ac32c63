//! A desk to work at: owns a scratch directory with a home, running the binary in it, and the rule
//! that no test value ever shows on stderr. It must not know what a test asserts.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// Part of every secret value that tests use; on stderr or in any file it is a leak.
pub(crate) const CANARY: &str = "c4n4ry-7f3a9d";

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_strongroom");

/// A scratch directory with a home.
pub(crate) struct Desk {
    dir: tempfile::TempDir,
}

/// How a run ended.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Desk {
    /// Nothing is initialised.
    pub(crate) fn bare() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("strongroom-cli-")
            .tempdir()
            .unwrap();
        std::fs::create_dir(dir.path().join("home")).unwrap();
        Self { dir }
    }

    /// A store with admin `alice` and the environment `prod`.
    pub(crate) fn new() -> Self {
        let desk = Self::bare();
        desk.ok(["init", "--admin", "alice", "--no-passphrase"]);
        desk.ok(["environment", "add", "prod"]);
        desk
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let file = self.file(name);
        std::fs::write(&file, bytes).unwrap();
        file
    }

    /// The binary at this desk: its store and identity, and nothing of the caller's settings.
    pub(crate) fn command(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
        let mut command = self.other(BINARY);
        command.args(arguments);
        command
    }

    /// Another program with the same surroundings.
    pub(crate) fn other(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.file("home"))
            .env(
                "STRONGROOM_STORE",
                format!("sqlite:{}", self.file("store.db").display()),
            )
            .env("STRONGROOM_IDENTITY", self.file("alice.identity"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub(crate) fn run(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Ran {
        Ran::of(self.command(arguments).output().unwrap())
    }

    /// Runs with `input` on stdin.
    pub(crate) fn feed(
        &self,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
        input: impl AsRef<[u8]>,
    ) -> Ran {
        let mut child = self.command(arguments).stdin(Stdio::piped()).spawn().unwrap();
        // A program that refuses before it reads closes its end.
        let _ = child.stdin.take().unwrap().write_all(input.as_ref());
        Ran::of(child.wait_with_output().unwrap())
    }

    /// Runs, must succeed: stdout.
    pub(crate) fn ok(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> String {
        self.run(arguments).ok()
    }

    /// Runs with `--json`, must succeed: the one document.
    pub(crate) fn json(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Value {
        let mut command = self.command(arguments);
        Ran::of(command.arg("--json").output().unwrap()).json()
    }

    pub(crate) fn put(&self, environment: &str, path: &str, value: impl AsRef<[u8]>) {
        self.feed(["put", environment, path], value).ok();
    }

    /// Makes an identity file and adds it as a member.
    pub(crate) fn member(&self, name: &str, role: &str, compartments: &[&str]) -> PathBuf {
        let file = self.file(&format!("{name}.identity"));
        self.ok([
            OsStr::new("identity"),
            OsStr::new("new"),
            file.as_os_str(),
            OsStr::new("--no-passphrase"),
        ]);
        let public = self.ok([OsStr::new("identity"), OsStr::new("show"), file.as_os_str()]);
        let mut arguments = vec!["member", "add", name, "--public", public.trim(), "--role", role];
        for compartment in compartments {
            arguments.extend(["--compartment", compartment]);
        }
        self.ok(arguments);
        file
    }
}

impl Ran {
    pub(crate) fn of(output: Output) -> Self {
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(!stderr.contains(CANARY), "a value shows on stderr: {stderr}");
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: output.stdout,
            stderr,
        }
    }

    pub(crate) fn ok(self) -> String {
        assert_eq!(
            self.code,
            0,
            "{}{}",
            String::from_utf8_lossy(&self.stdout),
            self.stderr
        );
        String::from_utf8(self.stdout).unwrap()
    }

    pub(crate) fn json(self) -> Value {
        serde_json::from_str(&self.ok()).unwrap()
    }

    /// Must have failed with `code`, saying `words`, and with nothing on stdout.
    pub(crate) fn refused(self, code: i32, words: &str) -> String {
        assert_eq!(
            self.code,
            code,
            "{}{}",
            String::from_utf8_lossy(&self.stdout),
            self.stderr
        );
        assert!(self.stderr.contains(words), "not said {words:?}: {}", self.stderr);
        assert!(
            self.stdout.is_empty(),
            "{}",
            String::from_utf8_lossy(&self.stdout)
        );
        self.stderr
    }
}
