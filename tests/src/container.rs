//! Real containers: owns an engine with its state in a scratch directory and the containers it
//! runs. The flags that make podman work anywhere are in `scripts/container.sh`.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use crate::component;
use crate::program::workspace;
use crate::wait;

/// A container engine and a busybox root file system, both in a directory of their own.
#[derive(Debug)]
pub struct Engine {
    directory: tempfile::TempDir,
}

/// What to run.
#[derive(Clone, Debug, Default)]
pub struct Spec {
    name: String,
    empty: bool,
    arguments: Vec<String>,
}

impl Spec {
    /// A container called `name`, of user and group `id`, with a read-only root file system, a
    /// tmpfs on `/tmp` and no network.
    #[must_use]
    pub fn new(name: &str, id: u32) -> Self {
        let mut spec = Self {
            name: name.to_owned(),
            empty: false,
            arguments: vec!["--read-only".into()],
        };
        spec.push(&["--user", &format!("{id}:{id}")]);
        spec
    }

    fn push(&mut self, arguments: &[&str]) {
        self.arguments
            .extend(arguments.iter().map(|argument| (*argument).to_owned()));
    }

    /// A root file system with nothing in it, as of an image `FROM scratch`.
    #[must_use]
    pub fn from_scratch(mut self) -> Self {
        self.empty = true;
        self
    }

    /// Mounts `host` at `inside`, read-only.
    #[must_use]
    pub fn mount(mut self, host: &Path, inside: &str) -> Self {
        self.push(&["-v", &format!("{}:{inside}:ro", host.display())]);
        self
    }

    /// Gives it a label.
    #[must_use]
    pub fn label(mut self, name: &str, value: &str) -> Self {
        self.push(&["--label", &format!("{name}={value}")]);
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.push(&["-e", &format!("{name}={value}")]);
        self
    }
}

impl Engine {
    /// Makes the engine; `None`, said loudly, where `what` cannot be tested for want of one.
    #[must_use]
    pub fn new(what: &str) -> Option<Self> {
        if !["podman", "runc", "busybox"]
            .iter()
            .all(|program| component::present(program, what))
        {
            return None;
        }
        if !rustix::process::geteuid().is_root() {
            component::lacking("root, for containers with users of their own,", what);
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("empty")).unwrap();
        let status = script().arg("root").arg(directory.path().join("root")).status();
        assert!(status.unwrap().success(), "the root file system was not made");
        Some(Self { directory })
    }

    fn podman(&self) -> Command {
        let mut podman = script();
        podman.arg("podman").arg(self.directory.path().join("state"));
        podman
    }

    /// Answers at the socket `api.sock` as Docker does, until dropped.
    #[must_use]
    pub fn api(&self) -> Api {
        let socket = self.directory.path().join("api.sock");
        let service = self
            .podman()
            .args(["system", "service", "--time", "0"])
            .arg(format!("unix://{}", socket.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let api = Api { service, socket };
        wait::until("the engine's socket", || {
            std::os::unix::net::UnixStream::connect(&api.socket).ok()
        });
        api
    }

    /// Starts `command` in a container.
    #[must_use]
    pub fn start(&self, spec: Spec, command: &[&str]) -> Container<'_> {
        let mut child = self
            .podman()
            .args(["run", "--rm", "--name", &spec.name])
            .args(&spec.arguments)
            .arg("--rootfs")
            .arg(
                self.directory
                    .path()
                    .join(if spec.empty { "empty" } else { "root" }),
            )
            .args(command)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = Arc::default();
        let readers = vec![
            collect(child.stdout.take().unwrap(), &lines),
            collect(child.stderr.take().unwrap(), &lines),
        ];
        Container {
            engine: self,
            name: spec.name,
            child,
            readers,
            lines,
        }
    }

    /// Runs `command` in a container to its end: its exit code and its output.
    #[must_use]
    pub fn run(&self, spec: Spec, command: &[&str]) -> (Option<i32>, String) {
        let mut container = self.start(spec, command);
        let status = container.child.wait().unwrap();
        // the pipes end with the container, but their readers may be a moment behind
        for reader in container.readers.drain(..) {
            reader.join().unwrap();
        }
        (status.code(), container.output())
    }
}

/// An engine's socket; gone when dropped.
#[derive(Debug)]
pub struct Api {
    service: Child,
    socket: PathBuf,
}

impl Api {
    /// Where it listens.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        let _ = self.service.kill();
        let _ = self.service.wait();
    }
}

fn script() -> Command {
    let script: PathBuf = workspace().join("scripts/container.sh");
    Command::new(script)
}

/// Adds every line of `pipe` to `lines`, in a thread that ends with the pipe.
pub(crate) fn collect(
    pipe: impl std::io::Read + Send + 'static,
    lines: &Arc<Mutex<Vec<String>>>,
) -> JoinHandle<()> {
    let lines = Arc::clone(lines);
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            lines.lock().unwrap().push(line);
        }
    })
}

/// A running container; killed and removed when dropped.
#[derive(Debug)]
pub struct Container<'a> {
    engine: &'a Engine,
    name: String,
    child: Child,
    readers: Vec<JoinHandle<()>>,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Container<'_> {
    /// All it printed so far, on both outputs.
    #[must_use]
    pub fn output(&self) -> String {
        self.lines.lock().unwrap().join("\n")
    }

    /// Waits for a printed line that `matches`.
    pub fn line(&self, what: &str, matches: impl Fn(&str) -> bool) -> String {
        self.until(what, || {
            let lines = self.lines.lock().unwrap();
            lines.iter().find(|line| matches(line)).cloned()
        })
    }

    /// Asks `probe` until it gives something; where it never does, tells what the container printed.
    fn until<T>(&self, what: &str, probe: impl Fn() -> Option<T>) -> T {
        wait::until_or(probe, || {
            format!(
                "{} never came to {what}; it printed:\n{}",
                self.name,
                self.output()
            )
        })
    }

    /// Runs `command` in the running container: its exit code and both outputs.
    #[must_use]
    pub fn exec(&self, command: &[&str]) -> (Option<i32>, String) {
        let output = self
            .engine
            .podman()
            .arg("exec")
            .arg(&self.name)
            .args(command)
            .output();
        let output = output.unwrap();
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        (output.status.code(), text)
    }

    /// True while it runs.
    pub fn running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// The process id, on the host, of the first process of the container.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.until("its process id", || {
            let pid = self.inspect("{{.State.Pid}}")?.parse().ok();
            pid.filter(|pid| *pid > 0)
        })
    }

    /// Its whole id.
    #[must_use]
    pub fn id(&self) -> String {
        self.until("its id", || self.inspect("{{.Id}}"))
    }

    fn inspect(&self, what: &str) -> Option<String> {
        let mut podman = self.engine.podman();
        let output = podman.args(["inspect", "-f", what, &self.name]).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        let _ = self
            .engine
            .podman()
            .args(["rm", "--force", "--ignore", "--time", "0", &self.name])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
