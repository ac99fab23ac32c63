//! The SQLite store as a file: who may make, read and write it, and what happens when it is
//! locked or has no room.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr
)]

mod copied;
#[path = "root/mod.rs"]
mod root;
mod store_support;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use store_support::{Job, SOON, append_until_in, commit, companion, my_job, object, objects, say, store};
use strongroom_core::id::Revision;
use strongroom_core::store::{AppendError, SqliteStore, Store, StoreError, StoredReport, Wake};
use tempfile::TempDir;

/// Somebody who owns nothing here.
const STRANGER: u32 = 65_534;

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// What children of these tests do.
#[test]
#[ignore = "run by other tests, in a process of its own"]
fn child() {
    let Some((job, path)) = my_job() else { return };
    match job.as_str() {
        "create with umask 000" => create_with_umask(0o000, &path),
        "create with umask 022" => create_with_umask(0o022, &path),
        "create with umask 077" => create_with_umask(0o077, &path),
        "read and follow" => read_and_follow(&path),
        "open" => match SqliteStore::open(&path, false) {
            Ok(store) => say(format!(
                "opened at {:?}",
                store.head().map_err(|error| error.to_string())
            )),
            Err(error) => say(error),
        },
        "report" => report_and_read(&path),
        "write until there is no room" => write_until_there_is_no_room(&path),
        _ => panic!("no such job"),
    }
}

fn create_with_umask(umask: u32, path: &Path) {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(umask));
    let store = SqliteStore::create(path).unwrap();
    append_until_in(&store, "change", &[object(1, 50)]);
    say("created");
}

#[test]
fn the_file_is_never_wider_than_its_directory_whatever_the_umask() {
    let directory = TempDir::new().unwrap();
    for umask in ["000", "022", "077"] {
        for (of_directory, of_file) in [
            (0o700, 0o600),
            (0o750, 0o640),
            (0o755, 0o640),
            (0o770, 0o660),
            (0o777, 0o660),
            (0o1777, 0o660),
        ] {
            let inner = directory.path().join(format!("{umask}-{of_directory:o}"));
            fs::create_dir(&inner).unwrap();
            set_mode(&inner, of_directory);
            let path = inner.join("store.db");
            let job = Job::start("child", &format!("create with umask {umask}"), &path);
            assert_eq!(job.line(), "created");
            job.finish();
            for suffix in ["", "-wal", "-shm"] {
                let file = companion(&path, suffix);
                assert_eq!(mode(&file), of_file, "{} with umask {umask}", file.display());
            }
        }
    }
}

#[test]
fn making_one_where_something_is_changes_nothing() {
    let (directory, path, store) = store();
    let head = store.head().unwrap();
    drop(store);
    let error = SqliteStore::create(&path).unwrap_err();
    assert!(matches!(error, StoreError::Exists { .. }), "{error:?}");
    assert_eq!(SqliteStore::open(&path, false).unwrap().head().unwrap(), head);

    let other = directory.path().join("notes.txt");
    fs::write(&other, "not a store").unwrap();
    let error = SqliteStore::create(&other).unwrap_err();
    assert!(matches!(error, StoreError::Exists { .. }), "{error:?}");
    assert_eq!(fs::read(&other).unwrap(), b"not a store");

    let dangling = directory.path().join("dangling.db");
    symlink(directory.path().join("elsewhere.db"), &dangling).unwrap();
    let error = SqliteStore::create(&dangling).unwrap_err();
    assert!(matches!(error, StoreError::Exists { .. }), "{error:?}");
    assert!(!directory.path().join("elsewhere.db").exists());
}

#[test]
fn remains_of_an_earlier_store_are_not_taken_over() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("store.db");
    for suffix in ["-wal", "-shm", "-journal"] {
        let remains = companion(&path, suffix);
        fs::write(&remains, "old").unwrap();
        let error = SqliteStore::create(&path).unwrap_err().to_string();
        assert!(
            error.contains(suffix) && error.contains("move it away"),
            "{error}"
        );
        assert_eq!(
            names(directory.path()),
            [remains.file_name().unwrap().to_str().unwrap()]
        );
        fs::remove_file(remains).unwrap();
    }
    SqliteStore::create(&path).unwrap();
}

