//! One suite of behaviour for every store.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod store_support;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use store_support::{SOON, append_until_in, commit, object, objects};
use strongroom_core::id::{Hash, Revision};
use strongroom_core::store::{
    AppendError, MAX_REPORT, MAX_REPORTS, MemoryStore, SqliteStore, Store, StoreError, StoredReport, Wake,
};
use tempfile::TempDir;

/// Gives handles to one and the same new store, as other processes would have.
trait Fixture {
    fn new() -> Self;
    fn handle(&self) -> Box<dyn Store>;
}

struct Memory(MemoryStore);

impl Fixture for Memory {
    fn new() -> Self {
        Self(MemoryStore::new())
    }
    fn handle(&self) -> Box<dyn Store> {
        Box::new(self.0.clone())
    }
}

struct Sqlite(TempDir);

impl Fixture for Sqlite {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        SqliteStore::create(&directory.path().join("store.db")).unwrap();
        Self(directory)
    }
    fn handle(&self) -> Box<dyn Store> {
        Box::new(SqliteStore::open(&self.0.path().join("store.db"), true).unwrap())
    }
}

macro_rules! suite {
    ($($test:ident)*) => {
        mod memory { $(#[test] fn $test() { super::$test::<super::Memory>(); })* }
        mod sqlite { $(#[test] fn $test() { super::$test::<super::Sqlite>(); })* }
    };
}

suite! {
    is_empty_at_first
    appends_and_reads_back
    shows_commits_to_other_handles
    refuses_an_append_after_another
    refuses_revisions_that_do_not_follow
    leaves_known_objects_as_they_are
    passes_over_absent_objects_and_repeats_none
    stops_when_told
    keeps_empty_and_large_objects
    reads_few_and_many_of_ten_thousand
    replaces_only_older_checkpoints
    lets_racing_threads_take_turns
    wakes_for_commits_of_others
    wakes_for_its_own_commits
    sees_a_commit_between_watch_and_wait
    idles_until_the_time_is_over
    is_woken_early
    says_where_it_is
    keeps_the_newest_report_of_a_slot
    keeps_all_reports_of_a_call_or_none
    keeps_only_so_many_reports
    drops_the_reports_that_are_named
    wakes_for_reports_and_commits_apart
    watches_for_the_first_report
}

fn is_empty_at_first<F: Fixture>() {
    let store = F::new();
    let store = store.handle();
    assert_eq!(store.head().unwrap(), None);
    assert_eq!(store.commits(Revision(0), 10).unwrap(), []);
    assert_eq!(store.checkpoint().unwrap(), None);
    assert_eq!(objects(&*store, &[Hash::of(b"absent")]), []);
    store.check().unwrap();
}

fn appends_and_reads_back<F: Fixture>() {
    let fixture = F::new();
    let store = fixture.handle();
    let mut head = None;
    let mut all = Vec::new();
    for number in 0..5 {
        let next = commit(head, "change");
        store
            .append(head, &next, &[object(number, 100), object(100 + number, 200)])
            .unwrap();
        head = Some(next.head);
        all.push(next);
    }
    assert_eq!(store.head().unwrap(), head);
    assert_eq!(store.commits(Revision(0), 100).unwrap(), all);
    assert_eq!(store.commits(Revision(1), 100).unwrap(), all);
    assert_eq!(store.commits(Revision(2), 2).unwrap(), all[1..3]);
    assert_eq!(store.commits(Revision(2), 0).unwrap(), []);
    assert_eq!(store.commits(Revision(6), 100).unwrap(), []);
    assert_eq!(store.commits(Revision(u64::MAX), usize::MAX).unwrap(), []);
    assert_eq!(objects(&*store, &[object(3, 100).hash]), [object(3, 100)]);
    store.check().unwrap();
}

fn shows_commits_to_other_handles<F: Fixture>() {
    let fixture = F::new();
    let (writer, reader) = (fixture.handle(), fixture.handle());
    for _ in 0..3 {
        let (head, conflicts) = append_until_in(&*writer, "change", &[object(1, 50)]);
        assert_eq!(reader.head().unwrap(), Some(head));
        assert_eq!(conflicts, 0);
    }
    assert_eq!(objects(&*reader, &[object(1, 50).hash]), [object(1, 50)]);
}

fn refuses_an_append_after_another<F: Fixture>() {
    let fixture = F::new();
    let (first, second) = (fixture.handle(), fixture.handle());
    let (winner, loser) = (commit(None, "first"), commit(None, "second"));
    first.append(None, &winner, &[object(1, 50)]).unwrap();
    let error = second.append(None, &loser, &[object(2, 50)]).unwrap_err();
    assert!(
        matches!(error, AppendError::Conflict { head } if head == Some(winner.head)),
        "{error:?}"
    );
    assert!(
        error.to_string().contains("the store is at revision 1"),
        "{error}"
    );
    // Nothing of the loser is there.
    assert_eq!(
        second.commits(Revision(1), 10).unwrap(),
        std::slice::from_ref(&winner)
    );
    assert_eq!(objects(&*second, &[object(2, 50).hash]), []);
    // A head of the right number but another hash is another head.
    let next = commit(Some(loser.head), "on the loser");
    let error = second.append(Some(loser.head), &next, &[]).unwrap_err();
    assert!(matches!(error, AppendError::Conflict { .. }), "{error:?}");
    // It succeeds after the head that is there.
    second
        .append(Some(winner.head), &commit(Some(winner.head), "second"), &[])
        .unwrap();
}

fn refuses_revisions_that_do_not_follow<F: Fixture>() {
    let fixture = F::new();
    let store = fixture.handle();
    let (head, _) = append_until_in(&*store, "change", &[]);
    for revision in [0, 1, 3, u64::MAX] {
        let mut next = commit(Some(head), "change");
        next.head.revision = Revision(revision);
        let error = store.append(Some(head), &next, &[]).unwrap_err();
        assert!(
            matches!(error, AppendError::Store(StoreError::Unreachable { .. })),
            "{error:?}"
        );
    }
    assert_eq!(store.head().unwrap(), Some(head));
}

fn leaves_known_objects_as_they_are<F: Fixture>() {
    let fixture = F::new();
    let store = fixture.handle();
    let kept = object(1, 50);
    let mut other = object(2, 50);
    other.hash = kept.hash;
    append_until_in(&*store, "one", &[kept.clone(), kept.clone()]);
    append_until_in(&*store, "two", &[other]);
    assert_eq!(objects(&*store, &[kept.hash]), [kept]);
}

fn passes_over_absent_objects_and_repeats_none<F: Fixture>() {
    let fixture = F::new();
    let store = fixture.handle();
    let stored: Vec<_> = (0..100).map(|seed| object(seed, 50)).collect();
    append_until_in(&*store, "hundred", &stored);
    // Few (looked up one by one) and many (one pass) alike.
    for count in [2, 90] {
        let mut wanted: Vec<_> = stored[..count].iter().map(|object| object.hash).collect();
        wanted.extend_from_within(..);
        wanted.push(Hash::of(b"absent"));
        let found = objects(&*store, &wanted);
        assert_eq!(found.len(), count);
        assert_eq!(
            found
                .iter()
                .map(|object| object.hash)
                .collect::<HashSet<_>>()
                .len(),
            count
        );
        assert!(found.iter().all(|object| Hash::of(&object.bytes) == object.hash));
    }
    assert_eq!(objects(&*store, &[]), []);
}

fn stops_when_told<F: Fixture>() {
    let fixture = F::new();
    let store = fixture.handle();
    let stored: Vec<_> = (0..100).map(|seed| object(seed, 50)).collect();
    append_until_in(&*store, "hundred", &stored);
    for count in [5, 90] {
        let wanted: Vec<_> = stored[..count].iter().map(|object| object.hash).collect();
        let mut calls = 0;
        store
            .objects(&wanted, &mut |_, _| {
                calls += 1;
                calls < 3
            })
            .unwrap();
        assert_eq!(calls, 3);
    }
    assert!(store.head().unwrap().is_some());
}

fn keeps_empty_and_large_objects<F: Fixture>() {
    let fixture = F::new();
    let store = fixture.handle();
    let empty = strongroom_core::store::StoredObject {
        hash: Hash::of(b""),
        bytes: Vec::new(),
    };
    let large = object(7, 1 << 20);
    let larger = object(8, 20 << 20);
    let all = [empty, large, larger];
    append_until_in(&*store, "sizes", &all);
    for object in &all {
        assert!(objects(&*fixture.handle(), &[object.hash]) == [object.clone()]);
    }
    store.check().unwrap();
}

fn reads_few_and_many_of_ten_thousand<F: Fixture>() {
    let fixture = F::new();
    let store = fixture.handle();
    let stored: Vec<_> = (0..10_000).map(|seed| object(seed, 340)).collect();
    for chunk in stored.chunks(2_500) {
        append_until_in(&*store, "many", chunk);
    }
    for step in [1, 3, 100, 5_000] {
        let wanted: Vec<_> = stored.iter().step_by(step).map(|object| object.hash).collect();
        let found = objects(&*store, &wanted);
        assert_eq!(found.len(), wanted.len());
        let hashes: HashSet<_> = found.iter().map(|object| object.hash).collect();
        assert!(wanted.iter().all(|hash| hashes.contains(hash)));
        assert!(found.iter().all(|object| Hash::of(&object.bytes) == object.hash));
    }
    store.check().unwrap();
}

fn replaces_only_older_checkpoints<F: Fixture>() {
    let fixture = F::new();
    let (store, other) = (fixture.handle(), fixture.handle());
    for (revision, bytes, then) in [
        (5, "five", "five"),
        (4, "four", "five"),
        (5, "five again", "five again"),
        (9, "nine", "nine"),
        (6, "six", "nine"),
    ] {
        store
            .put_checkpoint(Revision(revision), bytes.as_bytes())
            .unwrap();
        assert_eq!(other.checkpoint().unwrap().unwrap(), then.as_bytes());
    }
}

fn lets_racing_threads_take_turns<F: Fixture>() {
    const EACH: usize = 50;
    let fixture = F::new();
    std::thread::scope(|scope| {
        for name in ["a", "b", "c"] {
            let store = fixture.handle();
            scope.spawn(move || {
                for number in 0..EACH {
                    let seed = u64::from(name.as_bytes()[0]) * 1_000 + number as u64;
                    append_until_in(&*store, &format!("{name}{number}"), &[object(seed, 50)]);
                }
            });
        }
    });
    let commits = fixture.handle().commits(Revision(1), 1_000).unwrap();
    assert_eq!(commits.len(), 3 * EACH);
    let texts: HashSet<_> = commits
        .iter()
        .map(|commit| {
            String::from_utf8(commit.bytes.clone())
                .unwrap()
                .split(' ')
                .next_back()
                .unwrap()
                .to_owned()
        })
        .collect();
    assert_eq!(texts.len(), 3 * EACH, "a commit was lost or stored twice");
}

fn wakes_for_commits_of_others<F: Fixture>() {
    let fixture = F::new();
    let (store, writer) = (fixture.handle(), fixture.handle());
    let mut watch = store.watch().unwrap();
    for _ in 0..20 {
        let head = std::thread::scope(|scope| {
            let writing = scope.spawn(|| append_until_in(&*writer, "change", &[]).0);
            assert_eq!(watch.wait(SOON).unwrap(), Wake::Changed);
            writing.join().unwrap()
        });
        assert_eq!(store.head().unwrap(), Some(head));
    }
}

fn wakes_for_its_own_commits<F: Fixture>() {
    let fixture = F::new();
    let store = fixture.handle();
    let mut watch = store.watch().unwrap();
    append_until_in(&*store, "change", &[]);
    assert_eq!(watch.wait(SOON).unwrap(), Wake::Changed);
    assert_eq!(watch.wait(Duration::ZERO).unwrap(), Wake::Idle);
}

fn sees_a_commit_between_watch_and_wait<F: Fixture>() {
    let fixture = F::new();
    let store = fixture.handle();
    append_until_in(&*store, "before", &[]);
    let mut watch = store.watch().unwrap();
    append_until_in(&*fixture.handle(), "after", &[]);
    append_until_in(&*fixture.handle(), "after", &[]);
    assert_eq!(watch.wait(Duration::ZERO).unwrap(), Wake::Changed);
    // Both are in the head; nothing more is to be told.
    assert_eq!(watch.wait(Duration::ZERO).unwrap(), Wake::Idle);
}

fn idles_until_the_time_is_over<F: Fixture>() {
    let fixture = F::new();
    let store = fixture.handle();
    append_until_in(&*store, "change", &[]);
    let mut watch = store.watch().unwrap();
    let begin = Instant::now();
    assert_eq!(watch.wait(Duration::from_millis(200)).unwrap(), Wake::Idle);
    assert!(begin.elapsed() >= Duration::from_millis(200));
}

fn is_woken_early<F: Fixture>() {
    let fixture = F::new();
    let store = fixture.handle();
    let mut watch = store.watch().unwrap();
    let waker: Arc<dyn strongroom_core::store::Waker> = Arc::from(watch.waker());
    // Before the wait, and during it.
    waker.wake();
    assert_eq!(watch.wait(Duration::from_secs(600)).unwrap(), Wake::Idle);
    let waking = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(100));
        waker.wake();
    });
    let begin = Instant::now();
    assert_eq!(watch.wait(Duration::from_secs(600)).unwrap(), Wake::Idle);
    assert!(begin.elapsed() < SOON);
    waking.join().unwrap();
    // A wake does not hide a change.
    watch.waker().wake();
    append_until_in(&*store, "change", &[]);
    let wakes = [watch.wait(SOON).unwrap(), watch.wait(SOON).unwrap_or(Wake::Idle)];
    assert!(wakes.contains(&Wake::Changed), "{wakes:?}");
}

fn report(slot: u8, counter: u64, text: &str) -> StoredReport {
    StoredReport {
        slot: [slot; 32],
        counter,
        bytes: text.as_bytes().to_vec(),
    }
}

fn keeps_the_newest_report_of_a_slot<F: Fixture>() {
    let fixture = F::new();
    let (store, other) = (fixture.handle(), fixture.handle());
    assert_eq!(other.reports().unwrap(), []);
    let (one, two) = (report(1, 5, "five"), report(2, 1, "another slot"));
    store.put_reports(&[two.clone(), one.clone()]).unwrap();
    assert_eq!(other.reports().unwrap(), [one.clone(), two.clone()]);
    for late in [report(1, 4, "older"), report(1, 5, "the same counter")] {
        other.put_reports(&[late]).unwrap();
        assert_eq!(store.reports().unwrap(), [one.clone(), two.clone()]);
    }
    let newer = report(1, 6, "newer");
    other.put_reports(std::slice::from_ref(&newer)).unwrap();
    assert_eq!(store.reports().unwrap(), [newer, two]);
    // beside the chain: nothing of it is touched
    assert_eq!(store.head().unwrap(), None);
}

fn keeps_all_reports_of_a_call_or_none<F: Fixture>() {
    let store = F::new();
    let store = store.handle();
    let mut long = report(2, 1, "");
    long.bytes = vec![0; MAX_REPORT + 1];
    let error = store
        .put_reports(&[report(1, 1, "one"), long.clone()])
        .unwrap_err();
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error:?}");
    assert_eq!(store.reports().unwrap(), []);
    long.bytes.pop();
    store.put_reports(&[long.clone()]).unwrap();
    assert_eq!(store.reports().unwrap(), [long]);
}

