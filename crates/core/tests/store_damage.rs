//! Files that are no store, or a broken one: refused with the right error, never a panic, never
//! changed, and never read as something else.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod store_support;

use std::fs;
use std::path::{Path, PathBuf};

use store_support::{append_until_in, object, objects};
use strongroom_core::id::{Hash, Revision};
use strongroom_core::store::{SqliteStore, Store, StoreError, StoredCommit, StoredObject, create, open};
use tempfile::TempDir;

const COMMITS: u64 = 40;

fn stored_object(revision: u64) -> StoredObject {
    // Some small, some over several pages.
    object(revision, if revision.is_multiple_of(5) { 9_000 } else { 300 })
}

/// A whole store at rest, as the bytes of its file.
fn whole(directory: &Path) -> Vec<u8> {
    let path = directory.join("whole.db");
    let store = SqliteStore::create(&path).unwrap();
    for revision in 1..=COMMITS {
        append_until_in(&store, "change", &[stored_object(revision)]);
    }
    store.put_checkpoint(Revision(COMMITS), &[7; 500]).unwrap();
    drop(store);
    fs::read(path).unwrap()
}

/// Everything that a store at `path` gives, or its first error.
fn read_all(path: &Path) -> Result<(Vec<StoredCommit>, Vec<StoredObject>), StoreError> {
    let store = SqliteStore::open(path, false)?;
    store.head()?;
    store.checkpoint()?;
    let commits = store.commits(Revision(1), usize::MAX)?;
    let wanted: Vec<_> = (1..=COMMITS)
        .map(|revision| stored_object(revision).hash)
        .collect();
    let mut found = Vec::new();
    store.objects(&wanted, &mut |hash, bytes| {
        found.push(StoredObject {
            hash,
            bytes: bytes.to_vec(),
        });
        true
    })?;
    // One by one too: that is another way through the file.
    for hash in &wanted {
        store.objects(&[*hash], &mut |_, _| true)?;
    }
    Ok((commits, found))
}

/// A path for a file of `bytes`, without companions.
fn place(directory: &Path, bytes: &[u8]) -> PathBuf {
    let path = directory.join("broken.db");
    for suffix in ["-wal", "-shm"] {
        let _ = fs::remove_file(format!("{}{suffix}", path.display()));
    }
    fs::write(&path, bytes).unwrap();
    path
}

fn assert_damaged(error: &StoreError) {
    assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
}

#[test]
fn a_file_cut_short_is_damaged() {
    let directory = TempDir::new().unwrap();
    let bytes = whole(directory.path());
    let ends = [
        0,
        1,
        15,
        16,
        99,
        100,
        500,
        4_095,
        4_096,
        4_097,
        8_192,
        bytes.len() / 2,
        bytes.len() - 4_096,
    ];
    for end in ends {
        let path = place(directory.path(), &bytes[..end]);
        for writable in [false, true] {
            let error = match SqliteStore::open(&path, writable) {
                Err(error) => error,
                Ok(store) => match store.check() {
                    Err(error) => error,
                    Ok(()) => panic!("{end} of {} bytes pass for a store", bytes.len()),
                },
            };
            assert_damaged(&error);
        }
        assert_damaged(&read_all(&path).unwrap_err());
        assert_eq!(fs::read(&path).unwrap(), bytes[..end], "reading changed the file");
    }
    // SQLite takes what is missing of the last page for zeros: no object can be another by that.
    for end in [bytes.len() - 1, bytes.len() - 2_000] {
        if let Ok((commits, objects)) = read_all(&place(directory.path(), &bytes[..end])) {
            let whole = |object: &StoredObject| Hash::of(&object.bytes) == object.hash;
            let lost = objects.iter().filter(|object| !whole(object)).count();
            assert!(commits.len() as u64 == COMMITS && lost <= 1);
        }
    }
}

#[test]
fn a_flipped_bit_is_never_a_panic_and_never_another_object() {
    let directory = TempDir::new().unwrap();
    let bytes = whole(directory.path());
    let (commits, _) = read_all(&place(directory.path(), &bytes)).unwrap();
    assert_eq!(commits.len() as u64, COMMITS);
    let (mut refused, mut found_by_check, mut found_by_hash) = (0, 0, 0);
    // Every byte of the header and the schema, then a sample of all others.
    let positions = (0..600).chain((600..bytes.len()).step_by(101));
    for at in positions {
        let mut broken = bytes.clone();
        broken[at] ^= 1 << (at % 8);
        let path = place(directory.path(), &broken);
        match read_all(&path) {
            Err(StoreError::Damaged { .. } | StoreError::Newer { .. }) => refused += 1,
            // The bytes that say how the file is to be written: 2 is WAL, and more is the future.
            Err(StoreError::ReadOnly { .. }) if (18..20).contains(&at) => refused += 1,
            Err(other) => panic!("byte {at}: {other:?}"),
            Ok((read, found)) => {
                // What is not refused is as it was, or not what its hash says.
                let other = |object: &&StoredObject| Hash::of(&object.bytes) != object.hash;
                found_by_hash += usize::from(found.iter().any(|object| other(&object)) || read != commits);
                let store = SqliteStore::open(&path, false).unwrap();
                match store.check() {
                    Ok(()) => {}
                    Err(StoreError::Damaged { .. }) => found_by_check += 1,
                    Err(other) => panic!("byte {at}: {other:?}"),
                }
            }
        }
    }
    assert!(refused > 50, "{refused}");
    assert!(
        found_by_check > 0 && found_by_hash > 50,
        "{found_by_check} {found_by_hash}"
    );
}

