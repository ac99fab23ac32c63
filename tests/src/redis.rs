//! A Redis server: owns starting one in a scratch directory, stopping it, and asking it as its admin.
//! Its users lie in a file of users or in its configuration; the default one is off.

use std::path::PathBuf;
use std::process::Command;

use rustix::process::Signal;

use crate::server::{self, Server};
use crate::{component, wait};

const USER: &str = "redis";
/// The admin's password, which the file of users has as its digest.
pub const ADMIN: &str = "keeper-password-1";

/// A server of one's own.
#[derive(Debug)]
pub struct Redis {
    directory: tempfile::TempDir,
    port: u16,
    server: Option<Server>,
}

/// Where it keeps its users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Users {
    /// In a file of their own.
    File,
    /// In the configuration.
    Config,
}

impl Redis {
    /// A server that runs, with the admin `keeper` and lines of `more` users; `None` where Redis is missing.
    #[must_use]
    pub fn start(what: &str, kept: Users, more: &str) -> Option<Self> {
        if !component::present("redis-server", what) {
            return None;
        }
        let directory = server::directory(USER);
        let mut redis = Self {
            directory,
            port: server::free_port(),
            server: None,
        };
        let users = format!("user default off\nuser keeper on >{ADMIN} +@all ~* &*\n{more}\n");
        let here = redis.directory.path().display();
        let mut settings = format!(
            "bind 127.0.0.1\nport {}\nunixsocket {here}/redis.sock\nunixsocketperm 700\ndir {here}\n\
             save \"\"\nslowlog-log-slower-than 0\nslowlog-max-len 100000\n",
            redis.port
        );
        match kept {
            Users::File => {
                redis.write("users.acl", &users);
                settings.push_str(&format!("aclfile {here}/users.acl\n"));
            }
            Users::Config => settings.push_str(&users),
        }
        redis.write("redis.conf", &settings);
        redis.run();
        Some(redis)
    }

    /// A file in its directory that it may change.
    pub fn write(&self, name: &str, text: &str) {
        let file = self.file(name);
        std::fs::write(&file, text).unwrap();
        if server::is_root() {
            let done = Command::new("chown").arg(USER).arg(&file).status();
            assert!(done.unwrap().success());
        }
    }

    /// A file in its directory.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Starts it where it was stopped.
    pub fn run(&mut self) {
        let mut command = server::as_user(USER, "redis-server".as_ref());
        command.arg(self.file("redis.conf")).current_dir("/");
        self.server = Some(Server::start(&mut command, &self.file("log")));
        wait::until("Redis answers", || {
            self.ask(&["PING"]).is_ok_and(|text| text == "PONG").then_some(())
        });
    }

    /// Stops it.
    pub fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            server.end(Signal::TERM);
        }
    }

    /// Its socket.
    #[must_use]
    pub fn socket(&self) -> String {
        self.file("redis.sock").display().to_string()
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Asks it as the admin.
    pub fn ask(&self, words: &[&str]) -> Result<String, String> {
        let output = self.cli("keeper", ADMIN).args(words).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if output.status.success() && output.stderr.is_empty() {
            Ok(text)
        } else {
            Err(text + &String::from_utf8_lossy(&output.stderr))
        }
    }

    /// Asks something that must be answered.
    pub fn tell(&self, words: &[&str]) -> String {
        self.ask(words)
            .unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    /// `redis-cli` at the socket as somebody.
    #[must_use]
    pub fn cli(&self, user: &str, password: &str) -> Command {
        let mut command = Command::new("redis-cli");
        command
            .args(["-e", "-s", &self.socket(), "--user", user])
            .env("REDISCLI_AUTH", password);
        command
    }
}