fn keeps_only_so_many_reports<F: Fixture>() {
    let store = F::new();
    let store = store.handle();
    let many: Vec<_> = (0..MAX_REPORTS as u64 + 3)
        .map(|number| {
            let mut report = report(0, number + 1, "r");
            report.slot[..8].copy_from_slice(&number.to_be_bytes());
            report
        })
        .collect();
    store.put_reports(&many).unwrap();
    assert!(store.reports().unwrap() == many[3..]);
}

fn drops_the_reports_that_are_named<F: Fixture>() {
    let fixture = F::new();
    let (store, other) = (fixture.handle(), fixture.handle());
    other.drop_reports(&[([1; 32], 5)]).unwrap();
    store
        .put_reports(&[
            report(1, 5, "one"),
            report(2, 5, "two"),
            report(3, u64::MAX >> 1, "three"),
        ])
        .unwrap();
    // the second has been reported again since it was looked at
    let named = [
        ([1; 32], 5),
        ([2; 32], 4),
        ([3; 32], u64::MAX >> 1),
        ([4; 32], u64::MAX),
    ];
    other.drop_reports(&named).unwrap();
    assert_eq!(store.reports().unwrap(), [report(2, 5, "two")]);
    // nothing remembers what was dropped
    store.put_reports(&[report(1, 1, "again")]).unwrap();
    assert_eq!(store.reports().unwrap().len(), 2);
}

