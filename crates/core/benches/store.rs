//! The SQLite store beside bare SQLite doing the same with the same bytes, in the same run and by
//! turns: a durable append, a pass over 100,000 objects, look-ups, and the way to another reader.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod kit;

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use kit::{head, note, percentile, row, time};
use rusqlite::{Connection, TransactionBehavior, params};
use strongroom_core::id::{Hash, Revision};
use strongroom_core::store::{Head, SqliteStore, Store, StoredCommit, StoredObject, Wake};
use tempfile::TempDir;

const BARE: &str = "SQLite commit of the same bytes and pragmas";

/// How often each thing is done.
struct Rounds {
    appends: usize,
    objects: u64,
    scans: usize,
}

fn main() {
    // `cargo test` runs this too, without the flag: then a taste is enough.
    let rounds = match std::env::args().any(|argument| argument == "--bench") {
        true => Rounds {
            appends: 2_000,
            objects: 100_000,
            scans: 9,
        },
        false => Rounds {
            appends: 20,
            objects: 1_000,
            scans: 1,
        },
    };
    head("Store");
    appends(&rounds);
    reads(&rounds);
    notifications(&rounds);
}

/// Bytes that do not repeat, as sealed ones.
fn bytes(seed: u64, size: usize) -> Vec<u8> {
    let blocks = (0u64..).flat_map(|block| Hash::of_parts(&[&seed.to_be_bytes(), &block.to_be_bytes()]).0);
    blocks.take(size).collect()
}

fn object(seed: u64) -> StoredObject {
    let bytes = bytes(seed, 340);
    StoredObject {
        hash: Hash::of(&bytes),
        bytes,
    }
}

fn commit(head: Option<Head>) -> StoredCommit {
    let revision = head.map_or(Revision(1), |head| head.revision.next());
    let bytes = bytes(u64::MAX - revision.0, 400);
    StoredCommit {
        head: Head {
            revision,
            hash: Hash::of(&bytes),
        },
        bytes,
    }
}

/// SQLite with the pragmas of the store and one table of rows.
fn bare(path: &Path) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             CREATE TABLE rows (number INTEGER PRIMARY KEY, hash BLOB NOT NULL, bytes BLOB NOT NULL)",
        )
        .unwrap();
    connection
}

/// One change: its commit, its metadata record and its value record.
fn appends(rounds: &Rounds) {
    let directory = TempDir::new().unwrap();
    let store = SqliteStore::create(&directory.path().join("ours.db")).unwrap();
    let mut bare = bare(&directory.path().join("bare.db"));
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let mut head = None;
    for round in 0..rounds.appends as u64 {
        let next = commit(head);
        let objects = [object(round * 2), object(round * 2 + 1)];
        ours.push(time(|| store.append(head, &next, &objects).unwrap()));
        theirs.push(time(|| {
            let transaction = bare
                .transaction_with_behavior(TransactionBehavior::Immediate)
                .unwrap();
            let mut insert = transaction
                .prepare("INSERT INTO rows (hash, bytes) VALUES (?1, ?2)")
                .unwrap();
            insert.execute(params![next.head.hash.0, next.bytes]).unwrap();
            for object in &objects {
                insert.execute(params![object.hash.0, object.bytes]).unwrap();
            }
            drop(insert);
            transaction.commit().unwrap();
        }));
        head = Some(next.head);
    }
    row(
        "durable append of one change (1.1 kB in 3 rows), p50",
        BARE,
        percentile(&mut ours, 50),
        percentile(&mut theirs, 50),
        2.0,
    );
    note(
        "its p99",
        BARE,
        percentile(&mut ours, 99),
        percentile(&mut theirs, 99),
    );
}

