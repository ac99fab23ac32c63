//! The SQLite store between processes: writers that race, readers that are notified, and what a
//! waiting reader costs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod store_support;

use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use store_support::{Job, SOON, append_until_in, commit, my_job, object, say};
use strongroom_core::id::Revision;
use strongroom_core::store::{SqliteStore, Store, Wake};
use tempfile::TempDir;

const RACE: u64 = 100;

/// What children of these tests do.
#[test]
#[ignore = "run by other tests, in a process of its own"]
fn child() {
    let Some((job, path)) = my_job() else { return };
    match job.as_str() {
        "race" => race(&path),
        "follow" => follow(&path),
        _ => panic!("no such job"),
    }
}

fn race(path: &Path) {
    let store = SqliteStore::open(path, true).unwrap();
    let me = std::process::id();
    say("ready");
    // All begin when the first commit is there.
    let mut watch = store.watch().unwrap();
    while store.head().unwrap().is_none() {
        let _ = watch.wait(SOON).unwrap();
    }
    let mut conflicts = 0;
    for number in 0..RACE {
        let seed = u64::from(me) * 1_000 + number;
        conflicts += append_until_in(&store, &format!("{me}-{number}"), &[object(seed, 50)]).1;
    }
    say(conflicts);
}

#[test]
fn racing_writers_take_turns_by_conflict_and_retry() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("store.db");
    let store = SqliteStore::create(&path).unwrap();
    let jobs = [(); 3].map(|()| Job::start("child", "race", &path));
    for job in &jobs {
        assert_eq!(job.line(), "ready");
    }
    append_until_in(&store, "start", &[]);
    let conflicts: usize = jobs.iter().map(|job| job.line().parse::<usize>().unwrap()).sum();
    for job in jobs {
        job.finish();
    }
    let commits = store.commits(Revision(1), usize::MAX).unwrap();
    let texts: HashSet<_> = commits
        .iter()
        .map(|commit| commit.bytes.split(|b| *b == b' ').next_back())
        .collect();
    assert_eq!(
        texts.len() as u64,
        3 * RACE + 1,
        "a commit was lost or stored twice"
    );
    assert_eq!(commits.len(), texts.len());
    assert!(conflicts > 0, "they never met");
    store.check().unwrap();
}

fn follow(path: &Path) {
    let store = SqliteStore::open(path, false).unwrap();
    let mut watch = store.watch().unwrap();
    say("ready");
    loop {
        while watch.wait(SOON).unwrap() == Wake::Idle {}
        say(store.head().unwrap().unwrap().revision);
    }
}

#[test]
fn every_process_is_notified_of_every_commit() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("store.db");
    let store = SqliteStore::create(&path).unwrap();
    let followers = [(); 3].map(|()| Job::start("child", "follow", &path));
    for follower in &followers {
        assert_eq!(follower.line(), "ready");
    }
    let begin = Instant::now();
    for revision in 1..=50 {
        append_until_in(&store, "change", &[object(revision, 5_000)]);
        for follower in &followers {
            assert_eq!(follower.line(), revision.to_string());
        }
    }
    // The slow look alone would take two seconds for each.
    assert!(begin.elapsed() < Duration::from_secs(50), "{:?}", begin.elapsed());
}

#[test]
fn a_commit_without_notification_is_found_by_the_slow_look() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("store.db");
    let store = SqliteStore::create(&path).unwrap();
    let mut watch = store.watch().unwrap();
    // A writer that was killed right after its commit, before it touched the file.
    let next = commit(None, "unannounced");
    let other = rusqlite::Connection::open(&path).unwrap();
    let insert = "INSERT INTO commits (revision, hash, bytes) VALUES (1, ?1, ?2)";
    other
        .execute(insert, rusqlite::params![next.head.hash.0, next.bytes])
        .unwrap();
    assert_eq!(watch.wait(SOON).unwrap(), Wake::Changed);
    assert_eq!(store.head().unwrap(), Some(next.head));
}

/// How often this thread went to sleep.
fn sleeps() -> u64 {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    line.unwrap().trim().parse().unwrap()
}

#[test]
fn waiting_costs_nothing_while_others_read_and_the_directory_is_busy() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("store.db");
    let store = SqliteStore::create(&path).unwrap();
    append_until_in(&store, "change", &[object(1, 50)]);
    let mut watch = store.watch().unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let reader = SqliteStore::open(&path, false).unwrap();
                reader.head().unwrap();
                reader.objects(&[object(1, 50).hash], &mut |_, _| true).unwrap();
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let before = sleeps();
        assert_eq!(watch.wait(Duration::from_secs(3)).unwrap(), Wake::Idle);
        let slept = sleeps() - before;
        stop.store(true, Ordering::Relaxed);
        assert!(slept < 50, "woke {slept} times for nothing");
    });
}
