//! Leaks into memory: what a live sidecar still holds of values that were read from it. Memory is
//! looked through as root can, so that what protects it from others does not help it pass.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::os::unix::net::UnixStream;

use strongroom_tests::component;
use strongroom_tests::http;
use strongroom_tests::scene::Scene;
use strongroom_tests::sidecar::{Settings, Sidecar};
use strongroom_tests::wait;

const READS: usize = 10_000;
/// Appears in no program and in no path.
const MARK: &[u8] = b"zaunkoenig-7Qx4";

/// Where `needle` lies in the writable memory of a process.
fn found(pid: u32, needle: &[u8]) -> Vec<String> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let memory = fs::File::open(format!("/proc/{pid}/mem")).unwrap();
    let mut places = Vec::new();
    let mut window = vec![0; 1 << 20];
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let (range, rights) = (words.next().unwrap(), words.next().unwrap());
        if !rights.starts_with("rw") {
            continue;
        }
        let name = words.nth(3).unwrap_or("anonymous");
        let (start, end) = range.split_once('-').unwrap();
        let number = |text| u64::from_str_radix(text, 16).unwrap();
        let (mut at, end) = (number(start), number(end));
        while at < end {
            let length = window.len().min((end - at) as usize);
            // a page that cannot be read, as root, cannot leak
            let read = memory.read_at(&mut window[..length], at).unwrap_or(0);
            let hits = memchr::memmem::find_iter(&window[..read], needle);
            places.extend(hits.map(|hit| format!("{:x} in {name}", at + hit as u64)));
            // what lies across two windows is seen in the second
            at += (length as u64).saturating_sub(needle.len() as u64).max(1);
            if length < window.len() {
                break;
            }
        }
    }
    places
}

/// One connection that stays.
struct Client(BufReader<UnixStream>);

impl Client {
    fn new(sidecar: &Sidecar) -> Self {
        let stream = UnixStream::connect(sidecar.socket()).unwrap();
        stream.set_read_timeout(Some(wait::PATIENCE)).unwrap();
        Self(BufReader::new(stream))
    }

    fn get(&mut self, target: &str, accept: &str) -> Vec<u8> {
        let request = format!("GET /api/v1/{target} HTTP/1.1\r\nhost: localhost\r\naccept: {accept}\r\n\r\n");
        self.0.get_mut().write_all(request.as_bytes()).unwrap();
        let mut length = 0;
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).unwrap();
            if let Some(text) = line.strip_prefix("content-length: ") {
                length = text.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).unwrap();
        body
    }
}

#[test]
fn ten_thousand_reads_leave_nothing_in_the_sidecars_memory() {
    if !rustix::process::geteuid().is_root() {
        return component::lacking("root, to read another process's memory,", "the memory scan");
    }
    let scene = Scene::with(&["base"]);
    scene.ok(&["environment", "add", "prod", "--parent", "base"]);
    let value = |number: u32| format!("{}-{number}", String::from_utf8_lossy(MARK));
    scene.put("prod", "web/token", &value(1));
    scene.put("prod", "web/long", &value(2).repeat(2_000));
    // documents pass through the memory of parsers, which wipe nothing
    for environment in ["base", "prod"] {
        let document = format!("[{environment}]\nurl = \"{}\"\n", value(4).repeat(40));
        scene.ok_with(
            &[
                "put",
                environment,
                "web/settings",
                "--kind",
                "config",
                "--format",
                "toml",
            ],
            document.as_bytes(),
        );
    }
    let identity = scene.reader("web", "prod");
    scene.ok(&["member", "grant", "web", "--compartment", "base"]);
    let sidecar = Sidecar::start(
        &scene,
        &Settings::new(&scene, "web", &identity, "prod").log("trace"),
    );

    let has = |body: &[u8]| memchr::memmem::find(body, MARK).is_some();
    let mut client = Client::new(&sidecar);
    for _ in 0..READS / 2 {
        assert!(has(&client.get("secrets/web/token", "application/octet-stream")));
        assert!(has(&client.get("secrets/web/token", "application/json")));
    }
    for _ in 0..20 {
        assert!(has(&client.get("secrets/web/long", "application/json")));
        assert!(has(&client.get("values", "*/*")));
        assert!(has(&client.get("configs/web/settings", "*/*")));
    }
    // what a client should not send, and sends
    let mut careless = Client::new(&sidecar);
    careless.get(
        "status",
        &format!("*/*\r\nauthorization: {}", value(5).repeat(300)),
    );
    careless.get(&format!("secrets/{}?at={}", value(5), value(5)), "*/*");
    drop(careless);
    // a past revision, a change while somebody watches, and a connection that ends
    let revision = sidecar.get("status").json()["revision"].as_u64().unwrap();
    let mut events = http::events(&sidecar.socket(), "/api/v1/watch", &[]).unwrap();
    events.next().unwrap().unwrap();
    scene.put("prod", "web/token", &value(3));
    events.next().unwrap().unwrap();
    assert!(has(
        &client.get(&format!("secrets/web/token?at={revision}"), "*/*")
    ));
    assert!(sidecar.secret("web/token").is_some());
    drop(events);

    // the instrument works: what the sidecar must remember is found
    let known = sidecar.socket().to_str().unwrap().as_bytes().to_vec();
    assert!(
        !found(sidecar.pid(), &known).is_empty(),
        "the scan finds nothing at all"
    );
    // a buffer is given back a moment after the client has its bytes
    let mut places = Vec::new();
    for _ in 0..20 {
        places = found(sidecar.pid(), MARK);
        if places.is_empty() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert!(places.is_empty(), "values are still in memory, at {places:?}");
    // the connection was open all the while
    assert!(has(&client.get("secrets/web/token", "*/*")));
}
