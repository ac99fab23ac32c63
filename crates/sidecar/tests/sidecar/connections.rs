//! Connections: protocols, deadlines, limits and who is let in.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt as _, Empty};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::{TokioExecutor, TokioIo};

use crate::grant::{audit_of, decisions};
use crate::http::{self, Client, Events};
use crate::process::{PATIENCE, Sidecar, command, until};
use crate::scene::Scene;

#[test]
fn http2_is_spoken_on_the_same_socket() {
    let scene = Scene::with_token();
    let sidecar = Sidecar::start(&scene, "");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let stream = tokio::net::UnixStream::connect(&sidecar.socket).await.unwrap();
        let executor = TokioExecutor::new();
        let (mut client, connection) = hyper::client::conn::http2::handshake(executor, TokioIo::new(stream))
            .await
            .unwrap();
        let connection = tokio::spawn(connection);
        let request = |method: &str, target: &str| {
            let uri = format!("http://localhost{target}");
            Request::builder()
                .method(method)
                .uri(uri)
                .body(Empty::<Bytes>::new())
                .unwrap()
        };
        // many at a time, answers in any order
        let mut pending = Vec::new();
        for _ in 0..100 {
            pending.push(client.send_request(request("GET", "/api/v1/secrets/web/token")));
        }
        for answer in pending {
            let answer = answer.await.unwrap();
            assert_eq!(answer.status(), 200);
            let body = answer.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(
                serde_json::from_slice::<serde_json::Value>(&body).unwrap()["value"],
                "one"
            );
        }
        let head = client
            .send_request(request("HEAD", "/api/v1/secrets/web/token"))
            .await
            .unwrap();
        assert!(head.headers().contains_key("content-length"));
        assert!(head.into_body().collect().await.unwrap().to_bytes().is_empty());
        let mut watch = client
            .send_request(request("GET", "/api/v1/watch"))
            .await
            .unwrap()
            .into_body();
        let first = watch.frame().await.unwrap().unwrap().into_data().unwrap();
        assert!(first.starts_with(b"event: revision\n"));
        let revision = scene.secret("web/token", "two");
        let second = watch.frame().await.unwrap().unwrap().into_data().unwrap();
        assert!(String::from_utf8_lossy(&second).contains(&format!("id: {revision}\n")));
        drop((watch, client));
        connection.await.unwrap().unwrap();
    });
    assert_eq!(sidecar.secret("web/token"), "two");
}

/// Longer than a connection on which nothing is asked has its buffers.
const REST: Duration = Duration::from_millis(400);

#[test]
fn a_connection_that_rested_goes_on_where_it_was() {
    let scene = Scene::with_token();
    let sidecar = Sidecar::start(&scene, "");
    let mut client = Client::connect(&sidecar.socket).unwrap();
    let request = "GET /api/v1/secrets/web/token HTTP/1.1\r\nhost: localhost\r\n";
    let value = |client: &mut Client| client.answer(false).unwrap().json()["value"].clone();
    for _ in 0..2 {
        client.send(format!("{request}\r\n").as_bytes()).unwrap();
        assert_eq!(value(&mut client), "one");
        std::thread::sleep(REST);
    }
    // half a request that came with the last one is not lost
    let (half, rest) = request.split_at(17);
    client.send(format!("{request}\r\n{half}").as_bytes()).unwrap();
    assert_eq!(value(&mut client), "one");
    std::thread::sleep(REST);
    client.send(format!("{rest}\r\n").as_bytes()).unwrap();
    assert_eq!(value(&mut client), "one");
}

#[test]
fn connections_that_rest_have_no_buffers_and_end_with_the_sidecar() {
    let scene = Scene::with_token();
    let sidecar = Sidecar::start(&scene, "[limits]\nconnections = 2000\nconnections_per_uid = 2000");
    let before = sidecar.resident();
    let mut clients = Vec::new();
    // some rest before others come, which then take the same memory: few have buffers at a time,
    // also on a machine on which the sidecar looks late
    for _ in 0..8 {
        for _ in 0..100 {
            let mut client = Client::connect(&sidecar.socket).unwrap();
            let answer = client.request("GET", "/api/v1/secrets/web/token", &[]).unwrap();
            assert_eq!(answer.status, 200);
            clients.push(client);
        }
        std::thread::sleep(REST);
    }
    let each = sidecar.resident().saturating_sub(before) / clients.len() as u64;
    // with its two buffers each has 20 KiB
    assert!(each < 15 * 1024, "{each} bytes each");
    sidecar.terminate();
    assert!(clients.iter_mut().all(Client::is_closed));
}

#[test]
fn a_client_that_sends_byte_by_byte_is_understood() {
    let scene = Scene::with_token();
    let sidecar = Sidecar::start(&scene, "");
    // begins like HTTP/2 and is not
    for (text, status) in [
        ("GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n", 200),
        ("PRI /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n", 405),
    ] {
        let mut client = Client::connect(&sidecar.socket).unwrap();
        for byte in text.as_bytes() {
            client.send(&[*byte]).unwrap();
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(client.answer(false).unwrap().status, status, "{text}");
    }
    let mut h2 = UnixStream::connect(&sidecar.socket).unwrap();
    for byte in b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0" {
        h2.write_all(&[*byte]).unwrap();
        std::thread::sleep(Duration::from_millis(1));
    }
    let mut frame = [0; 9];
    h2.read_exact(&mut frame).unwrap();
    assert_eq!(frame[3], 4, "the first frame of an HTTP/2 server is SETTINGS");
}

