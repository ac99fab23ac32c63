//! The stage of these tests: a store, a sidecar, and commands run through `strongroom-run`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use strongroom_tests::scene::Scene;
use strongroom_tests::sidecar::{Settings, Sidecar};
use strongroom_tests::wait;

pub(crate) const CANARY: &str = "canary-5d1f0c";

pub(crate) struct Stage {
    pub(crate) scene: Scene,
    identity: PathBuf,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let scene = Scene::with(&["prod"]);
        scene.put("prod", "web/database/password", CANARY);
        scene.put("prod", "web/empty", "");
        scene.put("prod", "shared/ca", "ca-1");
        let identity = scene.reader("web", "prod");
        Self { scene, identity }
    }

    pub(crate) fn settings(&self) -> Settings {
        Settings::new(&self.scene, "web", &self.identity, "prod")
    }

    pub(crate) fn sidecar(&self) -> Sidecar {
        Sidecar::start(&self.scene, &self.settings())
    }

    /// `strongroom-run` in the scene's directory, with the sidecar's socket.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.scene.command(env!("CARGO_BIN_EXE_strongroom-run"));
        command
            .args(["--socket", "web/sidecar.sock"])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command(arguments).output().unwrap())
    }

    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        Running(self.command(arguments).spawn().unwrap())
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.scene.file(name)
    }

    pub(crate) fn put(&self, path: &str, value: &str) {
        self.scene.put("prod", path, value);
    }

    /// Waits until a file of the scene's directory holds `text`.
    pub(crate) fn reads(&self, name: &str, text: &str) {
        reads(&self.file(name), text);
    }
}

pub(crate) fn reads(file: &Path, text: &str) {
    wait::until(&format!("{text:?} in {}", file.display()), || {
        (fs::read_to_string(file).ok()? == text).then_some(())
    });
}

/// How a command ended and what it wrote.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// It failed with `code` and says all of `words`.
    pub(crate) fn failed(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        for word in words {
            assert!(self.err.contains(word), "{word:?} is not said: {}", self.err);
        }
        assert!(!self.err.contains(CANARY), "{}", self.err);
    }
}

/// A running `strongroom-run`; killed when dropped.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.0), signal).unwrap();
    }

    /// Ends it with SIGTERM: what it wrote.
    pub(crate) fn end(mut self) -> Ran {
        use std::io::Read as _;
        self.signal(rustix::process::Signal::TERM);
        let status = self.0.wait().unwrap();
        let (mut out, mut err) = (String::new(), String::new());
        self.0.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        self.0.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        Ran {
            code: status.code(),
            out,
            err,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(None) = self.0.try_wait() {
            // what it started ends with it
            let pid = rustix::process::Pid::from_child(&self.0);
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            let _ = self.0.wait();
        }
    }
}
