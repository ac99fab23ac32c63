//! A real sidecar process: owns starting it, waiting for it, and what it logged.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use crate::http::{self, Answer};
use crate::scene::Scene;

/// Generous: a test that waits this long has failed.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub struct Sidecar {
    pub child: Child,
    pub socket: PathBuf,
    log: Arc<Mutex<String>>,
}

pub fn command(settings: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_strongroom-sidecar"));
    command.arg("--settings").arg(settings);
    command
}

/// Runs a sidecar that is expected to end by itself; its exit code and standard error.
pub fn ends(settings: &Path, more: &[&str]) -> (Option<i32>, String) {
    let output = command(settings).args(more).output().unwrap();
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

/// Waits until `done` has something.
pub fn until<T>(what: &str, mut done: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(done) = done() {
            return done;
        }
        assert!(start.elapsed() < PATIENCE, "waited too long until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

impl Sidecar {
    /// Starts a sidecar on the scene's settings and waits until it is ready.
    pub fn start(scene: &Scene, more: &str) -> Self {
        Self::start_on(scene, &scene.settings(more))
    }

    /// The same on settings of the name `web` that are written already.
    pub fn start_on(scene: &Scene, settings: &Path) -> Self {
        let sidecar = Self::launch(command(settings), scene.file("web/s.sock"));
        sidecar.ready();
        sidecar
    }

    pub fn launch(mut command: Command, socket: PathBuf) -> Self {
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log: Arc<Mutex<String>> = Arc::default();
        let lines = BufReader::new(child.stderr.take().unwrap());
        let kept = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                let mut kept = kept.lock().unwrap();
                kept.push_str(&line);
                kept.push('\n');
            }
        });
        Self { child, socket, log }
    }

    pub fn ready(&self) {
        until(
            &format!("the sidecar is ready; it logged:\n{}", self.log()),
            || {
                http::get(&self.socket, "/readyz")
                    .ok()
                    .filter(|answer| answer.status == 200)
            },
        );
    }

    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits until the log holds `text`.
    pub fn logs(&self, text: &str) {
        until(&format!("the log has {text:?}"), || {
            self.log().contains(text).then_some(())
        });
    }

    pub fn get(&self, target: &str) -> Answer {
        http::get(&self.socket, target).unwrap()
    }

    /// A secret's text as it is now.
    pub fn secret(&self, path: &str) -> String {
        let answer = self.get(&format!("/api/v1/secrets/{path}"));
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["value"].as_str().unwrap().to_owned()
    }

    /// A document of JSON as it is now.
    pub fn document(&self, path: &str) -> serde_json::Value {
        let answer = self.get(&format!("/api/v1/configs/{path}"));
        assert_eq!(answer.status, 200, "{}", answer.text());
        serde_json::from_str(answer.json()["value"].as_str().unwrap()).unwrap()
    }

    pub fn status(&self) -> serde_json::Value {
        self.get("/api/v1/status").json()
    }

    /// Waits until it serves a revision of at least `revision`.
    pub fn serves(&self, revision: u64) {
        until("the revision is served", || {
            (self.status()["revision"].as_u64()? >= revision).then_some(())
        });
    }

    /// Waits until it refuses the store's newest revision: why.
    pub fn refused(&self) -> String {
        until("the newest revision is refused", || {
            self.status()["refused"].as_str().map(str::to_owned)
        })
    }

    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Its resident memory, bytes.
    pub fn resident(&self) -> u64 {
        let statm = std::fs::read_to_string(format!("/proc/{}/statm", self.child.id())).unwrap();
        let pages: u64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
        pages * 4096
    }

    pub fn signal(&self, signal: Signal) {
        rustix::process::kill_process(self.pid(), signal).unwrap();
    }

    pub fn ended(&mut self) -> ExitStatus {
        let child = &mut self.child;
        until("the sidecar ends", || child.try_wait().unwrap())
    }

    /// SIGTERM; it must end with 0.
    pub fn terminate(mut self) {
        self.signal(Signal::TERM);
        let status = self.ended();
        assert_eq!(status.code(), Some(0), "{:?}\n{}", status.signal(), self.log());
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
