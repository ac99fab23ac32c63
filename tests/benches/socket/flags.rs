//! Evaluating flags over the socket: OFREP beside bare hyper that answers the same bytes, gRPC beside bare hyper over
//! HTTP/2 that answers the same frames, all flags at once, and an event for all who listen.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use strongroom_core::config::Format;
use strongroom_core::kind::Kind;
use strongroom_core::vault::Edit;

use super::bare::Bare;
use super::client::{self, Connection};
use super::cores;
use super::fanout::{self, Times, Watchers};
use super::grpc::{self, Grpc};
use super::kit::{note, percentile, rate, row};
use super::reads::{Loaded, Timed};
use super::vault_kit::{change, put};
use super::world::{Sidecar, World};

const ROUNDS: usize = 9;
const LIMIT: &str = "bare hyper, current-thread, same bytes";
const ONE: &str = "/ofrep/v1/evaluate/flags/new-checkout";
const ALL: &str = "/ofrep/v1/evaluate/flags";
const CONTEXT: &str =
    r#"{"context":{"targetingKey":"user-12345","email":"ada@example.org","tier":"premium"}}"#;
const RULE: &str = r#"{"state":"ENABLED","variants":{"on":true,"off":false},"defaultVariant":"off",
    "targeting":{"if":[{"ends_with":[{"var":"email"},"@example.org"]},"on"]}}"#;
/// As the issue of it has it: not every workload may read everything.
const POLICY: &str = r#"permit (principal is Workload, action == Action::"evaluateFlag", resource in Environment::"prod");
    permit (principal is Member, action, resource);"#;

pub fn run() {
    let world = World::bare();
    let flag = |key: &str| flag(key, RULE);
    let mut all: Vec<_> = (1..500)
        .map(|number| flag(&format!("flag-{number:03}")))
        .collect();
    all.push(flag("new-checkout"));
    all.push(put(
        "prod",
        "policy/flags",
        Kind::Policy,
        Format::Text,
        POLICY.as_bytes(),
    ));
    world.vault().commit(&change(all)).unwrap();
    cores::on_one(|| latency(&world));
    throughput(&world);
    every(&world);
    events(&world);
}

fn flag(key: &str, definition: &str) -> Edit {
    put("prod", key, Kind::Flag, Format::Text, definition.as_bytes())
}

fn ask() -> Vec<u8> {
    client::post(ONE, CONTEXT)
}

fn latency(world: &World) {
    let sidecar = Sidecar::start(world, "one", "");
    let body = Connection::asking(&sidecar.socket, ask()).1;
    let bare = Bare::start(world.directory.path(), "bare-echo", &body, &[]);
    let mut both = [&sidecar.socket, &bare.socket].map(|socket| Timed::new(socket, ask()));
    for _ in 0..ROUNDS {
        both.iter_mut().for_each(Timed::round);
    }
    let [ours, bare] = both.each_mut().map(Timed::median);
    let what = "one flag by OFREP with a policy, 1 connection, both ends on one core";
    row(&format!("{what}, p50"), LIMIT, ours.0, bare.0, 1.4);
    note("its p99", LIMIT, ours.1, bare.1);
}

