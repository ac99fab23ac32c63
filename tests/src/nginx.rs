//! An nginx: owns starting one, with any settings or in a scratch directory where it serves one certificate, and
//! asking which.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::server::{self, Server};
use crate::{component, wait};

const PROGRAM: &str = "/usr/sbin/nginx";

/// True when there is one; when not, `what` [lacks](component::lacking) it.
#[must_use]
pub fn present(what: &str) -> bool {
    let found = server::found(&[PROGRAM]).is_some();
    if !found {
        component::lacking("nginx", what);
    }
    found
}

/// Starts one with `settings`, by which its number is in `nginx.pid` of `directory`, and waits for that.
#[must_use]
pub fn start(settings: &Path, directory: &Path) -> Server {
    let mut command = Command::new(PROGRAM);
    command.args(["-g", "daemon off;", "-e"]);
    command.arg(directory.join("error.log")).arg("-c").arg(settings);
    let server = Server::start(&mut command, &directory.join("log"));
    wait::until("nginx has its number", || {
        directory.join("nginx.pid").exists().then_some(())
    });
    server
}

/// A server of one's own.
#[derive(Debug)]
pub struct Nginx {
    directory: tempfile::TempDir,
    port: u16,
    server: Option<Server>,
}

impl Nginx {
    /// A server that runs with `pem`, a key and its certificate; `None` where nginx is missing.
    #[must_use]
    pub fn start(what: &str, pem: &str) -> Option<Self> {
        if !present(what) {
            return None;
        }
        let directory = tempfile::Builder::new()
            .prefix("strongroom-nginx-")
            .tempdir()
            .unwrap();
        let mut nginx = Self {
            directory,
            port: server::free_port(),
            server: None,
        };
        let here = nginx.directory.path().display();
        let user = if server::is_root() { "user root;" } else { "" };
        let settings = format!(
            "{user}\npid {here}/nginx.pid;\nerror_log {here}/error.log;\nworker_processes 1;\nevents {{}}\n\
             http {{\naccess_log off;\nclient_body_temp_path {here}/a;\nproxy_temp_path {here}/b;\n\
             fastcgi_temp_path {here}/c;\nuwsgi_temp_path {here}/d;\nscgi_temp_path {here}/e;\n\
             server {{\nlisten 127.0.0.1:{} ssl;\nkeepalive_timeout 60;\nssl_certificate {here}/web.pem;\n\
             ssl_certificate_key {here}/web.pem;\nlocation / {{ return 200 hello; }}\n}}\n\
             server {{\nlisten unix:{here}/status.sock;\nlocation / {{ stub_status; }}\n}}\n}}\n",
            nginx.port
        );
        std::fs::write(nginx.file("nginx.conf"), settings).unwrap();
        std::fs::write(nginx.file("web.pem"), pem).unwrap();
        nginx.run();
        Some(nginx)
    }

    /// Starts it where it was stopped.
    pub fn run(&mut self) {
        self.server = Some(start(&self.file("nginx.conf"), self.directory.path()));
        wait::until("nginx listens", || {
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

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What tells whether it would take its configuration: the words of a plan.
    #[must_use]
    pub fn test(&self) -> String {
        let settings = self.file("nginx.conf");
        format!(
            "[\"{PROGRAM}\", \"-t\", \"-q\", \"-e\", \"/dev/null\", \"-c\", \"{}\"]",
            settings.display()
        )
    }

    /// The processes that answer at its port now, whichever settings they were started with.
    #[must_use]
    pub fn workers(&self) -> BTreeSet<u32> {
        let master = std::fs::read_to_string(self.file("nginx.pid")).unwrap();
        let children = format!("/proc/{0}/task/{0}/children", master.trim());
        let children = std::fs::read_to_string(children).unwrap();
        children
            .split_whitespace()
            .map(|pid| pid.parse().unwrap())
            .collect()
    }

    /// How many requests it has begun to read and not got whole.
    #[must_use]
    pub fn requests(&self) -> u32 {
        let mut status = UnixStream::connect(self.file("status.sock")).unwrap();
        status.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
        let mut text = String::new();
        status.read_to_string(&mut text).unwrap();
        let (_, reading) = text.split_once("Reading: ").unwrap();
        reading.split_whitespace().next().unwrap().parse().unwrap()
    }

    /// The certificate that it serves now, in PEM.
    #[must_use]
    pub fn serves(&self) -> String {
        let mut child = Command::new("openssl")
            .args(["s_client", "-connect", &format!("127.0.0.1:{}", self.port)])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let _ = child.stdin.take().unwrap().write_all(b"Q\n");
        let output = child.wait_with_output().unwrap();
        certificate(&String::from_utf8_lossy(&output.stdout))
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Killed, its workers would linger.
        self.stop();
    }
}

/// The first certificate of a text in PEM.
#[must_use]
pub fn certificate(text: &str) -> String {
    const END: &str = "-----END CERTIFICATE-----";
    let text = &text[text.find("-----BEGIN CERTIFICATE-----").unwrap()..];
    text[..text.find(END).unwrap() + END.len()].to_owned()
}