/// How long until the other end closes.
fn closes_after(client: &mut Client) -> Duration {
    let start = Instant::now();
    client.0.get_ref().set_read_timeout(Some(PATIENCE)).unwrap();
    assert!(client.is_closed());
    assert!(start.elapsed() < PATIENCE, "it was not closed");
    start.elapsed()
}

#[test]
fn silent_slow_and_idle_clients_are_let_go() {
    let scene = Scene::with_token();
    let limits = "[limits]\nheader_timeout = \"300ms\"\nidle_timeout = \"1500ms\"\nwrite_timeout = \"300ms\"";
    let sidecar = Sidecar::start(&scene, limits);
    let mut silent = Client::connect(&sidecar.socket).unwrap();
    let mut slow = Client::connect(&sidecar.socket).unwrap();
    slow.send(b"GET /healthz HT").unwrap();
    let mut preface = Client::connect(&sidecar.socket).unwrap();
    preface.send(b"PRI * HT").unwrap();
    let mut watcher = Events::open(&sidecar.socket, "/api/v1/watch", &[]);
    watcher.next().unwrap();
    let mut idle = Client::connect(&sidecar.socket).unwrap();
    assert_eq!(idle.request("GET", "/healthz", &[]).unwrap().status, 200);
    for client in [&mut silent, &mut slow, &mut preface] {
        closes_after(client);
    }
    // longer than a head may take, shorter than a rest may last
    std::thread::sleep(Duration::from_millis(400));
    assert_eq!(idle.request("GET", "/healthz", &[]).unwrap().status, 200);
    // a head that trickles after the first request
    idle.send(b"GET /").unwrap();
    closes_after(&mut idle);
    let mut idle = Client::connect(&sidecar.socket).unwrap();
    assert_eq!(idle.request("GET", "/healthz", &[]).unwrap().status, 200);
    assert!(closes_after(&mut idle) > Duration::from_millis(900));
    // a watch is not idle
    let revision = scene.secret("web/token", "two");
    assert_eq!(watcher.next().unwrap().id, Some(revision));
}

#[test]
fn a_client_that_does_not_take_its_answers_is_let_go() {
    let scene = Scene::with_token();
    scene.secret("large", &"x".repeat(1024 * 1024));
    let sidecar = Sidecar::start(&scene, "[limits]\nwrite_timeout = \"300ms\"");
    let mut greedy = UnixStream::connect(&sidecar.socket).unwrap();
    let request = b"GET /api/v1/secrets/large HTTP/1.1\r\nhost: localhost\r\n\r\n";
    greedy.write_all(&request.repeat(8)).unwrap();
    until("it is let go", || greedy.write_all(b"G").err());
    // what the kernel holds stays readable, the rest was never sent
    let mut rest = Vec::new();
    let _ = greedy.read_to_end(&mut rest);
    assert!(rest.len() < 8 * 1024 * 1024);
    assert_eq!(sidecar.secret("web/token"), "one");
}

#[test]
fn a_client_that_takes_its_answer_slowly_is_not_idle() {
    let scene = Scene::with_token();
    scene.secret("large", &"x".repeat(1024 * 1024));
    let sidecar = Sidecar::start(&scene, "[limits]\nidle_timeout = \"300ms\"");
    let mut slow = UnixStream::connect(&sidecar.socket).unwrap();
    let request = b"GET /api/v1/secrets/large HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    slow.write_all(request).unwrap();
    let mut taken = 0;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        std::thread::sleep(Duration::from_millis(100));
        match slow.read(&mut buffer).unwrap() {
            0 => break,
            count => taken += count,
        }
    }
    assert!(taken > 1024 * 1024, "{taken} bytes came");
}

#[test]
fn oversized_heads_are_refused() {
    let scene = Scene::with_token();
    let sidecar = Sidecar::start(&scene, "[limits]\nheader_bytes = 1024");
    let long = format!("x-long: {}", "x".repeat(2000));
    let answer = http::request(&sidecar.socket, "GET", "/healthz", &[&long]).unwrap();
    assert_eq!(answer.status, 431);
    let mut many = Client::connect(&sidecar.socket).unwrap();
    many.send(b"\x16\x03\x01\x02\x00 not http at all\r\n\r\n")
        .unwrap();
    assert!(matches!(
        many.answer(false),
        Err(_) | Ok(http::Answer { status: 400, .. })
    ));
    assert_eq!(sidecar.secret("web/token"), "one");
}

