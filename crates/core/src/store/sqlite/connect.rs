//! Connections: owns how a store file is made, opened, made safe against a hostile file, and
//! recognised as a store of ours. Knows nothing of rows.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, FileControl, MAIN_DB, OpenFlags};

use super::FORMAT;
use super::error::{Fail, PATIENCE};
use super::file::{self, FileId, Place};
use crate::store::StoreError;

/// What tells a file of ours from any other SQLite file, and what is in it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shape {
    application_id: i32,
    /// Every table, in the order of their making. A file with any other schema is refused, so nothing
    /// in a hostile file (a trigger, a view, an expression) can run.
    schema: &'static [&'static str],
    /// Whether what was acknowledged survives a power failure.
    durable: bool,
}

/// The store: "StRm".
pub(super) static STORE: Shape = Shape {
    application_id: 0x5374_526d,
    schema: &SCHEMA,
    durable: true,
};

/// What is reported beside it: "StRu". It can be lost: who reports does so again.
pub(super) static REPORTS: Shape = Shape {
    application_id: 0x5374_5275,
    schema: &[
        "CREATE TABLE reports (slot BLOB NOT NULL PRIMARY KEY, counter INTEGER NOT NULL, bytes BLOB NOT NULL) STRICT",
        "CREATE TABLE changes (only_one INTEGER PRIMARY KEY CHECK (only_one = 1), number INTEGER NOT NULL) STRICT",
    ],
    durable: false,
};

/// Every table of a store, in the order of their making.
///
/// Objects have a hidden row number: they lie in the order of their making, which makes a scan
/// sequential, and the highest number says how many there are.
const SCHEMA: [&str; 3] = [
    "CREATE TABLE commits (revision INTEGER PRIMARY KEY, hash BLOB NOT NULL, bytes BLOB NOT NULL) STRICT",
    "CREATE TABLE objects (hash BLOB NOT NULL PRIMARY KEY, bytes BLOB NOT NULL) STRICT",
    "CREATE TABLE checkpoint (only_one INTEGER PRIMARY KEY CHECK (only_one = 1), \
     revision INTEGER NOT NULL, bytes BLOB NOT NULL) STRICT",
];

/// The `-wal` file is cut back to this many bytes after a long transaction.
const WAL_LIMIT: u32 = 16 << 20;

/// KiB that a writing connection may keep pages in. Rows lie in the order of their hashes in one of the
/// trees, so that a commit of thousands touches all of it: pages that do not fit are written and read
/// over and over.
const WRITE_CACHE: u32 = 32 << 10;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
}

/// A connection and the file that it is to.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) connection: Connection,
    pub(super) file: FileId,
}

/// A connection to whatever file is at a place; threads take turns.
#[derive(Debug)]
pub(super) struct Link {
    place: Place,
    shape: &'static Shape,
    access: Access,
    open: Mutex<Option<Open>>,
}

impl Link {
    pub(super) fn open(place: Place, access: Access) -> Result<Self, StoreError> {
        let open = Mutex::new(Some(open(&place, &STORE, access)?));
        let shape = &STORE;
        Ok(Self {
            place,
            shape,
            access,
            open,
        })
    }

