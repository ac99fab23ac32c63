//! Servers that tests start: owns a scratch directory of one, its process and a free port. As root a
//! server runs as the user that its package made, since some refuse root.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// A process that is ended with its handle.
#[derive(Debug)]
pub struct Server(Child);

impl Server {
    /// Starts `command`, whose words go to `log`.
    #[must_use]
    pub fn start(command: &mut Command, log: &Path) -> Self {
        let log = std::fs::File::options()
            .append(true)
            .create(true)
            .open(log)
            .unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Self(child)
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let _ = kill_process(Pid::from_child(&self.0), signal);
    }

    /// Its process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Asks it to end and waits for that.
    pub fn end(mut self, signal: Signal) {
        self.signal(signal);
        let _ = self.0.wait();
    }

    /// True when it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A directory that the server of `user` may use, and nobody else.
#[must_use]
pub fn directory(user: &str) -> tempfile::TempDir {
    let directory = tempfile::Builder::new()
        .prefix("strongroom-server-")
        .tempdir()
        .unwrap();
    if is_root() {
        let done = Command::new("chown").arg(user).arg(directory.path()).status();
        assert!(done.unwrap().success(), "there is no user {user}");
    }
    directory
}

/// `program` as `user` when this is root, else as whoever this is.
#[must_use]
pub fn as_user(user: &str, program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command
        .arg(format!("--reuid={user}"))
        .arg(format!("--regid={user}"))
        .arg("--clear-groups")
        .arg(program);
    command
}

/// True for root.
#[must_use]
pub fn is_root() -> bool {
    rustix::process::getuid().is_root()
}

/// A port of the loopback that was free just now.
#[must_use]
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// The first of `places` that is there.
#[must_use]
pub fn found(places: &[&str]) -> Option<PathBuf> {
    places.iter().map(PathBuf::from).find(|path| path.exists())
}
