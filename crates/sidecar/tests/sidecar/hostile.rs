//! Clients that mean harm or do not know better: strange names, bodies nobody asked for, streams
//! nobody reads. What they cost is bounded.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::http::{self, Client};
use crate::process::Sidecar;
use crate::scene::Scene;

/// Anonymous memory of the process, in KiB.
pub fn own_memory(sidecar: &Sidecar) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", sidecar.child.id())).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn status(sidecar: &Sidecar, request: &str) -> u16 {
    let mut client = Client::connect(&sidecar.socket).unwrap();
    client.send(request.as_bytes()).unwrap();
    client.answer(false).unwrap().status
}

#[test]
fn only_names_that_clients_of_sockets_use_are_answered() {
    let scene = Scene::with_token();
    let sidecar = Sidecar::start(&scene, "");
    let target = "/api/v1/secrets/web/token";
    for host in [
        "",
        "localhost",
        "localhost:80",
        "unix",
        "%2Frun%2Fstrongroom%2Fweb%2Fsidecar.sock",
        "%2frun%2fx.sock",
        "run%2Fx.sock",
        "2f72756e2f782e736f636b",
        "[::]:50051",
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nhost: {host}\r\n\r\n");
        assert_eq!(status(&sidecar, &request), 200, "{host:?}");
    }
    assert_eq!(status(&sidecar, &format!("GET {target} HTTP/1.0\r\n\r\n")), 200);
    for host in [
        "example.org",
        "localhost.example.org",
        "localhost:80.example.org",
        "127.0.0.1",
        "[::1]",
        "x",
        "2f.example.org",
        "u@example.org",
        "u@2f.example.org",
    ] {
        for path in [target, "/healthz", "/api/v1/watch"] {
            let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n");
            assert_eq!(status(&sidecar, &request), 403, "{host:?}");
            // neither name may be another's
            let request = format!("GET http://{host}{path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
            assert_eq!(status(&sidecar, &request), 403, "{host:?} in the line");
            let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nhost: {host}\r\n\r\n");
            assert!(
                [400, 403].contains(&status(&sidecar, &request)),
                "{host:?} second"
            );
        }
    }
    let origin = http::request(&sidecar.socket, "GET", target, &["origin: http://localhost"]).unwrap();
    assert_eq!(origin.status, 403);
}

#[test]
fn a_body_nobody_asked_for_is_neither_parsed_nor_kept() {
    let scene = Scene::with_token();
    let sidecar = Sidecar::start(&scene, "");
    let before = own_memory(&sidecar);
    // no route takes one
    let bomb = "[".repeat(60_000);
    for method in ["POST", "PUT", "PATCH", "DELETE"] {
        let head =
            format!("{method} /api/v1/values HTTP/1.1\r\nhost: localhost\r\ncontent-length: 60000\r\n\r\n");
        assert_eq!(status(&sidecar, &format!("{head}{bomb}")), 405);
    }
    // announced too large, and endless
    let large = "GET /api/v1/values HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000000\r\n\r\n";
    assert_eq!(status(&sidecar, large), 413);
    let mut endless = UnixStream::connect(&sidecar.socket).unwrap();
    endless.set_write_timeout(Some(Duration::from_secs(5))).unwrap();
    endless
        .write_all(b"GET /api/v1/values HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n")
        .unwrap();
    let chunk = format!("10000\r\n{}\r\n", "[".repeat(65_536));
    let mut sent = 0;
    while sent < 256 << 20 && endless.write_all(chunk.as_bytes()).is_ok() {
        sent += chunk.len();
    }
    assert!(sent < 64 << 20, "{sent} bytes of a body were taken");
    let grown = own_memory(&sidecar).saturating_sub(before);
    assert!(grown < 4096, "{grown} KiB more");
    assert_eq!(sidecar.secret("web/token"), "one");
}

#[test]
fn a_thousand_watchers_that_never_read_cost_little() {
    let scene = Scene::with_token();
    let sidecar = Sidecar::start(&scene, "[limits]\nwrite_timeout = \"1h\"");
    let watchers: Vec<UnixStream> = (0..1000)
        .map(|_| {
            let mut stream = UnixStream::connect(&sidecar.socket).unwrap();
            stream
                .write_all(b"GET /api/v1/watch HTTP/1.1\r\nhost: localhost\r\n\r\n")
                .unwrap();
            stream
        })
        .collect();
    // each has its head and first event
    for stream in &watchers {
        let mut first = [0; 64];
        let mut reader = stream;
        reader.read_exact(&mut first).unwrap();
    }
    let before = own_memory(&sidecar);
    for round in 0..200 {
        let revision = scene.secret(&format!("web/{}", "x".repeat(100)), &round.to_string());
        sidecar.serves(revision);
    }
    let grown = own_memory(&sidecar).saturating_sub(before);
    // 200 events for each of them would be 60 MB
    assert!(grown < 8192, "{grown} KiB more");
    // and the others are served
    assert_eq!(sidecar.secret("web/token"), "one");
    drop(watchers);
}
