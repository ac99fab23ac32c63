//! A scene: owns one store in a scratch directory with an admin's identity, and running the CLI
//! against it. It must not know what a test asserts.

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::program;

/// A store, the identity of its admin `alice`, and a home for the state that programs keep.
#[derive(Debug)]
pub struct Scene {
    directory: tempfile::TempDir,
}

impl Scene {
    /// An empty scratch directory: nothing is initialised.
    #[must_use]
    pub fn bare() -> Self {
        let directory = tempfile::Builder::new().prefix("strongroom-").tempdir().unwrap();
        std::fs::create_dir(directory.path().join("home")).unwrap();
        Self { directory }
    }

    /// A store with the environments `names`.
    #[must_use]
    pub fn with(names: &[&str]) -> Self {
        let scene = Self::bare();
        scene.ok(&[
            "init",
            &scene.store(),
            "--admin",
            "alice",
            "--identity",
            "alice.identity",
            "--no-passphrase",
        ]);
        for name in names {
            scene.ok(&["environment", "add", name]);
        }
        scene
    }

    /// The scratch directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// A file of the scratch directory.
    #[must_use]
    pub fn file(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path().join(name)
    }

    /// The store's location.
    #[must_use]
    pub fn store(&self) -> String {
        format!("sqlite:{}", self.file("store.db").display())
    }

    /// `program` in the scratch directory, with this scene's store, identity and home, and no other
    /// setting of the caller's environment.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.path());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("STRONGROOM_") || name.to_string_lossy().starts_with("XDG_")
            {
                command.env_remove(name);
            }
        }
        command
            .env("HOME", self.file("home"))
            .env("STRONGROOM_STORE", self.store())
            .env("STRONGROOM_IDENTITY", self.file("alice.identity"))
            .stdin(Stdio::null());
        command
    }

    /// The CLI as the scene's admin.
    #[must_use]
    pub fn strongroom(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(program::path("strongroom"));
        command.args(arguments);
        command
    }

    /// Runs the CLI to its end.
    #[must_use]
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.strongroom(arguments).output().unwrap()
    }

    /// Runs the CLI, which must succeed: its standard output.
    pub fn ok(&self, arguments: &[&str]) -> String {
        succeeded(arguments, &self.run(arguments))
    }

    /// Runs the CLI with `input` on its standard input, which must succeed.
    pub fn ok_with(&self, arguments: &[&str], input: &[u8]) -> String {
        let mut command = self.strongroom(arguments);
        succeeded(arguments, &feed(&mut command, input))
    }

    /// Puts a secret; gives nothing back, since printing is the CLI's own matter.
    pub fn put(&self, environment: &str, path: &str, value: &str) {
        self.ok_with(&["put", environment, path], value.as_bytes());
    }

    /// Makes an identity and adds it as a reader of `compartment`; gives the identity file.
    pub fn reader(&self, name: &str, compartment: &str) -> PathBuf {
        let file = self.file(format!("{name}.identity"));
        let text = file.to_str().unwrap();
        self.ok(&["identity", "new", text, "--no-passphrase"]);
        let public = self.ok(&["identity", "show", text]);
        let public = public.trim();
        self.ok(&[
            "member",
            "add",
            name,
            "--public",
            public,
            "--role",
            "reader",
            "--compartment",
            compartment,
        ]);
        file
    }

    /// The store's fingerprint.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let status = self.ok(&["status", "--json"]);
        let status: serde_json::Value = serde_json::from_str(&status).unwrap();
        status["fingerprint"].as_str().unwrap().to_owned()
    }
}

/// Runs `command` with `input` on its standard input.
pub fn feed(command: &mut Command, input: &[u8]) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // a program that refuses before it reads closes its end: its exit code tells
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

fn succeeded(arguments: &[&str], output: &Output) -> String {
    assert!(
        output.status.success(),
        "strongroom {arguments:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout.clone()).unwrap()
}
