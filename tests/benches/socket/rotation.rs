//! From the begin of a rotation to the last of 100 consumers that is reported to have the new value,
//! beside a loop that writes the event into as many sockets; and beside the same with what a rotation cannot
//! do without: two durable commits before it, and a process behind each socket that asks. The target does
//! nothing.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use strongroom_core::ambient::Ambient;
use strongroom_core::config::Format;
use strongroom_core::id::{PlaceId, Revision};
use strongroom_core::rotator::{
    Call, Delivered, Driver, End, LABEL, Named, Reports, Target, Told, Trouble, Uptake, Waiting, Witness,
};
use strongroom_core::secret::Secret;
use strongroom_core::snapshot::{Entry, Kind};
use strongroom_core::vault::{Edit, Expect, Put};

use super::bare::Bare;
use super::client::{self, Connection};
use super::fanout::{Watchers, watch};
use super::kit::{note, percentile, row};
use super::process::{self, Process};
use super::vault_kit::{change, env, path, put};
use super::world::{PATH, Sidecar, TARGET, World};

const CONSUMERS: usize = 100;
const ROUNDS: usize = 15;
const LIMIT: &str = "bare loop of write(2) into 100 sockets";
const ROUND: &str = "two commits of bare SQLite, then the loop to 100 processes that ask";
const PLAN: &str = "strategy = \"overlap\"\ngenerator = \"password:length=64\"\nsettle = \"0s\"\n\
                    [target]\nexec = [\"/bin/true\"]\n";

/// Watches, and reads the value whenever something changed. A process of its own.
pub fn consume(socket: &str) {
    let socket = Path::new(socket);
    let mut value = Connection::open(socket, TARGET).0;
    let mut stream = client::connect(socket);
    watch(&mut stream);
    // what came between the read and the watch
    value.learn();
    let mut buffer = [0; 4096];
    while stream.read(&mut buffer).is_ok_and(|count| count > 0) {
        value.learn();
    }
}

struct Nothing;

impl Target for Nothing {
    fn perform(&mut self, _: &Call<'_>, _: Duration) -> Result<(), Trouble> {
        Ok(())
    }
}

impl Witness for Nothing {
    fn opens(&mut self, _: &[&Entry], _: Revision) -> Result<(), String> {
        Ok(())
    }
    fn told(&mut self, _: &Told<'_>) {}
}

/// Keeps when nobody was waited for any more.
struct Timed<'a> {
    reports: Reports<'a>,
    waited: bool,
    end: Option<Instant>,
}

impl Uptake for Timed<'_> {
    fn waiting(&mut self, delivered: &Delivered<'_>) -> Result<Vec<Waiting>, String> {
        let waiting = self.reports.waiting(delivered)?;
        match waiting.is_empty() {
            true => self.end = self.end.or(Some(Instant::now())),
            false => self.waited = true,
        }
        Ok(waiting)
    }
    fn pause(&mut self, at_most: Duration) {
        self.reports.pause(at_most);
    }
}

pub fn run() {
    let world = World::new();
    let vault = world.vault();
    let secret = Edit::Put(Put {
        environment: env("prod"),
        path: path(PATH),
        kind: Kind::Secret,
        value: Secret::new(vec![b'0'; 64]),
        format: Format::Text,
        labels: Some([(LABEL.to_owned(), "rotation/web".to_owned())].into()),
        compartment: None,
        expect: Expect::Any,
    });
    let plan = put(
        "prod",
        "rotation/web",
        Kind::Config,
        Format::Toml,
        PLAN.as_bytes(),
    );
    vault.commit(&change(vec![secret, plan])).unwrap();
    let sidecar = Sidecar::start(&world, "rotated", "");
    let program = std::env::current_exe().unwrap();
    let consumers: Vec<_> = (0..CONSUMERS)
        .map(|_| Process::start(Command::new(&program).arg("consume").arg(&sidecar.socket)))
        .collect();
    let ours = || {
        let (environment, path, ambient) = (env("prod"), path(PATH), Ambient::system());
        let named = Named::of(&vault.snapshot(), &environment, &path).unwrap();
        let mut timed = Timed {
            reports: Reports::new(vault, &ambient, Duration::ZERO, named.plan.within),
            waited: false,
            end: None,
        };
        let driver = Driver {
            vault,
            environment: &environment,
            path: &path,
            named: &named,
            message: "bench",
            place: PlaceId([1; 16]),
            ambient: &ambient,
            target: &mut Nothing,
            uptake: &mut timed,
            witness: &mut Nothing,
        };
        let start = Instant::now();
        assert_eq!(driver.begin(false).unwrap(), End::Rotated);
        assert!(timed.waited, "nobody was known to use it");
        let whole = start.elapsed();
        // so that reports of the next one need not wait for their turn
        std::thread::sleep(Duration::from_secs(5));
        (timed.end.unwrap() - start, whole)
    };
    process::until("all consumers are reported", || {
        let entry = vault.snapshot().entry(&env("prod"), &path(PATH)).unwrap();
        let uptake = vault.uptake().unwrap();
        uptake
            .reported
            .iter()
            .any(|one| one.consumer.of(entry.id).is_some())
    });
    std::thread::sleep(Duration::from_secs(5));
    ours();

    let event = vec![b'x'; 200];
    let mut event_and_end = event;
    event_and_end.extend(b"\n\n\r\n");
    let directory = tempfile::tempdir().unwrap();
    let mut bare = Bare::start(
        directory.path(),
        "bare-fanout",
        &event_and_end,
        &[CONSUMERS.to_string()],
    );
    let mut theirs = Watchers::connect(&bare.socket, CONSUMERS, |_| {});
    let mut order = bare.process.stdin();
    let event = vec![b'x'; 200];
    let round = Bare::start(directory.path(), "bare-round", &event, &[CONSUMERS.to_string()]);
    let mut first = client::connect(&round.socket);
    let askers: Vec<_> = (0..CONSUMERS)
        .map(|_| Process::start(Command::new(&program).arg("bare-asker").arg(&round.socket)))
        .collect();
    let (mut confirmed, mut whole, mut limit) = (Vec::new(), Vec::new(), Vec::new());
    let mut needed = Vec::new();
    for _ in 0..ROUNDS {
        let (to_last, all) = ours();
        confirmed.push(to_last);
        whole.push(all);
        let start = Instant::now();
        order.write_all(b"!").unwrap();
        limit.push(theirs.last().1 - start);
        let start = Instant::now();
        first.write_all(b"!").unwrap();
        first.read_exact(&mut [0]).unwrap();
        needed.push(start.elapsed());
    }
    drop((consumers, askers));
    row(
        "a rotation to the last of 100 consumers that has the new value, p50",
        LIMIT,
        percentile(&mut confirmed, 50),
        percentile(&mut limit, 50),
        3.0,
    );
    note(
        "the same",
        ROUND,
        percentile(&mut confirmed, 50),
        percentile(&mut needed, 50),
    );
    note(
        "the whole rotation: four commits, and the old value has ended, p50",
        LIMIT,
        percentile(&mut whole, 50),
        percentile(&mut limit, 50),
    );
}