#[test]
fn a_directory_that_is_not_there_is_named() {
    let directory = TempDir::new().unwrap();
    let error = SqliteStore::create(&directory.path().join("none/store.db")).unwrap_err();
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains("its directory"), "{error}");
    let error = SqliteStore::open(&directory.path().join("none.db"), true).unwrap_err();
    assert!(matches!(error, StoreError::Missing { .. }), "{error:?}");
    assert_eq!(names(directory.path()), [""; 0]);
}

#[test]
fn a_link_is_followed_and_the_companions_are_beside_the_file() {
    let (directory, path, store) = store();
    let link = directory.path().join("link.db");
    symlink(&path, &link).unwrap();
    let linked = SqliteStore::open(&link, true).unwrap();
    let mut watch = linked.watch().unwrap();
    append_until_in(&store, "by the file", &[]);
    assert_eq!(watch.wait(SOON).unwrap(), Wake::Changed);
    append_until_in(&linked, "by the link", &[]);
    assert_eq!(store.head().unwrap().unwrap().revision, Revision(3));
    assert_eq!(
        names(directory.path()),
        ["link.db", "store.db", "store.db-shm", "store.db-wal"]
    );
}

fn read_and_follow(path: &Path) {
    let error = SqliteStore::open(path, true).unwrap_err();
    assert!(matches!(error, StoreError::ReadOnly { .. }), "{error:?}");
    let store = SqliteStore::open(path, false).unwrap();
    let mut watch = store.watch().unwrap();
    store.check().unwrap();
    let error = store.append(None, &commit(None, "mine"), &[]).unwrap_err();
    assert!(
        matches!(error, AppendError::Store(StoreError::ReadOnly { .. })),
        "{error:?}"
    );
    let error = store.put_checkpoint(Revision(1), b"mine").unwrap_err();
    assert!(matches!(error, StoreError::ReadOnly { .. }), "{error:?}");
    loop {
        let head = store.head().unwrap().unwrap();
        assert_eq!(
            store.commits(Revision(1), 100).unwrap().last().unwrap().head,
            head
        );
        assert_eq!(objects(&store, &[object(1, 50).hash]), [object(1, 50)]);
        say(head.revision);
        while watch.wait(SOON).unwrap() == Wake::Idle {}
    }
}

/// A reader with nothing but read permission, while the writer comes and goes.
fn follow_with_read_permission_only(directory_mode: u32) {
    let (directory, path, store) = store();
    // The mode of the file alone; opening it for writing hands it on to the companions.
    set_mode(&path, 0o644);
    let writer = SqliteStore::open(&path, true).unwrap();
    assert_eq!(mode(&companion(&path, "-shm")), 0o644);
    drop(store);
    // Root is a reader as a stranger; anybody else by taking the right to write from the files.
    let start = || match is_root() {
        true => {
            let copy = directory.path().join("test-binary");
            if !copy.exists() {
                copied::copy(std::env::current_exe().unwrap(), &copy);
                set_mode(&copy, 0o755);
            }
            Job::start_as(STRANGER, "child", "read and follow", &path, &copy)
        }
        false => Job::start("child", "read and follow", &path),
    };
    if !is_root() {
        for suffix in ["", "-wal", "-shm"] {
            set_mode(&companion(&path, suffix), 0o444);
        }
    }
    let one = start();
    set_mode(directory.path(), directory_mode);
    assert_eq!(one.line(), "1");
    append_until_in(&writer, "second", &[object(2, 50)]);
    assert_eq!(one.line(), "2");
    // Without any writer, too; this one is the last to close and empties the `-wal` file.
    drop(writer);
    let two = start();
    assert_eq!(two.line(), "2");
    if is_root() {
        let writer = SqliteStore::open(&path, true).unwrap();
        for revision in 3..20 {
            append_until_in(&writer, "more", &[object(revision, 5_000)]);
            assert_eq!(one.line(), revision.to_string());
            assert_eq!(two.line(), revision.to_string());
        }
        writer.check().unwrap();
        for suffix in ["-wal", "-shm"] {
            assert_eq!(fs::metadata(companion(&path, suffix)).unwrap().uid(), 0);
        }
    }
    set_mode(directory.path(), 0o755);
}

