//! Evaluating flags, beside npm's and PyPI's engines in the same run, and loading many.
//! `cargo bench -p strongroom-core --bench flags`; `scripts/flag-clients.sh` installs the other engines.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing
)]

mod kit;
#[path = "../tests/vault_kit/mod.rs"]
mod vault_kit;

use std::hint::black_box;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use kit::{head, line, pair, per_call, percentile, row, show, time};
use serde_json::{Value, json};
use strongroom_core::config::Format;
use strongroom_core::flag::Context;
use strongroom_core::snapshot::Kind;
use strongroom_core::vault::{Edit, Flags};
use vault_kit::{World, env, put};

const CALLS: u32 = 100_000;
const ROUNDS: usize = 9;
const MANY: usize = 10_000;
/// Most that loading [`MANY`] flags takes.
const LOADED: Duration = Duration::from_millis(150);

fn definitions() -> Value {
    json!({
        "static": {"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "on"},
        "if": {
            "state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "off",
            "targeting": {"if": [{"==": [{"var": "email"}, "ada@example.org"]}, "on", "off"]},
        },
        "fractional": {
            "state": "ENABLED", "variants": {"a": "a", "b": "b"}, "defaultVariant": "a",
            "targeting": {"fractional": [["a", 50], ["b", 50]]},
        },
    })
}

fn context() -> Context {
    let context =
        json!({"targetingKey": "user-12345", "email": "ada@example.org", "tier": "premium", "country": "de"});
    serde_json::from_value(context).unwrap()
}

fn flag(key: &str, definition: &Value) -> Edit {
    put(
        "prod",
        key,
        Kind::Flag,
        Format::Text,
        definition.to_string().as_bytes(),
    )
}

fn main() {
    head("Feature flags");
    let world = World::new();
    let definitions = definitions();
    let each = definitions.as_object().unwrap().iter();
    world
        .commit(each.map(|(key, definition)| flag(key, definition)).collect())
        .unwrap();
    let few = world.vault.flags(&env("prod")).unwrap();
    let config = json!({ "flags": definitions }).to_string();
    let times = [("npm", node(&config), 1.0 / 3.0), ("PyPI", python(&config), 0.1)];
    for (engine, times, reach) in &times {
        let Some(times) = times else {
            line(
                &format!("beside {engine}'s flagd-core"),
                "not installed",
                "-",
                false,
            );
            continue;
        };
        for name in ["static", "if", "fractional"] {
            let other = Duration::from_nanos(times[name].as_f64().unwrap_or(0.0) as u64);
            row(
                &format!("`{name}`"),
                &format!("{engine}'s flagd-core"),
                ours(&few, name),
                other,
                *reach,
            );
        }
    }
    many(&few);
}

fn ours(flags: &Flags, name: &str) -> Duration {
    let context = context();
    let mut rounds: Vec<_> = (0..ROUNDS)
        .map(|_| {
            per_call(CALLS, || {
                if name == "fractional" {
                    black_box(flags.string(black_box(name), black_box(&context)).unwrap());
                } else {
                    black_box(flags.bool(black_box(name), black_box(&context)).unwrap());
                }
            })
        })
        .collect();
    percentile(&mut rounds, 50)
}

fn many(few: &Flags) {
    let world = World::new();
    let definitions = definitions();
    let more = (0..MANY - 3).map(|n| flag(&format!("flag-{n}"), &definitions["if"]));
    let named = definitions.as_object().unwrap().iter();
    let edits: Vec<_> = more
        .chain(named.map(|(key, definition)| flag(key, definition)))
        .collect();
    world.commit(edits).unwrap();
    // As a program has it that opens the store: nothing is compiled yet.
    let mut rounds: Vec<_> = (0..ROUNDS)
        .map(|_| {
            let vault = world.open(&world.identity).unwrap();
            time(|| {
                let flags = vault.flags(&env("prod")).unwrap();
                assert!(flags.keys().all(|key| flags.get(key.as_str()).is_ok()));
            })
        })
        .collect();
    let loaded = percentile(&mut rounds, 50);
    let reach = format!("at most {}", show(LOADED));
    line(
        "opening and compiling 10,000 flags",
        &show(loaded),
        &reach,
        loaded <= LOADED,
    );
    let many = world.vault.flags(&env("prod")).unwrap();
    let (of_many, of_few) = pair(1, || ours(&many, "if"), || ours(few, "if"));
    row("`if` among 10,000", "among three", of_many, of_few, 1.25);
}

fn home() -> PathBuf {
    let workspace = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace.join("target"), PathBuf::from);
    target.join("flag-clients")
}

fn script(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/flag_engines")
        .join(name)
}

fn times(command: &mut Command, config: &str) -> Option<Value> {
    let context = Value::Object(context()).to_string();
    let output = command.args([config, &context]).output().ok()?;
    serde_json::from_slice(&output.stdout).ok()
}

fn node(config: &str) -> Option<Value> {
    let modules = home().join("node/node_modules");
    times(
        Command::new("node")
            .arg(script("bench.js"))
            .env("NODE_PATH", modules),
        config,
    )
}

fn python(config: &str) -> Option<Value> {
    times(
        Command::new(home().join("python/bin/python")).arg(script("bench.py")),
        config,
    )
}
