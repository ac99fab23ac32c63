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
    size("`strongroom-sidecar`, stripped", &Sidecar::program(), 25.0);
    size(
        "`strongroom-run`, static and stripped",
        &program::static_run(),
        3.0,
    );
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
