//! Flags over TCP: what is answered there and what is not, to whom, and what browsers are told. The sidecar is as in the
//! other tests: a call that its fence does not let through would end it.

use std::collections::BTreeSet;
use std::io::BufReader;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use strongroom_core::kind::Kind;

use crate::grant::{audit_of, decisions, recorded};
use crate::http::{Answer, Client};
use crate::process::{Sidecar, ends, until};
use crate::scene::{Scene, put};

const FLAGS: &str = "/ofrep/v1/evaluate/flags";
const PAGE: &str = "https://app.example";

const ON: &str = r#"{"state":"ENABLED","variants":{"on":true,"off":false},"defaultVariant":"on"}"#;
const OFF: &str = r#"{"state":"ENABLED","variants":{"on":true,"off":false},"defaultVariant":"off"}"#;

fn flag(scene: &Scene, key: &str, definition: &str) -> u64 {
    scene.commit(vec![put("prod", key, Kind::Flag, definition.as_bytes())])
}

/// Flags under `shown`, one beside it, and other entries there.
fn scene() -> Scene {
    let scene = Scene::with_token();
    let knows = json!({"state": "ENABLED", "variants": {"known": 1, "unknown": 0}, "defaultVariant": "unknown",
        "targeting": {"if": [{"var": "$peer.uid"}, "known"]}});
    scene.commit(vec![
        put("prod", "shown/new", Kind::Flag, ON.as_bytes()),
        put("prod", "shown/knows", Kind::Flag, knows.to_string().as_bytes()),
        put("prod", "hidden", Kind::Flag, ON.as_bytes()),
        put("prod", "shown/key", Kind::Secret, b"canary"),
    ]);
    scene
}

fn settings(more: &str) -> String {
    format!(
        "[listener]\naddress = \"127.0.0.1:0\"\nflags = [\"shown\"]\n\
         origins = [\"{PAGE}\", \"http://localhost:5173\"]\n{more}"
    )
}

fn start(scene: &Scene, more: &str) -> (Sidecar, SocketAddr) {
    let sidecar = Sidecar::start(scene, &settings(more));
    let address = sidecar.status()["listener"].as_str().unwrap().parse().unwrap();
    (sidecar, address)
}

fn connect(address: SocketAddr) -> Client {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    // read and written like any other
    Client(BufReader::new(UnixStream::from(OwnedFd::from(stream))))
}

fn request(method: &str, target: &str, headers: &[&str], body: &str) -> String {
    let lines: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    let length = body.len();
    format!("{method} {target} HTTP/1.1\r\ncontent-length: {length}\r\n{lines}\r\n{body}")
}

/// Asks as somebody who names the listener.
fn ask(address: SocketAddr, method: &str, target: &str, headers: &[&str], body: &str) -> Answer {
    let host = format!("host: {address}");
    let headers = [&[&*host], headers].concat();
    let mut client = connect(address);
    client
        .send(request(method, target, &headers, body).as_bytes())
        .unwrap();
    client.answer(false).unwrap()
}

fn evaluate(address: SocketAddr, key: &str, headers: &[&str]) -> Answer {
    ask(address, "POST", &format!("{FLAGS}/{key}"), headers, "{}")
}

/// The TCP sockets that a process has.
fn tcp_sockets(sidecar: &Sidecar) -> usize {
    let tables = ["tcp", "tcp6"].map(|name| {
        let file = format!("/proc/{}/net/{name}", sidecar.child.id());
        std::fs::read_to_string(file).unwrap_or_default()
    });
    let lines = tables.iter().flat_map(|table| table.lines().skip(1));
    let inodes: Vec<String> = lines
        .filter_map(|line| Some(format!("socket:[{}]", line.split_whitespace().nth(9)?)))
        .collect();
    let open = std::fs::read_dir(format!("/proc/{}/fd", sidecar.child.id())).unwrap();
    let targets = open.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    let is_tcp = |target: &PathBuf| inodes.iter().any(|inode| target.as_os_str() == inode.as_str());
    // one may have several descriptors
    targets.filter(is_tcp).collect::<BTreeSet<_>>().len()
}

