//! A secret of 64 B over keep-alive connections, beside bare hyper that answers the same bytes.

use std::time::Duration;

use super::bare::Bare;
use super::client::{self, Connection};
use super::kit::{note, percentile, rate, row};
use super::world::{Sidecar, TARGET, World};
use super::{cores, kit};

const ROUNDS: usize = 9;
const LIMIT: &str = "bare hyper, current-thread, same bytes";

pub fn run() {
    let world = World::new();
    cores::on_one(|| latency(&world));
    throughput(&world);
}

fn latency(world: &World) {
    let sidecar = Sidecar::start(world, "one", "");
    let (mut ours, body) = Connection::open(&sidecar.socket, TARGET);
    let bare = Bare::start(world.directory.path(), "bare-echo", &body, &[]);
    let (mut theirs, _) = Connection::open(&bare.socket, TARGET);
    let (mut p50, mut p99) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
    for _ in 0..ROUNDS {
        let mut times = client::latencies(&mut ours, 20_000);
        p50.0.push(percentile(&mut times, 50));
        p99.0.push(percentile(&mut times, 99));
        let mut times = client::latencies(&mut theirs, 20_000);
        p50.1.push(percentile(&mut times, 50));
        p99.1.push(percentile(&mut times, 99));
    }
    let median = |of: &mut Vec<Duration>| percentile(of, 50);
    row(
        "secret of 64 B, 1 connection, both ends on one core, p50",
        LIMIT,
        median(&mut p50.0),
        median(&mut p50.1),
        1.25,
    );
    note("its p99", LIMIT, median(&mut p99.0), median(&mut p99.1));
}

/// A server under load, and its figures of every round.
struct Loaded {
    cpu: Box<dyn Fn() -> Duration>,
    connections: Vec<Connection>,
    rates: Vec<f64>,
    costs: Vec<Duration>,
}

impl Loaded {
    fn new(socket: &std::path::Path, cpu: impl Fn() -> Duration + 'static) -> Self {
        Self {
            cpu: Box::new(cpu),
            connections: (0..32).map(|_| Connection::open(socket, TARGET).0).collect(),
            rates: Vec::new(),
            costs: Vec::new(),
        }
    }

    fn round(&mut self) {
        let before = (self.cpu)();
        let (answers, time) = client::busy(&mut self.connections, Duration::from_millis(1_000));
        let cost = (self.cpu)() - before;
        self.rates.push(answers as f64 / time.as_secs_f64());
        self.costs.push(cost / u32::try_from(answers).unwrap());
    }

    fn median(&mut self) -> (f64, Duration) {
        self.rates.sort_by(f64::total_cmp);
        (self.rates[self.rates.len() / 2], percentile(&mut self.costs, 50))
    }
}

fn throughput(world: &World) {
    let shapes = [1, 2, 4];
    let mut ours = shapes.map(|workers| {
        let name = format!("workers-{workers}");
        let sidecar = Sidecar::start(world, &name, &format!("[limits]\nworkers = {workers}"));
        let socket = sidecar.socket.clone();
        Loaded::new(&socket, move || sidecar.process.cpu())
    });
    let directory = tempfile::tempdir().unwrap();
    let body = Connection::open(&world.directory.path().join("workers-1/sidecar.sock"), TARGET).1;
    let bare = Bare::start(directory.path(), "bare-echo", &body, &[]);
    let socket = bare.socket.clone();
    let mut bare = Loaded::new(&socket, move || bare.process.cpu());
    for _ in 0..ROUNDS {
        bare.round();
        ours.iter_mut().for_each(Loaded::round);
    }
    let (limit, limit_cost) = bare.median();
    for (workers, mut ours) in shapes.into_iter().zip(ours) {
        let (each, cost) = ours.median();
        let what = format!("the same, 32 connections, `workers = {workers}`");
        rate(&what, LIMIT, each, limit, 0.7);
        kit::note("its processor time a request", LIMIT, cost, limit_cost);
    }
}
