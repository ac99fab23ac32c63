//! What it costs to wrap stored records under a new key. `cargo bench -p strongroom-core --bench rewrap`.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::indexing_slicing)]

mod kit;
#[path = "../tests/vault_kit/mod.rs"]
mod vault_kit;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kit::{head, note, rate, time};
use rusqlite::Connection;
use strongroom_core::Vault;
use strongroom_core::ambient::Ambient;
use strongroom_core::id::Hash;
use strongroom_core::store::{SqliteStore, Store};
use strongroom_core::vault::{Edit, Rewrapped};
use vault_kit::{change, compartment, env, identity, name, secret};

/// Each has two records: its description and its value of 256 bytes.
const ENTRIES: usize = 50_000;

fn main() {
    head("Wrapping records anew");
    let mut pairs: Vec<_> = (0..3).map(|_| once()).collect();
    pairs.sort_by(|a, b| (a.0 / a.1).total_cmp(&(b.0 / b.1)));
    let (ours, bare, inserts) = pairs[1];
    rate(
        "100,000 records wrapped under a new key, the middle of 3 runs",
        "SQLite updating as many rows of that size in as many transactions",
        ours,
        bare,
        0.5,
    );
    note(
        "one record of it",
        "SQLite inserting it into tables like the store's",
        Duration::from_secs_f64(1.0 / ours),
        Duration::from_secs_f64(1.0 / inserts),
    );
}

/// Records a second: by us, by nothing but SQLite, and put by nothing but SQLite where they are found by
/// their hashes.
fn once() -> (f64, f64, f64) {
    let dir = tempfile::tempdir().unwrap();
    let vault = filled(&dir.path().join("store.db"));
    let prod = compartment("prod");
    vault
        .commit(&change(vec![Edit::NewKey {
            compartment: prod.clone(),
        }]))
        .unwrap();
    let mut done = Rewrapped::default();
    let ours = time(|| done = vault.rewrap(&prod, "wrap", &mut |_, _| {}).unwrap());
    assert_eq!(done.records, 2 * ENTRIES as u64);
    let commits = usize::try_from(done.commits).unwrap();
    let bare = bare(&dir.path().join("bare.db"), commits);
    let inserts = inserts(&dir.path().join("inserts.db"), commits);
    let rate = |took: Duration| done.records as f64 / took.as_secs_f64();
    (rate(ours), rate(bare), rate(inserts))
}

fn filled(file: &Path) -> Vault {
    let store: Arc<dyn Store> = Arc::new(SqliteStore::create(file).unwrap());
    let vault = Vault::create(store, &name("alice"), identity(), Ambient::system()).unwrap();
    vault
        .commit(&change(vec![Edit::AddEnvironment {
            name: env("prod"),
            parent: None,
            compartment: None,
        }]))
        .unwrap();
    for chunk in (0..ENTRIES).collect::<Vec<_>>().chunks(1000) {
        let put = |n: &usize| secret("prod", &format!("service-{}/key-{n}", n % 97), &[*n as u8; 256]);
        vault.commit(&change(chunk.iter().map(put).collect())).unwrap();
    }
    vault
}

fn database(file: &Path, schema: &str) -> Connection {
    let db = Connection::open(file).unwrap();
    db.execute_batch("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA trusted_schema=OFF")
        .unwrap();
    db.execute_batch(schema).unwrap();
    db
}

fn bytes(n: i64, fill: u8) -> Vec<u8> {
    vec![fill; if n % 2 == 0 { 81 + 52 } else { 81 + 256 }]
}

/// As many put under their hashes, beside as many that are there.
fn inserts(file: &Path, transactions: usize) -> Duration {
    let db = database(
        file,
        "PRAGMA cache_size=-32768;
         CREATE TABLE objects(hash BLOB NOT NULL PRIMARY KEY, bytes BLOB NOT NULL) STRICT",
    );
    let mut put = db.prepare("INSERT INTO objects VALUES (?1, ?2)").unwrap();
    let count = 2 * ENTRIES as i64;
    let hash = |n: i64| Hash::of(&n.to_be_bytes()).0;
    let all: Vec<_> = (0..2 * count).map(|n| (hash(n), bytes(n, 2))).collect();
    let mut run = |rows: &[([u8; 32], Vec<u8>)]| {
        for chunk in rows.chunks(rows.len().div_ceil(transactions)) {
            db.execute_batch("BEGIN IMMEDIATE").unwrap();
            for row in chunk {
                put.execute((&row.0[..], &row.1)).unwrap();
            }
            db.execute_batch("COMMIT").unwrap();
        }
    };
    let (there, new) = all.split_at(all.len() / 2);
    run(there);
    time(|| run(new))
}

/// Rows of the size of a description and of a value in turn, all of them updated in `transactions`.
fn bare(file: &Path, transactions: usize) -> Duration {
    let db = database(
        file,
        "CREATE TABLE rows(id INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT",
    );
    db.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut put = db.prepare("INSERT INTO rows VALUES (?1, ?2)").unwrap();
    let count = 2 * ENTRIES as i64;
    for n in 0..count {
        put.execute((n, bytes(n, 1))).unwrap();
    }
    db.execute_batch("COMMIT").unwrap();
    let mut set = db.prepare("UPDATE rows SET bytes = ?2 WHERE id = ?1").unwrap();
    let all: Vec<_> = (0..count).map(|n| (n, bytes(n, 2))).collect();
    time(|| {
        for chunk in all.chunks(all.len().div_ceil(transactions)) {
            db.execute_batch("BEGIN IMMEDIATE").unwrap();
            for row in chunk {
                set.execute((row.0, &row.1)).unwrap();
            }
            db.execute_batch("COMMIT").unwrap();
        }
    })
}