#[test]
fn connections_are_counted_for_all_and_for_each_uid() {
    let scene = Scene::with_token();
    let sidecar = Sidecar::start(&scene, "[limits]\nconnections = 6\nconnections_per_uid = 5");
    let open = || {
        let mut client = Client::connect(&sidecar.socket).unwrap();
        client.request("GET", "/healthz", &[]).map(|_| client)
    };
    let mut held: Vec<Client> = until("the one that looked for readiness is gone", || {
        (0..5).map(|_| open()).collect::<Result<_, _>>().ok()
    });
    assert!(open().is_err(), "one more of this uid is closed at once");
    held.pop();
    until("there is room again", || open().ok());
}

#[test]
fn who_waits_for_room_is_let_in_when_a_reload_makes_room() {
    let scene = Scene::with_token();
    let settings = scene.settings("[limits]\nconnections = 3");
    let sidecar = Sidecar::launch(command(&settings), scene.file("web/s.sock"));
    sidecar.ready();
    let open = || {
        let mut client = Client::connect(&sidecar.socket).unwrap();
        client.request("GET", "/healthz", &[]).map(|_| client)
    };
    let held: Vec<Client> = (0..3).map(|_| open().unwrap()).collect();
    let mut waits = Client::connect(&sidecar.socket).unwrap();
    scene.settings("[limits]\nconnections = 30");
    assert_eq!(waits.request("GET", "/healthz", &[]).unwrap().status, 200);
    drop(held);
}

#[test]
fn running_out_of_descriptors_ends_nothing() {
    let scene = Scene::with_token();
    let settings = scene.settings("");
    let mut limited = Command::new("prlimit");
    limited
        .arg("--nofile=48:48")
        .arg(env!("CARGO_BIN_EXE_strongroom-sidecar"))
        .arg("--settings")
        .arg(settings);
    let sidecar = Sidecar::launch(limited, scene.file("web/s.sock"));
    sidecar.ready();
    let clients: Vec<Client> = (0..80)
        .map(|_| Client::connect(&sidecar.socket).unwrap())
        .collect();
    sidecar.logs("accepting a connection failed");
    drop(clients);
    let answer = until("it accepts again", || http::get(&sidecar.socket, "/healthz").ok());
    assert_eq!(answer.status, 200);
    sidecar.terminate();
}

/// Asks as another user; the status, or what curl said.
fn as_uid(uid: u32, socket: &Path, target: &str) -> String {
    let output = Command::new("setpriv")
        .args([
            &format!("--reuid={uid}"),
            &format!("--regid={uid}"),
            "--clear-groups",
        ])
        .args(["curl", "-s", "-m", "20", "-w", "\n%{http_code}", "--unix-socket"])
        .arg(socket)
        .arg(format!("http://localhost{target}"))
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn only_allowed_uids_are_answered_and_a_reload_changes_who_is() {
    if !crate::root::can("become another user") {
        return;
    }
    let scene = Scene::with_token();
    std::fs::set_permissions(scene.file(""), std::fs::Permissions::from_mode(0o755)).unwrap();
    let (audit, directory) = audit_of(&scene);
    let sidecar = Sidecar::start(&scene, &format!("mode = \"0666\"\n{audit}"));
    std::fs::set_permissions(scene.file("web"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let target = "/api/v1/secrets/web/token";
    let refused = as_uid(12345, &sidecar.socket, target);
    assert!(
        refused.ends_with("\n403") && refused.contains("uid 12345") && refused.contains("allow_uids"),
        "{refused}"
    );
    let record = until("the stranger is recorded", || {
        let mut all = decisions(&directory).into_iter();
        all.find(|record| record["workload"]["uid"] == 12345)
    });
    assert_eq!(
        (&record["action"], &record["decision"], &record["name"]),
        (&"readSecret".into(), &"deny".into(), &"prod/web/token".into())
    );
    for other in [
        "/api/v1/watch",
        "/api/v1/entries",
        "/healthz",
        "/api/v1/openapi.json",
    ] {
        assert!(
            as_uid(12345, &sidecar.socket, other).ends_with("\n403"),
            "{other}"
        );
    }
    // a mounted socket of another mode keeps others from connecting at all
    let mut own = Events::open(&sidecar.socket, "/api/v1/watch", &[]);
    own.next().unwrap();
    scene.settings(&format!("mode = \"0666\"\nallow_uids = [12345]\n{audit}"));
    until("the other one is let in", || {
        as_uid(12345, &sidecar.socket, target)
            .ends_with("\n200")
            .then_some(())
    });
    assert!(own.next().is_none(), "who is not allowed any more is let go");
    assert_eq!(http::get(&sidecar.socket, target).unwrap().status, 403);
    scene.settings(&format!("mode = \"0600\"\nallow_uids = [0, 12345]\n{audit}"));
    until("the socket's mode is changed", || {
        as_uid(12345, &sidecar.socket, target)
            .ends_with("\n000")
            .then_some(())
    });
}

#[test]
fn nothing_but_the_socket_is_asked_for_the_environment() {
    // a sidecar that was given the wrong environment says which there are
    let scene = Scene::with_token();
    let settings = scene.settings("");
    let text = std::fs::read_to_string(&settings)
        .unwrap()
        .replace("\"prod\"", "\"nowhere\"");
    std::fs::write(&settings, text).unwrap();
    let output = command(&settings).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("nowhere") && said.contains("base, prod"), "{said}");
}
