//! A secret of 64 B over keep-alive connections, beside bare hyper that answers the same bytes.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::time::Duration;

use super::bare::Bare;
use super::client::{self, Connection};
use super::cores;
use super::kit::{note, percentile, rate, row};
use super::world::{Sidecar, TARGET, World};

const ROUNDS: usize = 9;
const LIMIT: &str = "bare hyper, current-thread, same bytes";

pub fn run() {
    let world = World::new();
    cores::on_one(|| latency(&world));
    throughput(&world);
}

/// A sidecar that records every read.
fn recording(world: &World, name: &str, more: &str) -> Sidecar {
    let directory = world.directory.path().join(format!("{name}-audit"));
    std::fs::DirBuilder::new().mode(0o700).create(&directory).unwrap();
    Sidecar::start(
        world,
        name,
        &format!("[audit]\ndirectory = {directory:?}\n{more}"),
    )
}

/// One connection and the percentiles of its rounds.
pub(super) struct Timed {
    connection: Connection,
    requests: usize,
    p50: Vec<Duration>,
    p99: Vec<Duration>,
}

impl Timed {
    /// The same for what takes long.
    pub(super) fn few(socket: &Path, request: Vec<u8>) -> Self {
        Self {
            requests: 500,
            ..Self::new(socket, request)
        }
    }

    pub(super) fn new(socket: &Path, request: Vec<u8>) -> Self {
        Self {
            connection: Connection::asking(socket, request).0,
            requests: 20_000,
            p50: Vec::new(),
            p99: Vec::new(),
        }
    }

    pub(super) fn round(&mut self) {
        let mut times = client::latencies(&mut self.connection, self.requests);
        self.p50.push(percentile(&mut times, 50));
        self.p99.push(percentile(&mut times, 99));
    }

    pub(super) fn median(&mut self) -> (Duration, Duration) {
        (percentile(&mut self.p50, 50), percentile(&mut self.p99, 50))
    }
}

fn latency(world: &World) {
    let (plain, audited) = (Sidecar::start(world, "one", ""), recording(world, "all", ""));
    let body = Connection::open(&plain.socket, TARGET).1;
    let bare = Bare::start(world.directory.path(), "bare-echo", &body, &[]);
    let mut all = [&plain.socket, &audited.socket, &bare.socket]
        .map(|socket| Timed::new(socket, client::request(TARGET)));
    for _ in 0..ROUNDS {
        all.iter_mut().for_each(Timed::round);
    }
    let [plain, audited, bare] = all.each_mut().map(Timed::median);
    let what = "secret of 64 B with everything on, 1 connection, both ends on one core";
    row(&format!("{what}, p50"), LIMIT, audited.0, bare.0, 1.5);
    note("its p99", LIMIT, audited.1, bare.1);
    row("the same without an audit log, p50", LIMIT, plain.0, bare.0, 1.25);
    note("its p99", LIMIT, plain.1, bare.1);
}

/// A server under load, and its figures of every round.
pub(super) struct Loaded<C> {
    cpu: Box<dyn Fn() -> Duration>,
    connections: Vec<C>,
    rates: Vec<f64>,
    costs: Vec<Duration>,
    p99: Vec<Duration>,
}

impl Loaded<Connection> {
    fn reading(socket: &Path, cpu: impl Fn() -> Duration + 'static) -> Self {
        Self::new(cpu, || Connection::open(socket, TARGET).0)
    }

    pub(super) fn of(sidecar: Sidecar) -> Self {
        let socket = sidecar.socket.clone();
        Self::reading(&socket, move || sidecar.process.cpu())
    }
}

impl<C: client::Asks> Loaded<C> {
    /// 32 connections, each as `open` makes it.
    pub(super) fn new(cpu: impl Fn() -> Duration + 'static, open: impl Fn() -> C) -> Self {
        Self {
            cpu: Box::new(cpu),
            connections: (0..32).map(|_| open()).collect(),
            rates: Vec::new(),
            costs: Vec::new(),
            p99: Vec::new(),
        }
    }

    pub(super) fn round(&mut self) {
        let before = (self.cpu)();
        let (mut answers, time) = client::busy(&mut self.connections, Duration::from_millis(1_000));
        let cost = (self.cpu)() - before;
        self.rates.push(answers.len() as f64 / time.as_secs_f64());
        self.costs.push(cost / u32::try_from(answers.len()).unwrap());
        self.p99.push(percentile(&mut answers, 99));
    }

    /// Answers a second, processor time of each, and the time that 99 of 100 have.
    pub(super) fn median(&mut self) -> (f64, Duration, Duration) {
        self.rates.sort_by(f64::total_cmp);
        let rate = self.rates[self.rates.len() / 2];
        (
            rate,
            percentile(&mut self.costs, 50),
            percentile(&mut self.p99, 50),
        )
    }
}

fn throughput(world: &World) {
    let shapes = [1, 2, 4];
    let mut plain = shapes.map(|workers| {
        let name = format!("workers-{workers}");
        Loaded::of(Sidecar::start(
            world,
            &name,
            &format!("[limits]\nworkers = {workers}"),
        ))
    });
    let mut audited = Loaded::of(recording(world, "audited", "[limits]\nworkers = 2"));
    let directory = tempfile::tempdir().unwrap();
    let body = Connection::open(&world.directory.path().join("workers-1/sidecar.sock"), TARGET).1;
    let bare = Bare::start(directory.path(), "bare-echo", &body, &[]);
    let socket = bare.socket.clone();
    let mut bare = Loaded::reading(&socket, move || bare.process.cpu());
    for _ in 0..ROUNDS {
        bare.round();
        audited.round();
        plain.iter_mut().for_each(Loaded::round);
    }
    let limit = bare.median();
    let all = audited.median();
    rate(
        "the same with everything on, 32 connections, `workers = 2`",
        LIMIT,
        all.0,
        limit.0,
        0.6,
    );
    note("its processor time a request", LIMIT, all.1, limit.1);
    row("its p99", LIMIT, all.2, limit.2, 2.0);
    for (workers, mut plain) in shapes.into_iter().zip(plain) {
        let each = plain.median();
        let what = format!("the same without an audit log, `workers = {workers}`");
        rate(&what, LIMIT, each.0, limit.0, 0.7);
        note("its processor time a request", LIMIT, each.1, limit.1);
    }
}
