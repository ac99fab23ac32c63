//! A writer that is killed at any moment: every acknowledged commit is there afterwards, and none
//! is there by half, neither for a new process nor for a reader that looked on all the time.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod store_support;

use std::hash::{BuildHasher, Hasher};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use store_support::{Job, commit, my_job, object, objects, say};
use strongroom_core::id::{Hash, Revision};
use strongroom_core::store::{SqliteStore, Store, StoredObject};
use tempfile::TempDir;

const KILLS: u32 = 200;
/// A new store after so many, to keep each small enough for a whole check every time.
const KILLS_PER_STORE: u32 = 20;

/// What the commit of `revision` brings: enough for the log to be folded into the file often.
fn brought(revision: u64) -> [StoredObject; 3] {
    let size = if revision.is_multiple_of(7) { 60_000 } else { 300 };
    [
        object(revision * 4, 300),
        object(revision * 4 + 1, 300),
        object(revision * 4 + 2, size),
    ]
}

/// What the child of this test does.
#[test]
#[ignore = "run by another test, in a process of its own"]
fn child() {
    let Some((_, path)) = my_job() else { return };
    let store = SqliteStore::open(&path, true).unwrap();
    loop {
        let expected = store.head().unwrap();
        let next = commit(expected, "change");
        let revision = next.head.revision;
        store.append(expected, &next, &brought(revision.0)).unwrap();
        say(revision);
        if revision.0.is_multiple_of(10) {
            store.put_checkpoint(revision, &[1; 2_000]).unwrap();
        }
    }
}

/// Holds that commits from `from` on are whole and without gaps; gives the newest.
fn assert_whole(store: &SqliteStore, from: u64) -> u64 {
    let head = store.head().unwrap().map_or(0, |head| head.revision.0);
    let commits = store.commits(Revision(from), usize::MAX).unwrap();
    let mut wanted = Vec::new();
    for (revision, commit) in (from..).zip(&commits) {
        assert_eq!(commit.head.revision, Revision(revision));
        assert_eq!(Hash::of(&commit.bytes), commit.head.hash);
        wanted.extend(brought(revision).map(|object| object.hash));
    }
    let newest = from + commits.len() as u64 - 1;
    assert!(
        newest >= head,
        "the head is {head}, the newest commit is {newest}"
    );
    let found = objects(store, &wanted);
    assert_eq!(found.len(), wanted.len(), "a commit is there by half");
    assert!(found.iter().all(|object| Hash::of(&object.bytes) == object.hash));
    newest
}

/// Looks on from a reader of its own until told to stop.
fn look_on(path: &Path, stop: &AtomicBool) {
    let reader = SqliteStore::open(path, false).unwrap();
    let mut watch = reader.watch().unwrap();
    let mut seen = 0;
    while !stop.load(Ordering::Relaxed) {
        let newest = assert_whole(&reader, seen + 1);
        assert!(newest >= seen, "a commit went away");
        seen = newest;
        let _ = watch.wait(Duration::from_millis(50)).unwrap();
    }
}

#[test]
fn no_acknowledged_commit_is_lost_and_none_is_seen_by_half() {
    let random = std::hash::RandomState::new();
    let mut total = 0;
    for round in 0..KILLS / KILLS_PER_STORE {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("store.db");
        drop(SqliteStore::create(&path).unwrap());
        let mut verified = 0;
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let looking = scope.spawn(|| look_on(&path, &stop));
            for kill in 0..KILLS_PER_STORE {
                let mut job = Job::start("child", "append", &path);
                let mut acknowledged: u64 = job.line().parse().unwrap();
                let mut hasher = random.build_hasher();
                hasher.write_u32(round * KILLS_PER_STORE + kill);
                std::thread::sleep(Duration::from_micros(hasher.finish() % 60_000));
                job.process.kill().unwrap();
                job.process.wait().unwrap();
                // The pipe is at its end when the last word was read.
                acknowledged = job
                    .lines
                    .iter()
                    .last()
                    .map_or(acknowledged, |line| line.parse().unwrap());
                let store = SqliteStore::open(&path, true).unwrap();
                let newest = assert_whole(&store, verified + 1);
                assert!(
                    newest >= acknowledged,
                    "{acknowledged} was acknowledged, {newest} is there"
                );
                assert!(newest <= acknowledged + 1, "more was stored than was begun");
                store.check().unwrap();
                verified = newest;
            }
            stop.store(true, Ordering::Relaxed);
            looking.join().unwrap();
        });
        total += verified;
    }
    assert!(
        total > u64::from(KILLS),
        "the writers were killed before they wrote"
    );
}