    /// One that is opened when it is first used.
    pub(super) fn lazy(place: Place, shape: &'static Shape, access: Access) -> Self {
        Self {
            place,
            shape,
            access,
            open: Mutex::default(),
        }
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// Runs `f` on the connection, or on a new one if another file is there now.
    pub(super) fn run<T>(&self, f: impl FnOnce(&mut Open) -> Result<T, Fail>) -> Result<T, StoreError> {
        let mut slot = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let known = slot.take();
        let file = self.place.file()?;
        let fresh = match known {
            Some(open) if open.file == file => open,
            _ => open(&self.place, self.shape, self.access)?,
        };
        f(slot.insert(fresh)).map_err(|fail| {
            // Whatever was wrong, the next call begins anew and looks at the file again.
            if !fail.is_busy() {
                *slot = None;
            }
            fail.at(&self.place)
        })
    }

    /// Moves the `-wal` file's content into the file, unless that would have to wait.
    pub(super) fn settle(&self) {
        if let Some(open) = &*self.open.lock().unwrap_or_else(PoisonError::into_inner) {
            let _ = open.connection.busy_timeout(Duration::ZERO);
            let _ = open.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
            let _ = open.connection.busy_timeout(PATIENCE);
        }
    }
}

/// Opens the file that is there and holds that it is a store.
pub(super) fn open(place: &Place, shape: &Shape, access: Access) -> Result<Open, StoreError> {
    let file = place.file()?;
    place.companions_in_reach()?;
    let path = place.resolve()?;
    let connection = connect(&path, access).map_err(|fail| fail.at(place))?;
    verify(&connection, place, shape)?;
    if access == Access::Write {
        prepare_writing(&connection, place, shape)?;
        // Best effort: who lacks the right to change them may still write.
        let _ = file::align(&path);
    }
    match place.file()? == file {
        true => Ok(Open { connection, file }),
        false => Err(place.unreachable("another file took its place while it was opened; try again")),
    }
}

/// Turns the empty file at `place` into one of `shape` with nothing in it; one that has its tables
/// already stays as it is.
pub(super) fn initialise(place: &Place, shape: &Shape) -> Result<(), StoreError> {
    let connection = connect(&place.resolve()?, Access::Write).map_err(|fail| fail.at(place))?;
    // One transaction: a file is a store or is not.
    let script = format!(
        "BEGIN IMMEDIATE; PRAGMA application_id = {}; PRAGMA user_version = {FORMAT}; {}; COMMIT",
        shape.application_id,
        shape
            .schema
            .join("; ")
            .replace("CREATE TABLE", "CREATE TABLE IF NOT EXISTS")
    );
    connection
        .execute_batch(&script)
        .map_err(|error| Fail::from(error).at(place))?;
    prepare_writing(&connection, place, shape)
}

fn connect(path: &Path, access: Access) -> Result<Connection, Fail> {
    let way = match access {
        Access::Read => OpenFlags::SQLITE_OPEN_READ_ONLY,
        Access::Write => OpenFlags::SQLITE_OPEN_READ_WRITE,
    };
    // The path is canonical: a link in it now was not there a moment ago.
    let flags = way | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(PATIENCE)?;
    for (setting, on) in [
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false),
    ] {
        connection.set_db_config(setting, on)?;
    }
    // Companions stay when the last connection closes: readers may be unable to make them.
    connection.file_control(Some(MAIN_DB), FileControl::PersistWal(&mut 1))?;
    connection.execute_batch("PRAGMA cell_size_check = ON")?;
    if access == Access::Write {
        connection.execute_batch(&format!("PRAGMA cache_size = -{WRITE_CACHE}"))?;
    }
    Ok(connection)
}

/// Holds that this is a store file of a format we know.
fn verify(connection: &Connection, place: &Place, shape: &Shape) -> Result<(), StoreError> {
    let look = || -> Result<_, Fail> {
        let application: i32 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
        let format: i32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        let mut statement = connection.prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL")?;
        let found: Vec<String> = statement
            .query_map([], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        Ok((application, u32::try_from(format).unwrap_or(0), found))
    };
    let (application, format, found) = look().map_err(|fail| fail.at(place))?;
    if application == 0 && found.is_empty() {
        return Err(place.damaged(
            "the file is empty: no store, or one whose making was cut short; remove it and make it again",
        ));
    }
    if application != shape.application_id {
        return Err(place.damaged("this is another program's file, not a store"));
    }
    if format > FORMAT {
        return Err(StoreError::Newer {
            location: place.location(),
            found: format,
            known: FORMAT,
        });
    }
    if format != FORMAT || found != shape.schema {
        return Err(place.damaged("its tables are not those of a store"));
    }
    Ok(())
}

fn prepare_writing(connection: &Connection, place: &Place, shape: &Shape) -> Result<(), StoreError> {
    let prepare = || -> Result<_, Fail> {
        if connection.is_readonly(MAIN_DB)? {
            return Ok(None);
        }
        let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
        connection.execute_batch(&format!(
            "PRAGMA synchronous = {}; PRAGMA journal_size_limit = {WAL_LIMIT}",
            if shape.durable { "FULL" } else { "NORMAL" }
        ))?;
        Ok(Some(mode))
    };
    match prepare().map_err(|fail| fail.at(place))?.as_deref() {
        Some("wal") => Ok(()),
        Some(_) => Err(place.unreachable("its filesystem has no shared memory, which SQLite's WAL needs")),
        None => Err(place.read_only("the file's permissions or its filesystem forbid writing")),
    }
}