fn watches_for_the_first_report<F: Fixture>() {
    let fixture = F::new();
    let mut watch = fixture.handle().watch_reports().unwrap();
    assert_eq!(watch.wait(Duration::ZERO).unwrap(), Wake::Idle);
    fixture.handle().put_reports(&[report(1, 1, "one")]).unwrap();
    assert_eq!(watch.wait(SOON).unwrap(), Wake::Changed);
    fixture.handle().drop_reports(&[([1; 32], 1)]).unwrap();
    assert_eq!(watch.wait(SOON).unwrap(), Wake::Changed);
}

fn wakes_for_reports_and_commits_apart<F: Fixture>() {
    let fixture = F::new();
    let (store, writer) = (fixture.handle(), fixture.handle());
    writer.put_reports(&[report(1, 1, "first")]).unwrap();
    let mut reports = store.watch_reports().unwrap();
    let mut commits = store.watch().unwrap();
    for counter in 2..12 {
        std::thread::scope(|scope| {
            scope.spawn(|| writer.put_reports(&[report(1, counter, "next")]).unwrap());
            assert_eq!(reports.wait(SOON).unwrap(), Wake::Changed);
        });
        assert_eq!(store.reports().unwrap(), [report(1, counter, "next")]);
    }
    assert_eq!(commits.wait(Duration::ZERO).unwrap(), Wake::Idle);
    append_until_in(&*writer, "change", &[]);
    // what changes nothing wakes nobody
    writer.put_reports(&[report(1, 3, "late")]).unwrap();
    assert_eq!(commits.wait(SOON).unwrap(), Wake::Changed);
    assert_eq!(reports.wait(Duration::ZERO).unwrap(), Wake::Idle);
}

fn says_where_it_is<F: Fixture>() {
    let fixture = F::new();
    let location = fixture.handle().location();
    assert!(location == "memory" || location.starts_with("sqlite:/") && location.ends_with("store.db"));
}
