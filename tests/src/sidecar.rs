//! A running sidecar: owns its settings, its process and the wait until it is ready. It must not
//! know what a test asserts.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use crate::http;
use crate::program;
use crate::scene::Scene;
use crate::wait;

/// What a sidecar is started with, in the scene's directory.
#[derive(Clone, Debug)]
pub struct Settings {
    name: String,
    text: String,
    files: String,
}

impl Settings {
    /// A sidecar called `name` with `identity` that serves `environment` on `NAME/sidecar.sock`.
    #[must_use]
    pub fn new(scene: &Scene, name: &str, identity: &Path, environment: &str) -> Self {
        let text = format!(
            "sandbox.syscalls = \"kill\"\nstore = \"{}\"\nidentity = \"{}\"\nenvironment = \"{environment}\"\n\n[socket]\npath = \"{name}/sidecar.sock\"\n",
            scene.store(),
            identity.display(),
        );
        Self {
            name: name.to_owned(),
            text,
            files: String::new(),
        }
    }

    /// Has `file` say something of the config at `path`, nearer than any environment.
    #[must_use]
    pub fn overriding(mut self, path: &str, file: &str) -> Self {
        self.text
            .insert_str(0, &format!("overrides = {{ {path:?} = {file:?} }}\n"));
        self
    }

    /// Lets the user and group `id` read: from the socket, and the files of [`Self::files`].
    #[must_use]
    pub fn for_user(mut self, id: u32) -> Self {
        let _ = writeln!(self.text, "allow_uids = [0, {id}]\ngroup = \"{id}\"");
        let _ = writeln!(self.files, "owner = \"{id}\"\ngroup = \"{id}\"");
        self
    }

    /// Asks a container engine. Call it after everything about the socket.
    #[must_use]
    pub fn engine(mut self, socket: &Path) -> Self {
        let _ = writeln!(
            self.text,
            "\n[attestation]\nengine = \"unix:{}\"",
            socket.display()
        );
        self
    }

    /// Sets how much it logs. Call it after everything about the socket.
    #[must_use]
    pub fn log(mut self, level: &str) -> Self {
        let _ = writeln!(self.text, "\n[log]\nlevel = \"{level}\"");
        self
    }

    /// Runs a shell command when the files of [`Self::files`] changed.
    #[must_use]
    pub fn on_change(mut self, command: &str) -> Self {
        let _ = writeln!(
            self.files,
            "on_change = {{ command = [\"/bin/sh\", \"-c\", '''{command}'''] }}"
        );
        self
    }

    /// Adds tables as they are written. Call it last.
    #[must_use]
    pub fn tables(mut self, text: &str) -> Self {
        let _ = writeln!(self.text, "\n{text}");
        self
    }

    /// Keeps the values under `prefix` as files in `NAME/files`. Call it last.
    #[must_use]
    pub fn files(mut self, prefix: &str) -> Self {
        let _ = writeln!(
            self.text,
            "\n[[files]]\ndirectory = \"{}/files\"\nprefix = \"{prefix}\"\n{}",
            self.name, self.files
        );
        self
    }
}

/// A running sidecar; killed when dropped.
#[derive(Debug)]
pub struct Sidecar {
    child: Child,
    reader: JoinHandle<()>,
    directory: PathBuf,
    log: Arc<Mutex<Vec<String>>>,
}

impl Sidecar {
    /// Starts a sidecar and waits until it is ready.
    #[must_use]
    pub fn start(scene: &Scene, settings: &Settings) -> Self {
        let mut sidecar = Self::launch(scene, settings);
        sidecar.ready();
        sidecar
    }

    /// Starts a sidecar and waits for nothing.
    #[must_use]
    pub fn launch(scene: &Scene, settings: &Settings) -> Self {
        let file = scene.file(format!("{}.toml", settings.name));
        std::fs::write(&file, &settings.text).unwrap();
        let mut child = scene
            .command(program::path("strongroom-sidecar"))
            .arg("--settings")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::default();
        let reader = crate::container::collect(child.stderr.take().unwrap(), &log);
        Self {
            child,
            reader,
            directory: scene.file(&settings.name),
            log,
        }
    }

    /// Waits until it says that it is ready.
    ///
    /// # Panics
    /// When it ends instead, with what it logged.
    pub fn ready(&mut self) {
        let start = std::time::Instant::now();
        loop {
            let answer = http::get(&self.socket(), "/readyz", &[]);
            if answer.is_ok_and(|answer| answer.status == 200) {
                return;
            }
            let ended = self.child.try_wait().unwrap();
            assert!(
                ended.is_none() && start.elapsed() < wait::PATIENCE,
                "the sidecar is not ready ({ended:?}):\n{}",
                self.log()
            );
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    /// Its socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.directory.join("sidecar.sock")
    }

    /// The directory of its socket and files: what a container mounts.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// What it logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.lock().unwrap().join("\n")
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the revision it serves is written down and copied: what a restart starts from.
    pub fn kept(&self) {
        let hash = self.get("status").json()["hash"].as_str().unwrap().to_owned();
        // the copy comes first, then the trust file
        let trust = self.directory.with_extension("state").join("trust");
        wait::until("the revision is written down", || {
            std::fs::read_to_string(&trust)
                .ok()
                .filter(|text| text.contains(&hash))
        });
    }

    /// Asks its API; `target` follows `/api/v1/`.
    ///
    /// # Panics
    /// When there is no answer.
    #[must_use]
    pub fn get(&self, target: &str) -> http::Answer {
        let answer = http::get(&self.socket(), &format!("/api/v1/{target}"), &[]);
        answer.unwrap_or_else(|error| panic!("{target}: {error}; the sidecar logged:\n{}", self.log()))
    }

    /// A secret's text, when it answers with one.
    #[must_use]
    pub fn secret(&self, path: &str) -> Option<String> {
        let target = format!("/api/v1/secrets/{path}");
        let answer = http::get(&self.socket(), &target, &["accept: application/octet-stream"]).ok()?;
        (answer.status == 200).then(|| answer.text())
    }

    /// The exit code when it has ended; `None` inside for a signal.
    pub fn ended(&mut self) -> Option<Option<i32>> {
        let code = self.child.try_wait().unwrap().map(|status| status.code());
        if code.is_some() {
            // What it wrote last may still be on its way; a process that the sidecar left behind can
            // keep the pipe open.
            let start = std::time::Instant::now();
            while !self.reader.is_finished() && start.elapsed().as_secs() < 2 {
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
        }
        code
    }

    /// SIGKILL: no chance to clean up.
    pub fn kill(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// SIGTERM, and the exit code it then ends with.
    ///
    /// # Panics
    /// When it does not end.
    pub fn terminate(mut self) -> Option<i32> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        wait::until("the sidecar ends at SIGTERM", || self.child.try_wait().unwrap()).code()
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