#[test]
fn a_reader_needs_only_read_permission() {
    follow_with_read_permission_only(0o555);
}

#[test]
fn a_reader_need_not_even_list_the_directory() {
    follow_with_read_permission_only(0o711);
}

fn report_and_read(path: &Path) {
    let store = SqliteStore::open(path, false).unwrap();
    let reported = store.put_reports(&[report(2)]);
    let reported = reported.map_err(|error| match error {
        StoreError::ReadOnly { .. } => "may not".to_owned(),
        other => other.to_string(),
    });
    let there = store.reports().map(|all| all.len());
    say(format!("{reported:?} {there:?}"));
}

fn report(slot: u8) -> StoredReport {
    StoredReport {
        slot: [slot; 32],
        counter: 1,
        bytes: b"a report".to_vec(),
    }
}

#[test]
fn a_reader_reports_where_the_directory_lets_it() {
    if !root::can("become another user") {
        return;
    }
    let (directory, path, store) = store();
    let copy = directory.path().join("test-binary");
    copied::copy(std::env::current_exe().unwrap(), &copy);
    set_mode(&copy, 0o755);
    set_mode(&path, 0o644);
    for suffix in ["-wal", "-shm"] {
        set_mode(&companion(&path, suffix), 0o644);
    }
    let report_as_stranger = || {
        let job = Job::start_as(STRANGER, "child", "report", &path, &copy);
        let line = job.line();
        job.finish();
        line
    };
    set_mode(directory.path(), 0o755);
    assert_eq!(report_as_stranger(), "Err(\"may not\") Ok(0)");
    store.put_reports(&[report(1)]).unwrap();
    let beside = companion(&path, ".uptake");
    assert_eq!(mode(&beside), 0o644, "as the store");
    assert_eq!(report_as_stranger(), "Err(\"may not\") Ok(1)");
    // with the sticky bit everybody makes files there, and nobody takes those of others away
    for suffix in ["", "-wal", "-shm"] {
        fs::remove_file(companion(&beside, suffix)).unwrap();
    }
    set_mode(directory.path(), 0o1777);
    assert_eq!(report_as_stranger(), "Ok(()) Ok(1)");
    store.put_reports(&[report(1)]).unwrap();
    assert_eq!(store.reports().unwrap(), [report(1), report(2)]);
}

#[test]
fn reports_whose_file_is_being_made_are_none_yet() {
    let (_directory, path, store) = store();
    let beside = companion(&path, ".uptake");
    assert_eq!(store.reports_place(), None);
    fs::write(&beside, "").unwrap();
    assert_eq!(store.reports().unwrap(), []);
    store.put_reports(&[report(1)]).unwrap();
    assert_eq!(store.reports().unwrap(), [report(1)]);
    let place = store.reports_place();
    assert!(place.is_some());
    store.put_reports(&[report(2)]).unwrap();
    assert_eq!(store.reports_place(), place);
    for suffix in ["", "-wal", "-shm"] {
        fs::remove_file(companion(&beside, suffix)).unwrap();
    }
    store.put_reports(&[report(2)]).unwrap();
    assert_ne!(store.reports_place(), place);
}

#[test]
fn reports_that_are_damaged_hold_up_nothing_and_may_be_removed() {
    let (_directory, path, store) = store();
    let beside = companion(&path, ".uptake");
    for bytes in [
        &b"not a database, but longer than its head would be: ".repeat(9)[..],
        b"short",
    ] {
        fs::write(&beside, bytes).unwrap();
        let errors = [
            store.put_reports(&[report(1)]).unwrap_err(),
            store.reports().unwrap_err(),
            store.drop_reports(&[([1; 32], 1)]).unwrap_err(),
        ];
        for error in errors {
            assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
            assert!(error.to_string().contains("remove it"), "{error}");
        }
        append_until_in(&store, "the store itself goes on", &[]);
        fs::remove_file(&beside).unwrap();
        store.put_reports(&[report(1)]).unwrap();
        assert_eq!(store.reports().unwrap(), [report(1)]);
        for suffix in ["", "-wal", "-shm"] {
            fs::remove_file(companion(&beside, suffix)).unwrap();
        }
        assert_eq!(store.reports().unwrap(), []);
    }
    // a store in its place is none of it
    fs::copy(&path, &beside).unwrap();
    assert!(matches!(store.reports().unwrap_err(), StoreError::Damaged { .. }));
}

