//! Reads beside a thousand watchers that take nothing: what others have from a sidecar whose
//! watchers stand still, beside one that has none. Both follow the same store, which changes.

use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::client;
use super::kit::row;
use super::reads::Loaded;
use super::world::{Sidecar, World};

const ROUNDS: usize = 9;
const WATCHERS: usize = 1_000;
/// More than the socket of a watcher takes that never reads.
const FILLING: usize = 600;
/// As often as the store changes meanwhile.
const PAUSE: Duration = Duration::from_millis(100);

pub fn run() {
    let world = World::new();
    let more = "[limits]\nconnections = 4000\nconnections_per_uid = 4000";
    let (beside, alone) = (
        Sidecar::start(&world, "beside", more),
        Sidecar::start(&world, "alone", more),
    );
    let _watchers: Vec<UnixStream> = (0..WATCHERS)
        .map(|_| {
            let mut stream = client::connect(&beside.socket);
            stream.write_all(&client::request("/api/v1/watch")).unwrap();
            stream
        })
        .collect();
    for _ in 0..FILLING {
        world.change();
    }
    let (mut beside, mut alone) = (Loaded::of(beside), Loaded::of(alone));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                world.change();
                std::thread::sleep(PAUSE);
            }
        });
        for _ in 0..ROUNDS {
            beside.round();
            alone.round();
        }
        done.store(true, Ordering::Relaxed);
    });
    row(
        &format!("p99 of 32 connections that read beside {WATCHERS} watchers that take nothing"),
        "the same without watchers",
        beside.median().2,
        alone.median().2,
        1.1,
    );
}