fn throughput(world: &World) {
    let sidecar = Sidecar::start(world, "many", "[limits]\nworkers = 2");
    let socket = sidecar.socket.clone();
    let process = std::rc::Rc::new(sidecar.process);
    let body = Connection::asking(&socket, ask()).1;
    let directory = tempfile::tempdir().unwrap();
    let bare = Bare::start(directory.path(), "bare-echo", &body, &[]);
    let bare_socket = bare.socket.clone();
    let of = |socket: &Path| Connection::asking(socket, ask()).0;
    let cpu = std::rc::Rc::clone(&process);
    let mut ours = Loaded::new(move || cpu.cpu(), || of(&socket));
    let mut limit = Loaded::new(move || bare.process.cpu(), || of(&bare_socket));
    let answer = grpc::answer(&socket, CONTEXT_FIELDS, "new-checkout");
    let echo = Bare::start(directory.path(), "bare-grpc", &answer, &[]);
    let echo_socket = echo.socket.clone();
    let open = |socket: &Path| Grpc::open(socket, CONTEXT_FIELDS, "new-checkout");
    let cpu = std::rc::Rc::clone(&process);
    let mut grpc = Loaded::new(move || cpu.cpu(), || open(&socket));
    let mut frames = Loaded::new(move || echo.process.cpu(), || open(&echo_socket));
    for _ in 0..ROUNDS {
        limit.round();
        ours.round();
        frames.round();
        grpc.round();
    }
    let (ours, limit) = (ours.median(), limit.median());
    let what = "one flag by OFREP with a policy, 32 connections, `workers = 2`";
    rate(what, LIMIT, ours.0, limit.0, 0.5);
    note("its processor time a request", LIMIT, ours.1, limit.1);
    let (grpc, frames) = (grpc.median(), frames.median());
    let bare = "bare hyper over HTTP/2, current-thread, same frames";
    rate(
        "one flag by gRPC with a policy, 32 connections, `workers = 2`",
        bare,
        grpc.0,
        frames.0,
        0.7,
    );
    note("its processor time a request", bare, grpc.1, frames.1);
}

const CONTEXT_FIELDS: &[(&str, &str)] = &[
    ("targetingKey", "user-12345"),
    ("email", "ada@example.org"),
    ("tier", "premium"),
];

/// All 500 flags at once: what each of its bytes takes, beside bare hyper that answers as many.
fn every(world: &World) {
    let sidecar = Sidecar::start(world, "every", "");
    let request = || client::post(ALL, CONTEXT);
    let body = Connection::asking(&sidecar.socket, request()).1;
    let directory = tempfile::tempdir().unwrap();
    let bare = Bare::start(directory.path(), "bare-echo", &body, &[]);
    let mut both = [&sidecar.socket, &bare.socket].map(|socket| Timed::few(socket, request()));
    for _ in 0..ROUNDS {
        both.iter_mut().for_each(Timed::round);
    }
    let [ours, bare] = both.each_mut().map(Timed::median);
    let bytes = u32::try_from(body.len()).unwrap();
    let what = format!("500 flags by OFREP, {} KiB, 1 connection, p50", bytes / 1024);
    note(&what, LIMIT, ours.0, bare.0);
}

/// A change of one flag to the last of those who are to ask anew.
fn events(world: &World) {
    const COUNT: usize = 1000;
    let sidecar = Sidecar::start(world, "events", "");
    let greet = |stream: &mut _| fanout::open(stream, "/ofrep/v1/events", b"\r\n\r\n");
    let ours = Watchers::connect(&sidecar.socket, COUNT, greet);
    let number = AtomicU32::new(0);
    let mut times = fanout::times(ours, COUNT, || {
        let metadata = format!(
            r#""metadata":{{"n":{}}},"state""#,
            number.fetch_add(1, Ordering::Relaxed)
        );
        let edit = flag("new-checkout", &RULE.replacen("\"state\"", &metadata, 1));
        world.vault().commit(&change(vec![edit])).unwrap();
    });
    let what =
        format!("a change of a flag to the last of {COUNT} clients by OFREP, from the start of the commit");
    let mut of = |percent| {
        let Times { whole, after, limit } = &mut times;
        [whole, after, limit].map(|times| percentile(times, percent))
    };
    let [whole, after, limit] = of(50);
    note(&format!("{what}, p50"), fanout::LIMIT, whole, limit);
    note("the same from the end of the commit", fanout::LIMIT, after, limit);
    let [whole, after, limit] = of(99);
    row(&format!("{what}, p99"), fanout::LIMIT, whole, limit, 2.0);
    note("the same from the end of the commit", fanout::LIMIT, after, limit);
}
