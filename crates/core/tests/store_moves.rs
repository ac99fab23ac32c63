//! The SQLite store's file carried away, put back, replaced and copied, under open readers and
//! writers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod store_support;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use store_support::{SOON, append_until_in, commit, companion, object, objects, store};
use strongroom_core::id::Revision;
use strongroom_core::store::{AppendError, SqliteStore, Store, StoreError, Wake};

#[test]
fn a_store_that_goes_away_is_missed_and_found_again() {
    let (directory, path, store) = store();
    append_until_in(&store, "second", &[]);
    let head = store.head().unwrap();
    drop(store);
    let reader = SqliteStore::open(&path, true).unwrap();
    let mut watch = reader.watch().unwrap();
    let away = directory.path().join("away");
    fs::create_dir(&away).unwrap();
    let carry = |from: &Path, to: &Path| {
        for suffix in ["-wal", "-shm", ""] {
            let name = format!("store.db{suffix}");
            fs::rename(from.join(&name), to.join(&name)).unwrap();
        }
    };
    carry(directory.path(), &away);
    let error = watch.wait(SOON).unwrap_err();
    assert!(matches!(error, StoreError::Missing { .. }), "{error:?}");
    let error = reader.head().unwrap_err();
    assert!(matches!(error, StoreError::Missing { .. }), "{error:?}");
    let error = reader.append(head, &commit(head, "third"), &[]).unwrap_err();
    assert!(
        matches!(error, AppendError::Store(StoreError::Missing { .. })),
        "{error:?}"
    );
    // Asked again it does not spin: it says so at most once in a while.
    let begin = Instant::now();
    watch.wait(Duration::from_secs(1)).unwrap_err();
    assert!(begin.elapsed() >= Duration::from_millis(900));
    carry(&away, directory.path());
    let begin = Instant::now();
    while !matches!(watch.wait(SOON), Ok(Wake::Changed)) {
        assert!(begin.elapsed() < SOON);
    }
    assert_eq!(reader.head().unwrap(), head);
    append_until_in(&reader, "third", &[]);
    assert_eq!(watch.wait(SOON).unwrap(), Wake::Changed);
}

#[test]
fn another_file_in_its_place_is_the_store_from_then_on() {
    let (directory, path, store) = store();
    let old = store.head().unwrap();
    let mut watch = store.watch().unwrap();
    let other = directory.path().join("other.db");
    let replacement = SqliteStore::create(&other).unwrap();
    append_until_in(&replacement, "another first", &[]);
    append_until_in(&replacement, "another second", &[]);
    let new = replacement.head().unwrap();
    drop(replacement);
    for suffix in ["-wal", "-shm", ""] {
        fs::rename(companion(&other, suffix), companion(&path, suffix)).unwrap();
    }
    let begin = Instant::now();
    while store.head().ok() != Some(new) {
        let _ = watch.wait(SOON);
        assert!(begin.elapsed() < SOON);
    }
    let error = store.append(old, &commit(old, "second"), &[]).unwrap_err();
    assert!(
        matches!(error, AppendError::Conflict { head } if head == new),
        "{error:?}"
    );
    append_until_in(&store, "third", &[]);
    let reopened = SqliteStore::open(&path, false).unwrap();
    assert_eq!(reopened.head().unwrap().unwrap().revision, Revision(3));
    reopened.check().unwrap();
}

#[test]
fn a_store_at_rest_is_whole_in_its_one_file() {
    let (directory, path, store) = store();
    // A reader keeps it open, as a sidecar does.
    let reader = SqliteStore::open(&path, false).unwrap();
    let (head, _) = append_until_in(&store, "second", &[object(2, 5_000)]);
    drop(store);
    assert_eq!(fs::metadata(companion(&path, "-wal")).unwrap().len(), 0);
    let copy = directory.path().join("copy.db");
    fs::copy(&path, &copy).unwrap();
    let copied = SqliteStore::open(&copy, false).unwrap();
    assert_eq!(copied.head().unwrap(), Some(head));
    assert_eq!(objects(&copied, &[object(2, 5_000).hash]), [object(2, 5_000)]);
    assert_eq!(reader.head().unwrap(), Some(head));
}

#[test]
fn a_backup_put_in_its_place_is_found_by_open_readers_and_writers() {
    let (directory, path, store) = store();
    let head = store.head().unwrap();
    drop(store);
    let backup = directory.path().join("backup.db");
    fs::copy(&path, &backup).unwrap();
    let writer = SqliteStore::open(&path, true).unwrap();
    let reader = SqliteStore::open(&path, false).unwrap();
    for revision in 2..20 {
        append_until_in(&writer, "lost by the restore", &[object(revision, 5_000)]);
    }
    // As docs/operations.md says, though the writer is still there with a full `-wal` file.
    fs::remove_file(companion(&path, "-wal")).unwrap();
    fs::remove_file(companion(&path, "-shm")).unwrap();
    fs::rename(&backup, &path).unwrap();
    assert_eq!(reader.head().unwrap(), head);
    assert_eq!(objects(&reader, &[object(2, 5_000).hash]), []);
    append_until_in(&writer, "second again", &[object(3, 5_000)]);
    assert_eq!(reader.head().unwrap().unwrap().revision, Revision(2));
    writer.check().unwrap();
    drop(writer);
    SqliteStore::open(&path, true).unwrap().check().unwrap();
}

#[test]
fn a_program_that_only_reads_leaves_the_companions() {
    let (_directory, path, store) = store();
    drop(store);
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let other = rusqlite::Connection::open_with_flags(&path, flags).unwrap();
    let count: i64 = other
        .query_row("SELECT count(*) FROM commits", [], |row| row.get(0))
        .unwrap();
    assert_eq!(count, 1);
    drop(other);
    assert!(companion(&path, "-wal").exists() && companion(&path, "-shm").exists());
}