fn reads(rounds: &Rounds) {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("ours.db");
    let store = SqliteStore::create(&path).unwrap();
    let mut bare = bare(&directory.path().join("bare.db"));
    let mut wanted = Vec::new();
    let mut head = None;
    for chunk in 0..rounds.objects / 500 {
        let objects: Vec<_> = (chunk * 500..chunk * 500 + 500).map(object).collect();
        let next = commit(head);
        store.append(head, &next, &objects).unwrap();
        head = Some(next.head);
        let transaction = bare.transaction().unwrap();
        let mut insert = transaction
            .prepare("INSERT INTO rows (hash, bytes) VALUES (?1, ?2)")
            .unwrap();
        for object in &objects {
            insert.execute(params![object.hash.0, object.bytes]).unwrap();
            wanted.push(object.hash);
        }
        drop(insert);
        transaction.commit().unwrap();
    }
    drop(store);
    bare.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    drop(bare);
    // As a reader asks: in the order of its own records, not of the file.
    wanted.sort_unstable();

    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..rounds.scans {
        ours.push(time(|| {
            let store = SqliteStore::open(&path, false).unwrap();
            let mut good = 0;
            store
                .objects(&wanted, &mut |hash, bytes| {
                    good += usize::from(Hash::of(bytes) == hash);
                    true
                })
                .unwrap();
            assert_eq!(good, wanted.len());
        }));
        theirs.push(time(|| {
            let bare = Connection::open(directory.path().join("bare.db")).unwrap();
            let mut statement = bare.prepare("SELECT hash, bytes FROM rows").unwrap();
            let mut rows = statement.query([]).unwrap();
            let mut good = 0;
            while let Some(row) = rows.next().unwrap() {
                let hash = row.get_ref(0).unwrap().as_blob().unwrap();
                good += usize::from(Hash::of(row.get_ref(1).unwrap().as_blob().unwrap()).0 == hash);
            }
            assert_eq!(good, wanted.len());
        }));
    }
    let what = format!("open and hash {} objects of 340 B", wanted.len());
    row(
        &what,
        "SQLite scan and SHA-256 of them",
        percentile(&mut ours, 50),
        percentile(&mut theirs, 50),
        2.0,
    );

    let store = SqliteStore::open(&path, false).unwrap();
    let connection = Connection::open(&path).unwrap();
    for one_in in [4, 8, 16, 64, 1_000] {
        let some: Vec<_> = wanted.iter().copied().step_by(one_in).collect();
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..rounds.scans {
            ours.push(time(|| {
                store
                    .objects(&some, &mut |_, bytes| !black_box(bytes).is_empty())
                    .unwrap()
            }));
            theirs.push(time(|| {
                let mut statement = connection
                    .prepare("SELECT bytes FROM objects WHERE hash = ?1")
                    .unwrap();
                for hash in &some {
                    let mut rows = statement.query([hash.0]).unwrap();
                    black_box(rows.next().unwrap().unwrap().get_ref(0).unwrap());
                }
            }));
        }
        note(
            &format!("read one in {one_in} of them"),
            "SQLite look-ups one by one",
            percentile(&mut ours, 50),
            percentile(&mut theirs, 50),
        );
    }
}

/// From before the append to the return of another thread's wait; against the append alone.
fn notifications(rounds: &Rounds) {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("ours.db");
    let store = SqliteStore::create(&path).unwrap();
    let reader = SqliteStore::open(&path, false).unwrap();
    let mut watch = reader.watch().unwrap();
    let (woken, wakes) = std::sync::mpsc::channel();
    let following = std::thread::spawn(move || {
        loop {
            if watch.wait(Duration::from_secs(60)).unwrap() == Wake::Changed
                && woken.send(Instant::now()).is_err()
            {
                return;
            }
        }
    });
    let (mut seen, mut appended) = (Vec::new(), Vec::new());
    let mut head = None;
    for round in 0..rounds.appends as u64 / 2 {
        let next = commit(head);
        let objects = [object(round)];
        let begin = Instant::now();
        store.append(head, &next, &objects).unwrap();
        appended.push(begin.elapsed());
        seen.push(wakes.recv().unwrap() - begin);
        head = Some(next.head);
    }
    note(
        "append until another reader wakes, p50",
        "the append",
        percentile(&mut seen, 50),
        percentile(&mut appended, 50),
    );
    drop(wakes);
    store.append(head, &commit(head), &[]).unwrap();
    following.join().unwrap();
}