#[test]
fn a_reader_that_cannot_read_a_companion_is_told_which() {
    if !root::can("become another user") {
        return;
    }
    let (directory, path, store) = store();
    set_mode(directory.path(), 0o777);
    let copy = directory.path().join("test-binary");
    copied::copy(std::env::current_exe().unwrap(), &copy);
    set_mode(&copy, 0o755);
    let open = || {
        let job = Job::start_as(STRANGER, "child", "open", &path, &copy);
        let line = job.line();
        job.finish();
        line
    };
    set_mode(&path, 0o640);
    assert!(open().contains("Permission denied"), "{}", open());
    set_mode(&path, 0o644);
    set_mode(&companion(&path, "-wal"), 0o644);
    assert!(open().contains("`-shm` file cannot be read"), "{}", open());
    // Nor does it make one of its own that the writer could not use.
    drop(store);
    fs::remove_file(companion(&path, "-wal")).unwrap();
    fs::remove_file(companion(&path, "-shm")).unwrap();
    assert!(open().contains("`-wal` file cannot be read"), "{}", open());
    assert!(!companion(&path, "-wal").exists() && !companion(&path, "-shm").exists());
    // The next writer makes both.
    let store = SqliteStore::open(&path, true).unwrap();
    assert!(open().starts_with("opened at Ok(Some"), "{}", open());
    append_until_in(&store, "second", &[]);
}

#[test]
fn a_locked_store_is_read_and_its_writer_told() {
    let (_directory, path, store) = store();
    let head = store.head().unwrap();
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(store.head().unwrap(), head);
    let begin = Instant::now();
    let next = commit(head, "second");
    let error = store.append(head, &next, &[]).unwrap_err();
    assert!(
        matches!(error, AppendError::Store(StoreError::Unreachable { .. })),
        "{error:?}"
    );
    assert!(error.to_string().contains("locked by another process"), "{error}");
    assert!(begin.elapsed() >= Duration::from_secs(4));
    other.execute_batch("ROLLBACK").unwrap();
    store.append(head, &next, &[]).unwrap();
}

#[test]
fn a_store_locked_whole_is_out_of_reach_until_it_is_free() {
    let (_directory, path, store) = store();
    drop(store);
    let other = rusqlite::Connection::open(&path).unwrap();
    other
        .execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; DELETE FROM checkpoint")
        .unwrap();
    let error = SqliteStore::open(&path, true).unwrap_err();
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains("locked by another process"), "{error}");
    drop(other);
    append_until_in(&SqliteStore::open(&path, true).unwrap(), "second", &[]);
}

fn write_until_there_is_no_room(path: &Path) {
    let limit = rustix::process::Rlimit {
        current: Some(400_000),
        maximum: Some(400_000),
    };
    rustix::process::setrlimit(rustix::process::Resource::Fsize, limit).unwrap();
    let store = SqliteStore::open(path, true).unwrap();
    loop {
        let expected = store.head().unwrap();
        let next = commit(expected, "more");
        let seed = next.head.revision.0;
        match store.append(expected, &next, &[object(seed, 50_000)]) {
            Ok(()) => say(seed),
            Err(AppendError::Store(StoreError::Unreachable { reason, .. })) => {
                // What was there before is still read.
                assert_eq!(store.head().unwrap(), expected);
                return say(format!("no room: {reason}"));
            }
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn without_room_nothing_is_lost() {
    let (_directory, path, store) = store();
    drop(store);
    // The signal for a too large file is ignored, so that the write fails instead.
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap());
    let job = Job::start_by(shell, "child", "write until there is no room", &path);
    let mut acknowledged = 1;
    loop {
        let line = job.line();
        match line.parse() {
            Ok(revision) => acknowledged = revision,
            Err(_) => break assert!(line.starts_with("no room"), "{line}"),
        }
    }
    job.finish();
    assert!(acknowledged > 1);
    let store = SqliteStore::open(&path, true).unwrap();
    assert_eq!(store.head().unwrap().unwrap().revision, Revision(acknowledged));
    store.check().unwrap();
    append_until_in(&store, "more", &[]);
}
