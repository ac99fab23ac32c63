//! One change to the last of thousands of watchers, beside a loop that writes the same bytes into
//! as many sockets.

use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use super::bare::Bare;
use super::client;
use super::kit::{note, percentile, row};
use super::world::{Sidecar, World};

const ROUNDS: usize = 31;
pub const LIMIT: &str = "bare loop of write(2), same bytes";
/// What ends an event and the chunk it comes in.
const END: &[u8] = b"\n\n\r\n";
/// A sign of life is shorter, every event is longer.
const SHORTEST: usize = 40;

pub fn run() {
    for count in [1_000, 5_000] {
        fan_out(count);
    }
}

/// Connections that wait for bytes.
pub struct Watchers {
    streams: Vec<UnixStream>,
    poll: OwnedFd,
}

impl Watchers {
    pub fn connect(socket: &Path, count: usize, mut greet: impl FnMut(&mut UnixStream)) -> Self {
        let connect = |_| {
            let mut stream = client::connect(socket);
            greet(&mut stream);
            stream
        };
        let streams: Vec<UnixStream> = (0..count).map(connect).collect();
        let poll = client::poll(streams.iter());
        Self { streams, poll }
    }

    /// Waits until every watcher has an event; the event, and when the last one had it.
    pub fn last(&mut self) -> (Vec<u8>, Instant) {
        let mut events = Vec::with_capacity(1024);
        let mut buffer = [0; 4096];
        let mut event = Vec::new();
        let mut waiting = self.streams.len();
        while waiting > 0 {
            for number in client::wait(&self.poll, &mut events) {
                let count = self.streams[number].read(&mut buffer).unwrap();
                assert!(count > 0, "a watcher was cut off");
                if buffer[..count].ends_with(END) && count >= SHORTEST {
                    waiting -= 1;
                    event = buffer[..count].to_vec();
                }
            }
        }
        (event, Instant::now())
    }
}

/// Asks for the stream and reads its first event.
pub fn watch(stream: &mut UnixStream) {
    open(stream, "/api/v1/watch", END);
}

/// Asks for a stream and reads what comes at once, up to `end`.
pub fn open(stream: &mut UnixStream, target: &str, end: &[u8]) {
    stream.write_all(&client::request(target)).unwrap();
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    while !seen.ends_with(end) {
        let count = stream.read(&mut buffer).unwrap();
        assert!(count > 0, "the watch was refused");
        seen.extend_from_slice(&buffer[..count]);
    }
}

fn fan_out(count: usize) {
    let world = World::new();
    let sidecar = Sidecar::start(&world, "many", "");
    let ours = Watchers::connect(&sidecar.socket, count, watch);
    let mut times = times(ours, count, || drop(world.change()));
    row(
        &format!("one change to the last of {count} watchers, from the start of the commit, p50"),
        LIMIT,
        percentile(&mut times.whole, 50),
        percentile(&mut times.limit, 50),
        2.0,
    );
    note(
        "the same from the end of the commit",
        LIMIT,
        percentile(&mut times.after, 50),
        percentile(&mut times.limit, 50),
    );
    note(
        "its p99, from the start",
        LIMIT,
        percentile(&mut times.whole, 99),
        percentile(&mut times.limit, 99),
    );
}

/// How long an event takes to the last who waits for it.
pub struct Times {
    /// From the start of the commit.
    pub whole: Vec<Duration>,
    /// From its end.
    pub after: Vec<Duration>,
    /// Of the loop, with the same bytes.
    pub limit: Vec<Duration>,
}

/// What `commit` does, to the last of `count`.
pub fn times(mut ours: Watchers, count: usize, commit: impl Fn() + Sync) -> Times {
    let mut change = || {
        std::thread::scope(|scope| {
            let commit = scope.spawn(|| {
                let start = Instant::now();
                commit();
                (start, Instant::now())
            });
            let (event, end) = ours.last();
            let (start, committed) = commit.join().unwrap();
            (event, end - start, end.saturating_duration_since(committed))
        })
    };
    let (event, ..) = change();
    let directory = tempfile::tempdir().unwrap();
    let arguments = [count.to_string()];
    let mut bare = Bare::start(directory.path(), "bare-fanout", &event, &arguments);
    let mut theirs = Watchers::connect(&bare.socket, count, |_| {});
    let mut order = bare.process.stdin();
    let mut times = Times {
        whole: Vec::new(),
        after: Vec::new(),
        limit: Vec::new(),
    };
    for _ in 0..ROUNDS {
        let (_, from_start, from_commit) = change();
        times.whole.push(from_start);
        times.after.push(from_commit);
        let start = Instant::now();
        order.write_all(b"!").unwrap();
        times.limit.push(theirs.last().1 - start);
        std::thread::sleep(Duration::from_millis(20));
    }
    times
}