#[test]
fn a_damaged_log_gives_back_only_whole_commits() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("store.db");
    let store = SqliteStore::create(&path).unwrap();
    for revision in 1..=COMMITS {
        append_until_in(&store, "change", &[stored_object(revision)]);
    }
    // As after a crash: what is in the log is not in the file yet.
    let log = fs::read(directory.path().join("store.db-wal")).unwrap();
    let main = fs::read(&path).unwrap();
    assert!(log.len() > 100_000);
    for at in (0..log.len()).step_by(4_001) {
        let mut broken = log.clone();
        broken[at] ^= 0x10;
        let copy = place(directory.path(), &main);
        fs::write(directory.path().join("broken.db-wal"), &broken).unwrap();
        let store = match SqliteStore::open(&copy, false) {
            Ok(store) => store,
            Err(StoreError::Damaged { .. }) => continue,
            Err(other) => panic!("byte {at}: {other:?}"),
        };
        let commits = store.commits(Revision(1), usize::MAX).unwrap();
        for commit in &commits {
            assert_eq!(Hash::of(&commit.bytes), commit.head.hash);
            let object = stored_object(commit.head.revision.0);
            assert_eq!(objects(&store, &[object.hash]), [object]);
        }
        store.check().unwrap();
    }
}

#[test]
fn other_files_are_refused_and_left_alone() {
    let directory = TempDir::new().unwrap();
    let foreign = directory.path().join("foreign.db");
    let connection = rusqlite::Connection::open(&foreign).unwrap();
    connection
        .execute_batch("CREATE TABLE notes (text TEXT); INSERT INTO notes VALUES ('mine')")
        .unwrap();
    drop(connection);
    let text = directory.path().join("notes.txt");
    fs::write(
        &text,
        "a text that is longer than the hundred bytes of a header. ".repeat(3),
    )
    .unwrap();
    for path in [&foreign, &text] {
        let before = fs::read(path).unwrap();
        for writable in [false, true] {
            assert_damaged(&SqliteStore::open(path, writable).unwrap_err());
        }
        assert_eq!(fs::read(path).unwrap(), before);
    }
    let pipe = directory.path().join("pipe");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, mode).unwrap();
    for path in [directory.path(), &pipe, Path::new("/dev/zero")] {
        assert_damaged(&SqliteStore::open(path, false).unwrap_err());
    }
}

/// Opens a store after `change` was made to its database by another program.
fn open_after(change: &str) -> (TempDir, Result<SqliteStore, StoreError>) {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("store.db");
    append_until_in(&SqliteStore::create(&path).unwrap(), "first", &[object(1, 50)]);
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.execute_batch(change).unwrap();
    drop(connection);
    let words = |opened: Result<SqliteStore, StoreError>| opened.map(drop).map_err(|error| error.to_string());
    assert_eq!(
        words(SqliteStore::open(&path, true)),
        words(SqliteStore::open(&path, false))
    );
    let opened = SqliteStore::open(&path, false);
    (directory, opened)
}

#[test]
fn a_newer_format_says_so() {
    let error = open_after("PRAGMA user_version = 2; ALTER TABLE commits ADD COLUMN more TEXT");
    let error = error.1.unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::Newer {
                found: 2,
                known: 1,
                ..
            }
        ),
        "{error:?}"
    );
    assert!(error.to_string().contains("update"), "{error}");
}

#[test]
fn a_changed_schema_is_refused() {
    open_after("SELECT 1").1.unwrap();
    for change in [
        "PRAGMA user_version = 0",
        "PRAGMA user_version = -1",
        "PRAGMA application_id = 7",
        "DROP TABLE checkpoint",
        "CREATE TABLE more (text TEXT)",
        "CREATE INDEX more ON commits (hash)",
        "CREATE VIEW more AS SELECT * FROM commits",
        "CREATE TRIGGER more AFTER INSERT ON commits BEGIN DELETE FROM objects; END",
        "ALTER TABLE commits RENAME TO others; \
         CREATE VIEW commits AS SELECT revision, hash, bytes FROM others",
    ] {
        assert_damaged(&open_after(change).1.unwrap_err());
    }
}

#[test]
fn rows_that_no_store_writes_are_damage() {
    for change in [
        "UPDATE commits SET revision = -1",
        "UPDATE commits SET hash = x'00'",
    ] {
        let (_directory, store) = open_after(change);
        assert_damaged(&store.unwrap().head().unwrap_err());
    }
}

#[test]
fn a_location_is_read_strictly() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("store.db");
    let location = format!("sqlite:{}", path.display());
    assert!(matches!(open(&location, false), Err(StoreError::Missing { .. })));
    let made = create(&location).unwrap();
    assert_eq!(made.location(), location);
    assert!(matches!(create(&location), Err(StoreError::Exists { .. })));
    open(&location, true).unwrap();
    for wrong in ["", "sqlite:", "store.db", "etcd:somewhere", "SQLITE:store.db"] {
        assert!(
            matches!(open(wrong, false), Err(StoreError::Location { .. })),
            "{wrong}"
        );
        assert!(
            matches!(create(wrong), Err(StoreError::Location { .. })),
            "{wrong}"
        );
    }
    // What SQLite would take for a URI with options is a name like any other.
    let odd = directory.path().join("file:odd?mode=memory&x=%41");
    drop(SqliteStore::create(&odd).unwrap());
    assert!(odd.is_file());
    SqliteStore::open(&odd, true).unwrap().check().unwrap();
}
