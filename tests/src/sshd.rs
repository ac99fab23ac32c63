//! An SSH server: owns starting one in a scratch directory for the user who runs the tests, with one file
//! of keys, and trying a key at it.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::server::{self, Server};
use crate::{component, wait};

const PROGRAM: &str = "/usr/sbin/sshd";

/// A server of one's own.
#[derive(Debug)]
pub struct Sshd {
    directory: tempfile::TempDir,
    port: u16,
    server: Option<Server>,
}

impl Sshd {
    /// A server that runs, with an empty file of keys; `None` where OpenSSH is missing.
    #[must_use]
    pub fn start(what: &str) -> Option<Self> {
        if server::found(&[PROGRAM]).is_none() {
            component::lacking("openssh-server", what);
            return None;
        }
        if server::is_root() {
            std::fs::create_dir_all("/run/sshd").unwrap();
        }
        let directory = tempfile::Builder::new()
            .prefix("strongroom-sshd-")
            .tempdir()
            .unwrap();
        let mut sshd = Self {
            directory,
            port: server::free_port(),
            server: None,
        };
        let here = sshd.directory.path().display();
        let host_key = sshd.file("host_key");
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(&host_key)
            .status();
        assert!(made.unwrap().success());
        let settings = format!(
            "Port {}\nListenAddress 127.0.0.1\nHostKey {here}/host_key\nPidFile none\nStrictModes no\nUsePAM no\n\
             AuthorizedKeysFile {here}/authorized_keys\nPasswordAuthentication no\nPermitRootLogin prohibit-password\n\
             MaxStartups 100\nLogLevel VERBOSE\n",
            sshd.port
        );
        std::fs::write(sshd.file("sshd_config"), settings).unwrap();
        std::fs::write(sshd.keys(), "").unwrap();
        let public = std::fs::read_to_string(sshd.file("host_key.pub")).unwrap();
        let known = format!("[127.0.0.1]:{} {public}", sshd.port);
        std::fs::write(sshd.file("known_hosts"), known).unwrap();
        sshd.run();
        Some(sshd)
    }

    /// Starts it where it was stopped.
    pub fn run(&mut self) {
        let mut command = Command::new(PROGRAM);
        command.args(["-D", "-e", "-f"]).arg(self.file("sshd_config"));
        self.server = Some(Server::start(&mut command, &self.file("log")));
        wait::until("sshd listens", || {
            std::net::TcpStream::connect(("127.0.0.1", self.port)).ok()
        });
    }

    /// Stops it.
    pub fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            server.end(Signal::TERM);
        }
    }

    /// A file in its directory.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Its file of keys.
    #[must_use]
    pub fn keys(&self) -> PathBuf {
        self.file("authorized_keys")
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Who may log in.
    #[must_use]
    pub fn user() -> String {
        let output = Command::new("id").arg("-un").output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// All that it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.file("log")).unwrap()).into_owned()
    }

    /// Whether a private key gets in and a command runs.
    #[must_use]
    pub fn lets_in(&self, key: &str) -> bool {
        let file = tempfile::Builder::new()
            .prefix("key")
            .tempfile_in(self.directory.path())
            .unwrap();
        std::fs::write(file.path(), key).unwrap();
        let known = format!("UserKnownHostsFile={}", self.file("known_hosts").display());
        let output = Command::new("ssh")
            .args([
                "-F",
                "none",
                "-o",
                "BatchMode=yes",
                "-o",
                "IdentitiesOnly=yes",
                "-o",
                &known,
                "-i",
            ])
            .arg(file.path())
            .args([
                "-p",
                &self.port.to_string(),
                "-l",
                &Self::user(),
                "127.0.0.1",
                "echo",
                "inside",
            ])
            .env_remove("SSH_AUTH_SOCK")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        output.stdout == b"inside\n"
    }
}