#[test]
fn flags_are_evaluated_over_tcp_where_the_settings_want_it() {
    let scene = scene();
    let without = Sidecar::start(&scene, "");
    assert_eq!(without.status()["listener"], Value::Null);
    assert_eq!(tcp_sockets(&without), 0);
    without.terminate();
    let (sidecar, address) = start(&scene, "");
    assert_eq!(tcp_sockets(&sidecar), 1);
    sidecar.logs(&format!("address={address}"));
    let answer = evaluate(address, "shown/new", &[]);
    assert_eq!(answer.status, 200);
    assert_eq!(
        (&answer.json()["value"], &answer.json()["reason"]),
        (&json!(true), &json!("STATIC"))
    );
    let all = ask(address, "POST", FLAGS, &[], "{}");
    let keys: Vec<_> = all.json()["flags"]
        .as_array()
        .unwrap()
        .iter()
        .map(|flag| flag["key"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(keys, ["shown/knows", "shown/new"]);
    let tag = format!("if-none-match: {}", all.header("etag").unwrap());
    assert_eq!(ask(address, "POST", FLAGS, &[&tag], "{}").status, 304);
    let revision = flag(&scene, "shown/new", OFF);
    sidecar.serves(revision);
    assert_eq!(ask(address, "POST", FLAGS, &[&tag], "{}").status, 200);
    assert_eq!(evaluate(address, "shown/new", &[]).json()["value"], false);
    // the socket is what it was
    assert_eq!(sidecar.secret("shown/key"), "canary");
    sidecar.terminate();
}

#[test]
fn nothing_but_flags_of_the_settings_is_answered_over_tcp() {
    let scene = scene();
    let (sidecar, address) = start(&scene, "");
    for key in ["hidden", "gone", "shown/key", "web/token"] {
        let answer = evaluate(address, key, &[]);
        assert_eq!(answer.status, 404, "{key}");
        assert_eq!(answer.json()["errorCode"], "FLAG_NOT_FOUND");
    }
    let routes = [
        "/",
        "/api/v1/secrets/shown/key",
        "/api/v1/flags/shown/new",
        "/api/v1/values",
        "/api/v1/entries",
        "/api/v1/status",
        "/api/v1/whoami",
        "/api/v1/watch",
        "/api/v1/confirm",
        "/api/v1/openapi.json",
        "/healthz",
        "/readyz",
        "/metrics",
        "/flagd.sync.v1.FlagSyncService/FetchAllFlags",
        "/flagd.sync.v1.FlagSyncService/SyncFlags",
        "/nowhere",
    ];
    for route in routes {
        for method in ["GET", "POST", "OPTIONS", "DELETE"] {
            let page = format!("origin: {PAGE}");
            for headers in [vec!["content-type: application/json"], vec![&*page]] {
                let answer = ask(address, method, route, &headers, "{}");
                assert_eq!(answer.status, 404, "{method} {route}");
                assert!(!answer.text().contains("canary"));
            }
        }
    }
    for (method, route) in [
        ("GET", FLAGS),
        ("PUT", FLAGS),
        ("POST", "/ofrep/v1/events"),
        ("OPTIONS", FLAGS),
    ] {
        assert_eq!(
            ask(address, method, route, &[], "").status,
            405,
            "{method} {route}"
        );
    }
    // what may be asked of is told to nobody else either
    assert_eq!(sidecar.secret("web/token"), "one");
}

#[test]
fn pages_of_the_settings_are_answered_and_no_others() {
    let scene = scene();
    let (audit, directory) = audit_of(&scene);
    let (_sidecar, address) = start(&scene, &format!("{audit}evaluations = \"all\"\n"));
    let preflight = |origin: &str, target: &str| {
        let origin = format!("origin: {origin}");
        let headers = [
            &*origin,
            "access-control-request-method: POST",
            "access-control-request-headers: content-type,if-none-match",
            "access-control-request-private-network: true",
        ];
        ask(address, "OPTIONS", target, &headers, "")
    };
    for origin in [PAGE, "http://localhost:5173"] {
        let said = preflight(origin, &format!("{FLAGS}/shown/new"));
        assert_eq!(said.status, 204);
        assert_eq!(said.header("access-control-allow-origin"), Some(origin));
        assert_eq!(said.header("access-control-allow-methods"), Some("POST"));
        assert_eq!(said.header("access-control-allow-private-network"), Some("true"));
        assert_eq!(said.header("access-control-allow-credentials"), None);
        assert_eq!(said.header("vary"), Some("origin"));
        assert!(said.header("access-control-max-age").is_some());
        let allowed = said.header("access-control-allow-headers").unwrap();
        for header in ["content-type", "if-none-match", "authorization"] {
            assert!(allowed.split(", ").any(|one| one == header), "{header}");
        }
        assert_eq!(
            preflight(origin, "/ofrep/v1/events").header("access-control-allow-methods"),
            Some("GET")
        );
        let header = format!("origin: {origin}");
        for (key, status) in [("shown/new", 200), ("hidden", 404)] {
            let answer = evaluate(address, key, &[&header, "authorization: Bearer nothing"]);
            assert_eq!(answer.status, status);
            assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
            let shown = answer.header("access-control-expose-headers").unwrap();
            assert!(shown.split(", ").any(|one| one == "etag"));
        }
    }
    let is_told_nothing = |answer: Answer, what: &str| {
        assert_eq!(answer.status, 403, "{what}");
        let mut headers = answer.headers.iter();
        assert!(
            headers.all(|(name, _)| !name.starts_with("access-control")),
            "{what}"
        );
        assert!(answer.text().contains("listener.origins"), "{}", answer.text());
    };
    for other in [
        "null",
        "http://app.example",
        "https://app.example:8443",
        "https://app.example.evil.example",
        "https://evil.example",
        "HTTPS://APP.EXAMPLE",
        "*",
        "",
    ] {
        is_told_nothing(preflight(other, FLAGS), other);
        is_told_nothing(
            evaluate(address, "shown/new", &[&format!("origin: {other}")]),
            other,
        );
    }
    let twice = [&*format!("origin: {PAGE}"), "origin: https://evil.example"];
    is_told_nothing(evaluate(address, "shown/new", &twice), "two origins");
    // what a page fetches without reading it has no origin
    let image = ["sec-fetch-site: cross-site"];
    is_told_nothing(ask(address, "GET", "/ofrep/v1/events", &image, ""), "an image");
    // a program is no page
    let answer = evaluate(address, "shown/new", &[]);
    assert_eq!(
        (answer.status, answer.header("access-control-allow-origin")),
        (200, None)
    );
    // of two pages and the program: for the others nothing was done
    assert_eq!(recorded(&directory, "allow", "prod/shown/new"), 3);
}

#[test]
fn only_names_of_the_listener_are_answered() {
    let scene = scene();
    let (_sidecar, address) = start(&scene, "");
    let port = address.port();
    let target = format!("{FLAGS}/shown/new");
    let status = |request: String| {
        let mut client = connect(address);
        client.send(request.as_bytes()).unwrap();
        client.answer(false).unwrap().status
    };
    for host in [
        format!("127.0.0.1:{port}"),
        format!("localhost:{port}"),
        format!("LOCALHOST:{port}"),
    ] {
        let header = format!("host: {host}");
        assert_eq!(status(request("POST", &target, &[&header], "{}")), 200, "{host}");
    }
    for host in [
        "",
        "localhost",
        "127.0.0.1",
        "unix",
        "%2Frun%2Fx.sock",
        "[::]:50051",
        &format!("evil.example:{port}"),
        &format!("localhost.evil.example:{port}"),
        &format!("127.0.0.1:{}", port ^ 1),
        &format!("[::1]:{port}"),
        &format!("0.0.0.0:{port}"),
        &format!("u@localhost:{port}"),
    ] {
        let header = format!("host: {host}");
        for origin in [None, Some(format!("origin: {PAGE}"))] {
            let headers: Vec<&str> = [Some(&*header), origin.as_deref()]
                .into_iter()
                .flatten()
                .collect();
            let found = status(request("POST", &target, &headers, "{}"));
            assert!([400, 403].contains(&found), "{host}: {found}");
        }
    }
    let own = format!("host: {address}");
    let elsewhere = format!("http://evil.example{target}");
    assert_eq!(status(request("POST", &elsewhere, &[&own], "{}")), 403);
    let found = status(request("POST", &target, &[&own, "host: evil.example"], "{}"));
    assert!([400, 403].contains(&found), "{found}");
    let nameless = format!("POST {target} HTTP/1.0\r\ncontent-length: 2\r\n\r\n{{}}");
    assert_eq!(status(nameless), 403);
}

#[test]
fn guests_hear_of_the_flags_that_they_may_evaluate() {
    let scene = scene();
    let (sidecar, address) = start(&scene, "");
    let mut events = connect(address);
    let head = format!("GET /ofrep/v1/events HTTP/1.1\r\nhost: {address}\r\norigin: {PAGE}\r\n\r\n");
    events.send(head.as_bytes()).unwrap();
    let head = events.head().unwrap();
    assert_eq!(
        (head.status, head.header("content-type")),
        (200, Some("text/event-stream"))
    );
    assert_eq!(head.header("access-control-allow-origin"), Some(PAGE));
    flag(&scene, "hidden", OFF);
    scene.secret("shown/key", "another");
    let told = flag(&scene, "shown/new", OFF);
    let mut id = None;
    let data = loop {
        let line = events.line().unwrap();
        match line.split_once(": ") {
            Some(("id", text)) => id = Some(text.to_owned()),
            Some(("data", text)) => break text.to_owned(),
            _ => {}
        }
    };
    assert!(data.contains("refetchEvaluation"), "{data}");
    assert_eq!(
        id,
        Some(told.to_string()),
        "the first event is of the flag under `shown`"
    );
    assert_eq!(evaluate(address, "shown/new", &[]).json()["value"], false);
    // the stream ends with the sidecar
    sidecar.terminate();
    while events.line().is_ok() {}
}

#[test]
fn flagds_evaluation_is_spoken_over_tcp() {
    let scene = scene();
    let (sidecar, address) = start(&scene, "");
    let call = |method: &str, key: &str| {
        let headers = [
            "content-type: application/json",
            "connect-protocol-version: 1",
            &*format!("origin: {PAGE}"),
        ];
        let target = format!("/flagd.evaluation.{method}");
        ask(
            address,
            "POST",
            &target,
            &headers,
            &json!({ "flagKey": key }).to_string(),
        )
    };
    for version in ["v1", "v2"] {
        let method = format!("{version}.Service/ResolveBoolean");
        assert_eq!(call(&method, "shown/new").json()["value"], true);
        assert_eq!(call(&method, "hidden").json()["code"], "not_found");
    }
    let all = call("v1.Service/ResolveAll", "");
    assert_eq!(all.json()["flags"].as_object().unwrap().len(), 2);
    assert_eq!(all.header("access-control-allow-origin"), Some(PAGE));
    // and HTTP/2 is, as gRPC's clients begin
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let (mut client, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                .await
                .unwrap();
        let connection = tokio::spawn(connection);
        for (host, status) in [(address.to_string(), 200), ("evil.example:80".to_owned(), 403)] {
            let uri = format!("http://{host}{FLAGS}/shown/new");
            let request = Request::post(uri).body(Full::new(Bytes::from("{}"))).unwrap();
            let answer = client.send_request(request).await.unwrap();
            assert_eq!(answer.status(), status, "{host}");
            drop(answer.into_body().collect().await.unwrap());
        }
        drop(client);
        connection.await.unwrap().unwrap();
    });
    sidecar.terminate();
}

#[test]
fn policy_decides_for_guests_of_whom_nothing_is_known() {
    let scene = scene();
    flag(&scene, "shown/other", ON);
    let (audit, directory) = audit_of(&scene);
    let (sidecar, address) = start(&scene, &format!("{audit}evaluations = \"all\"\n"));
    // without policies whoever may connect may evaluate; rules know nothing of guests, whatever they say
    let context = json!({"context": {"$peer": {"uid": 0}, "$peer.uid": 0}}).to_string();
    let answer = ask(address, "POST", &format!("{FLAGS}/shown/knows"), &[], &context);
    assert_eq!(answer.json()["variant"], "unknown", "{}", answer.text());
    assert_eq!(recorded(&directory, "allow", "prod/shown/knows"), 1);
    let last = decisions(&directory).pop().unwrap();
    assert_eq!(
        (&last["listener"], &last["workload"]),
        (&json!("tcp"), &Value::Null)
    );
    // what policies want to know of a process fails: it permits nothing, and forbids
    let policy = |text: &str| scene.commit(vec![put("base", "access", Kind::Policy, text.as_bytes())]);
    let uid = rustix::process::geteuid().as_raw();
    for (text, key, status) in [
        (
            format!("permit (principal is Workload, action, resource) when {{ principal.uid == {uid} }};"),
            "shown/new",
            404,
        ),
        (
            "permit (principal is Workload, action, resource) unless { principal.uid == 4242 };".to_owned(),
            "shown/new",
            404,
        ),
        (
            "permit (principal is Workload, action, resource);
             forbid (principal is Workload, action, resource) when { principal.gid == 4242 };"
                .to_owned(),
            "shown/new",
            404,
        ),
        (
            "permit (principal is Workload, action == Action::\"evaluateFlag\", resource in Path::\"prod/shown/new\")
             when { principal has listener && principal.listener == \"tcp\" };"
                .to_owned(),
            "shown/other",
            404,
        ),
        (
            "permit (principal is Workload, action == Action::\"evaluateFlag\", resource in Environment::\"prod\")
             when { principal has listener };
             permit (principal is Workload, action, resource) unless { principal has listener };"
                .to_owned(),
            "shown/new",
            200,
        ),
    ] {
        let before = recorded(&directory, "deny", &format!("prod/{key}"));
        sidecar.serves(policy(&text));
        assert_eq!(evaluate(address, key, &[]).status, status, "{text}");
        if status == 404 {
            until("the denial is recorded", || {
                (recorded(&directory, "deny", &format!("prod/{key}")) > before).then_some(())
            });
        }
    }
    // no policy gives more than the settings
    assert_eq!(evaluate(address, "hidden", &[]).status, 404);
    let mut socket = Client::connect(&sidecar.socket).unwrap();
    let answer = socket.post(&format!("{FLAGS}/hidden"), &[], b"{}").unwrap();
    assert_eq!(answer.status, 200);
}

#[test]
fn guests_have_the_limits_of_one_user() {
    let scene = scene();
    let (sidecar, address) = start(
        &scene,
        "[limits]\nconnections_per_uid = 5\nheader_timeout = \"300ms\"\nidle_timeout = \"1h\"\nbody_bytes = 100\n",
    );
    // silent, and slow
    let mut silent = connect(address);
    let mut slow = connect(address);
    slow.send(b"POST /ofrep/v1/evaluate").unwrap();
    assert!(silent.is_closed() && slow.is_closed());
    let mut half = connect(address);
    half.send(format!("POST {FLAGS} HTTP/1.1\r\nhost: {address}\r\ncontent-length: 9\r\n\r\n{{").as_bytes())
        .unwrap();
    assert!(half.is_closed(), "half a body");
    assert_eq!(ask(address, "POST", FLAGS, &[], &" ".repeat(101)).status, 413);
    let open = || {
        let mut client = connect(address);
        client
            .send(request("POST", FLAGS, &[&format!("host: {address}")], "{}").as_bytes())
            .ok()?;
        client.answer(false).ok().map(|_| client)
    };
    let mut held: Vec<Client> = until("the others are gone", || (0..5).map(|_| open()).collect());
    assert!(open().is_none(), "one more is closed at once");
    // of the socket's users nobody notices
    assert_eq!(sidecar.secret("web/token"), "one");
    held.pop();
    until("there is room again", open);
}

#[test]
fn what_others_could_reach_is_not_listened_on() {
    let scene = scene();
    let check = |address: &str, more: &str| {
        let file = scene.settings(&format!(
            "[listener]\naddress = \"{address}\"\nflags = [\"shown\"]\n{more}"
        ));
        ends(&file, &["--check"])
    };
    for address in ["127.0.0.1:8016", "127.1.2.3:80", "[::1]:0"] {
        assert_eq!(check(address, "").0, Some(0), "{address}");
    }
    for address in [
        "0.0.0.0:8016",
        "[::]:8016",
        "192.0.2.1:8016",
        "[::ffff:127.0.0.1]:8016",
        "10.0.0.1:0",
    ] {
        let (code, said) = check(address, "");
        assert_eq!(code, Some(2), "{address}");
        assert!(
            said.contains("listener.address") && said.contains("nobody says who asks"),
            "{said}"
        );
        assert!(!said.contains(address), "{said}");
    }
    for (more, what) in [
        ("origins = [\"*\"]", "origins[0]"),
        ("origins = [\"https://*.example\"]", "origins[0]"),
        ("origins = [\"https://app.example/\"]", "origins[0]"),
        ("origins = [\"https://app.example:443\"]", "usual port"),
        ("origins = [\"HTTPS://app.example\"]", "origins[0]"),
        ("origins = [\"https://App.example\"]", "origins[0]"),
        ("origins = [\"https://u@app.example\"]", "origins[0]"),
        ("origins = [\"null\"]", "origins[0]"),
        ("origins = [\"https://\"]", "origins[0]"),
        ("flags = []", "listener.flags"),
    ] {
        let text = scene.settings(&format!("[listener]\naddress = \"127.0.0.1:0\"\n{more}"));
        let (code, said) = ends(&text, &["--check"]);
        assert_eq!(code, Some(2), "{more}");
        assert!(said.contains(what), "{said}");
    }
    // an address that another has is not shared
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap();
    let file = scene.settings(&format!(
        "[listener]\naddress = \"{address}\"\nflags = [\"shown\"]"
    ));
    let (code, said) = ends(&file, &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("listener.address"), "{said}");
}

#[test]
fn a_listener_changes_at_the_next_start() {
    let scene = scene();
    let (sidecar, address) = start(&scene, "");
    scene.settings(&settings("").replace("shown", "hidden"));
    sidecar.logs("listener.flags");
    assert_eq!(evaluate(address, "shown/new", &[]).status, 200);
    assert_eq!(evaluate(address, "hidden", &[]).status, 404);
}
