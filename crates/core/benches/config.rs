//! Config's figures: a typed read, and a document of 200 keys in three layers resolved and checked.
//! `cargo bench -p strongroom-core --bench config`. `instructions` runs each of them under callgrind, where
//! valgrind is installed.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::indexing_slicing)]

mod kit;
#[path = "../tests/vault_kit/mod.rs"]
mod vault_kit;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::hint::black_box;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use kit::{head, line, pair, per_call, percentile, row, show, time};
use strongroom_core::config::Format;
use strongroom_core::snapshot::Kind;
use strongroom_core::vault::Edit;
use vault_kit::{World, env, path, put};

/// Tables of the document, and keys in each.
const TABLES: usize = 20;
const KEYS: usize = 10;

type Document = BTreeMap<String, BTreeMap<String, u32>>;

fn main() {
    let args: Vec<_> = std::env::args().collect();
    // what callgrind runs: `once NAME TIMES`
    if let Some(at) = args.iter().position(|arg| arg == "once") {
        return once(&args[at + 1], args[at + 2].parse().unwrap());
    }
    head("Config");
    typed();
    resolved();
    instructions();
}

/// `web` of 200 keys in `eu`, of which each of three environments says something, with a schema.
fn world() -> World {
    let world = World::new();
    for (name, parent) in [("region", "prod"), ("eu", "region")] {
        let child = Edit::AddEnvironment {
            name: env(name),
            parent: Some(env(parent)),
            compartment: None,
        };
        world.commit(vec![child]).unwrap();
    }
    let mut properties = serde_json::Map::new();
    for table in 0..TABLES {
        let keys: serde_json::Map<_, _> = (0..KEYS)
            .map(|key| {
                (
                    format!("key-{key}"),
                    serde_json::json!({"type": "integer", "maximum": 1000}),
                )
            })
            .collect();
        let of_table =
            serde_json::json!({"type": "object", "additionalProperties": false, "properties": keys});
        properties.insert(format!("table-{table}"), of_table);
    }
    let schema =
        serde_json::json!({"type": "object", "additionalProperties": false, "properties": properties});
    let mut edits = vec![put(
        "prod",
        "schema/web",
        Kind::Schema,
        Format::Text,
        schema.to_string().as_bytes(),
    )];
    for (layer, share) in [("prod", 1), ("region", 3), ("eu", 7)] {
        let mut text = String::new();
        for table in 0..TABLES {
            let _ = writeln!(text, "[table-{table}]");
            for key in (0..KEYS).filter(|key| (table + key) % share == 0) {
                let _ = writeln!(text, "key-{key} = {}", table * share + key);
            }
        }
        edits.push(put(layer, "web", Kind::Config, Format::Toml, text.as_bytes()));
    }
    world.commit(edits).unwrap();
    world
}

fn typed() {
    let world = world();
    let live = world
        .vault
        .live_config::<Document>(&env("eu"), &path("web"))
        .unwrap();
    let bare: ArcSwap<Document> = ArcSwap::from_pointee(Document::clone(&live.load()));
    let read = |document: &Document| document["table-7"].len();
    let (ours, theirs) = pair(
        31,
        || {
            per_call(500_000, || {
                black_box(read(&live.load()));
            })
        },
        || {
            per_call(500_000, || {
                black_box(read(&bare.load()));
            })
        },
    );
    row(
        "typed read of live config",
        "an ArcSwap's load of the same",
        ours,
        theirs,
        2.0,
    );
}

fn resolved() {
    let world = world();
    let snapshot = world.vault.snapshot();
    let (eu, web) = (env("eu"), path("web"));
    let each = |what: &str, f: &dyn Fn()| {
        let mut samples: Vec<_> = (0..300).map(|_| time(f)).collect();
        let (p50, p99) = (percentile(&mut samples, 50), percentile(&mut samples, 99));
        let figure = format!("p50 {}, p99 {}", show(p50), show(p99));
        line(what, &figure, "p50 under 1 ms", p50 < Duration::from_millis(1));
    };
    each(
        "a document of 200 keys in three layers, merged and checked by its schema",
        &|| {
            let unfit = snapshot.check_config(&eu, &web).unwrap();
            assert!(black_box(unfit).is_empty());
        },
    );
    each("the same, merged and read as a type", &|| {
        drop(black_box(snapshot.config::<Document>(&eu, &web).unwrap()));
    });
}

/// Does one thing again and again, for counting.
fn once(name: &str, times: u32) {
    let world = Arc::new(world());
    let (eu, web) = (env("eu"), path("web"));
    let live = world.vault.live_config::<Document>(&eu, &web).unwrap();
    let snapshot = world.vault.snapshot();
    for _ in 0..times {
        match name {
            "typed" => {
                black_box(live.load().len());
            }
            "checked" => drop(black_box(snapshot.check_config(&eu, &web).unwrap())),
            _ => drop(black_box(snapshot.config::<Document>(&eu, &web).unwrap())),
        }
    }
}

/// Instructions of one more call, which no other program disturbs.
fn instructions() {
    for (name, what, few, many) in [
        ("typed", "typed read of live config", 1_000, 101_000),
        ("checked", "merged and checked", 1, 21),
        ("read", "merged and read as a type", 1, 21),
    ] {
        let Some((less, more)) = counted(name, few).zip(counted(name, many)) else {
            println!("| instructions: {what} | not counted: valgrind is not installed | - | - | - | - | |");
            continue;
        };
        let each = more.saturating_sub(less) / u64::from(many - few);
        println!("| instructions: {what} | {each} | - | - | - | - | |");
    }
}

fn counted(name: &str, times: u32) -> Option<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe().unwrap())
        .args(["once", name, &times.to_string()])
        .output()
        .ok()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let count = said.lines().find_map(|line| line.split("Collected :").nth(1))?;
    count.trim().parse().ok()
}
