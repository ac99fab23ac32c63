//! A PostgreSQL server: owns starting one in a scratch directory, stopping it, and asking it as its
//! superuser. Everybody else needs a password, on the socket and on the loopback.

use std::path::PathBuf;
use std::process::Command;

use rustix::process::Signal;

use crate::server::{self, Server};
use crate::{component, wait};

const USER: &str = "postgres";

/// A server of one's own.
#[derive(Debug)]
pub struct Postgres {
    directory: tempfile::TempDir,
    binaries: PathBuf,
    port: u16,
    server: Option<Server>,
}

impl Postgres {
    /// A server that runs; `None` where PostgreSQL is missing.
    #[must_use]
    pub fn start(what: &str) -> Option<Self> {
        let Some(binaries) = binaries() else {
            component::lacking("postgresql", what);
            return None;
        };
        let directory = server::directory(USER);
        let mut postgres = Self {
            directory,
            binaries,
            port: server::free_port(),
            server: None,
        };
        // Who may log in how is said below; nobody has a password yet.
        let output = server::as_user(USER, &postgres.binaries.join("initdb"))
            .args(["--no-sync", "--auth=reject", "--encoding=UTF8", "--locale=C"])
            .arg(format!("--username={}", postgres.superuser()))
            .arg("--pgdata")
            .arg(postgres.data())
            .current_dir("/")
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        postgres.access("");
        postgres.run();
        Some(postgres)
    }

    /// Who may log in how: `more` lines before the usual ones.
    pub fn access(&self, more: &str) {
        let text = format!(
            "{more}\nlocal all {} peer\nlocal all all scram-sha-256\nhost all all 127.0.0.1/32 scram-sha-256\n",
            self.superuser()
        );
        std::fs::write(self.data().join("pg_hba.conf"), text).unwrap();
        if let Some(server) = &self.server {
            server.signal(Signal::HUP);
        }
    }

    /// Starts it where it was stopped.
    pub fn run(&mut self) {
        let mut command = server::as_user(USER, &self.binaries.join("postgres"));
        let sockets = self.directory.path().display();
        command
            .arg("-D")
            .arg(self.data())
            .args(["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"])
            .args(["-c", "log_statement=all", "-c", "log_connections=on"])
            .args(["-c", &format!("unix_socket_directories={sockets}")])
            .args(["-p", &self.port.to_string()])
            .current_dir("/");
        self.server = Some(Server::start(&mut command, &self.log_file()));
        wait::until("PostgreSQL answers", || {
            self.ask("SELECT 1").is_ok_and(|text| text == "1").then_some(())
        });
    }

    /// Stops it; whoever is connected is thrown out.
    pub fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            server.end(Signal::INT);
        }
    }

    /// The directory of its socket.
    #[must_use]
    pub fn socket(&self) -> String {
        self.directory.path().display().to_string()
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its data directory.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// The superuser, who is known by the process at the socket.
    #[must_use]
    pub fn superuser(&self) -> String {
        if server::is_root() {
            return "root".into();
        }
        let output = Command::new("id").arg("-un").output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// All that it has logged, with every statement.
    #[must_use]
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.log_file()).unwrap()).into_owned()
    }

    fn log_file(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    /// Says something as the superuser: the rows, without titles.
    pub fn ask(&self, sql: &str) -> Result<String, String> {
        let output = self.psql().args(["-c", sql]).output().unwrap();
        if output.status.success() {
            Ok(String::from_utf8(output.stdout).unwrap().trim().to_owned())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    /// Says something that must succeed.
    pub fn sql(&self, sql: &str) -> String {
        self.ask(sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// `psql` as the superuser.
    #[must_use]
    pub fn psql(&self) -> Command {
        let mut psql = Command::new(self.binaries.join("psql"));
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", "postgres"])
            .args([
                "-h",
                &self.socket(),
                "-p",
                &self.port.to_string(),
                "-U",
                &self.superuser(),
            ])
            .env_remove("PGPASSWORD");
        psql
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Its children end with it when it is asked; when it is killed they linger.
        if let Some(server) = self.server.take() {
            server.end(Signal::QUIT);
        }
    }
}

/// Where Debian has the programs of the newest version.
fn binaries() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut found: Vec<(u32, PathBuf)> = versions
        .filter_map(|version| {
            let version = version.ok()?;
            let number = version.file_name().to_str()?.parse().ok()?;
            let binaries = version.path().join("bin");
            binaries.join("postgres").exists().then_some((number, binaries))
        })
        .collect();
    found.sort();
    Some(found.pop()?.1)
}
