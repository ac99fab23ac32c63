//! What a sidecar costs while nothing happens: memory and the size of the programs.

use std::path::Path;
use std::time::Duration;

use strongroom_tests::program;

use super::client::{self, Connection};
use super::kit::line;
use super::world::{Sidecar, TARGET, World};

const MIB: f64 = (1 << 20) as f64;

pub fn run() {
    let world = World::new();
    let sidecar = Sidecar::start(&world, "rest", "");
    // the sealed copy is made after the start
    std::thread::sleep(Duration::from_secs(2));
    memory("sidecar at rest, 100 entries: resident memory", &sidecar);
    client::latencies(&mut Connection::open(&sidecar.socket, TARGET).0, 10_000);
    memory("the same after 10,000 requests", &sidecar);
    for _ in 0..100 {
        world.change();
    }
    std::thread::sleep(Duration::from_secs(2));
    memory("the same after 100 more commits", &sidecar);
    drop(sidecar);
    idle(&world);
    size("`strongroom-sidecar`, stripped", &Sidecar::program(), 25.0);
    size(
        "`strongroom-run`, static and stripped",
        &program::static_run(),
        3.0,
    );
}

/// What a connection costs that asked once and rests: as many as this machine lets be open.
fn idle(world: &World) {
    let more = "[limits]\nconnections = 20000\nconnections_per_uid = 20000";
    let sidecar = Sidecar::start(world, "idle", more);
    // the sidecar holds two descriptors for each
    let most = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let count = most.map_or(10_000, |most| (most.saturating_sub(500) / 2).min(10_000));
    std::thread::sleep(Duration::from_secs(2));
    let before = sidecar.process.memory("VmRSS");
    let connections: Vec<_> = (0..count)
        .map(|_| Connection::open(&sidecar.socket, TARGET).0)
        .collect();
    let each = (sidecar.process.memory("VmRSS") - before) as f64 / 1024.0 / count as f64;
    line(
        &format!("each of {count} idle connections"),
        &format!("{each:.1} KiB"),
        "under 12 KiB",
        each < 12.0,
    );
    drop(connections);
}

fn memory(what: &str, sidecar: &Sidecar) {
    let resident = sidecar.process.memory("VmRSS") as f64 / MIB;
    let own = sidecar.process.memory("RssAnon") as f64 / MIB;
    line(
        what,
        &format!("{resident:.1} MiB (of it its own, not files': {own:.1})"),
        "under 12 MiB",
        resident < 12.0,
    );
}

fn size(what: &str, program: &Path, most: f64) {
    let size = std::fs::metadata(program).unwrap().len() as f64 / 1e6;
    line(
        what,
        &format!("{size:.2} MB"),
        &format!("under {most} MB"),
        size < most,
    );
}
