//! The embedded store: one SQLite file in WAL mode, many reading processes beside one writer at a
//! time. Owns what is stored in which table; must not know what the bytes mean.
//!
//! Reads and writes go through a connection each, so that a reader of this process never waits
//! for a writer's disk. Both are opened anew when another file takes the store's place.

mod connect;
mod error;
mod file;
mod read;
mod report;
mod watch;

use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, TransactionBehavior, params};

use self::connect::{Access, Link};
use self::error::Fail;
use self::file::Place;
use self::report::Beside;
use super::{
    AppendError, Head, Store, StoreError, StoreWatch, StoredCommit, StoredObject, StoredReport, follows,
};
use crate::id::{Hash, Revision};

/// The layout of the tables that this program writes, and the newest it reads.
pub(super) const FORMAT: u32 = 1;

/// A store in one SQLite file. Its `-wal` and `-shm` companions stay beside it for good, because
/// processes that may only read could not make them.
#[derive(Debug)]
pub struct SqliteStore {
    /// Shared with watches.
    reader: Arc<Link>,
    /// None if only reading was asked for.
    writer: Option<Link>,
    /// The reports.
    beside: Beside,
}

impl SqliteStore {
    /// Makes a new store file at `path`: of mode 0660 at most, never wider than its directory
    /// allows, whatever the umask is. The directory must exist.
    ///
    /// # Errors
    /// [`StoreError::Exists`] when something is there; nothing is changed then.
    pub fn create(path: &Path) -> Result<Self, StoreError> {
        let place = Place::new(path);
        file::create(&place)?;
        if let Err(error) = connect::initialise(&place, &connect::STORE) {
            file::remove(&place);
            return Err(error);
        }
        Self::open(path, true)
    }

    /// Opens the store file at `path`; a symbolic link is followed. `writable` asks for write
    /// permission too. Any number of processes may have it open.
    ///
    /// # Errors
    /// [`StoreError`]: `Missing`, `Unreachable`, `ReadOnly`, `Newer`, or `Damaged` for anything
    /// that is not a whole store file.
    pub fn open(path: &Path, writable: bool) -> Result<Self, StoreError> {
        let place = Place::new(path);
        // The reading connection is the first: it looks before anything could be written.
        let reader = Link::open(place.clone(), Access::Read)?;
        let writer = match writable {
            true => Some(Link::open(place, Access::Write)?),
            false => None,
        };
        Ok(Self {
            beside: Beside::of(reader.place()),
            reader: Arc::new(reader),
            writer,
        })
    }

    fn place(&self) -> &Place {
        self.reader.place()
    }

    fn writer(&self) -> Result<&Link, StoreError> {
        self.writer
            .as_ref()
            .ok_or_else(|| self.place().read_only("it was opened for reading"))
    }
}

impl Store for SqliteStore {
    fn location(&self) -> String {
        self.place().location()
    }

    fn head(&self) -> Result<Option<Head>, StoreError> {
        self.reader.run(|open| read::head(&open.connection))
    }

    fn commits(&self, from: Revision, limit: usize) -> Result<Vec<StoredCommit>, StoreError> {
        self.reader
            .run(|open| read::commits(&open.connection, from, limit))
    }

    fn objects(&self, wanted: &[Hash], each: &mut dyn FnMut(Hash, &[u8]) -> bool) -> Result<(), StoreError> {
        self.reader
            .run(|open| read::objects(&open.connection, wanted, each))
    }

    fn append(
        &self,
        expected: Option<Head>,
        commit: &StoredCommit,
        objects: &[StoredObject],
    ) -> Result<(), AppendError> {
        let writer = self.writer()?;
        follows(&self.location(), expected, commit)?;
        let (appended, file) = writer.run(|open| {
            let appended = append(&mut open.connection, expected, commit, objects)?;
            Ok((appended, open.file))
        })?;
        match appended {
            Err(head) => Err(AppendError::Conflict { head }),
            // The notification: readers watch for a touch of the file. It comes after the commit,
            // so that whoever wakes by it finds the commit.
            Ok(()) => Ok(self.place().touch(file)?),
        }
    }

    fn checkpoint(&self) -> Result<Option<Vec<u8>>, StoreError> {
        self.reader.run(|open| read::checkpoint(&open.connection))
    }

    fn put_checkpoint(&self, revision: Revision, bytes: &[u8]) -> Result<(), StoreError> {
        self.writer()?
            .run(|open| put_checkpoint(&open.connection, revision, bytes))
    }

    fn check(&self) -> Result<(), StoreError> {
        self.reader.run(|open| read::check(&open.connection))
    }

    fn watch(&self) -> Result<Box<dyn StoreWatch>, StoreError> {
        Ok(Box::new(watch::SqliteWatch::new(
            Arc::clone(&self.reader),
            read::head,
        )?))
    }

    fn put_reports(&self, reports: &[StoredReport]) -> Result<(), StoreError> {
        self.beside.put(reports)
    }

    fn drop_reports(&self, reports: &[([u8; 32], u64)]) -> Result<(), StoreError> {
        self.beside.drop(reports)
    }

    fn reports(&self) -> Result<Vec<StoredReport>, StoreError> {
        self.beside.all()
    }

    fn reports_place(&self) -> Option<(u64, u64)> {
        self.beside.file()
    }

    fn watch_reports(&self) -> Result<Box<dyn StoreWatch>, StoreError> {
        self.beside.watch()
    }
}

impl Drop for SqliteStore {
    /// Moves what is in the `-wal` file into the store file if nobody is in the way, so that a
    /// store that is not being written is whole in its one file and can be copied.
    fn drop(&mut self) {
        if let Some(writer) = &self.writer {
            writer.settle();
        }
    }
}

/// Ok(Err(head)) when the head is another one.
fn append(
    connection: &mut Connection,
    expected: Option<Head>,
    commit: &StoredCommit,
    objects: &[StoredObject],
) -> Result<Result<(), Option<Head>>, Fail> {
    let revision = number(commit.head.revision)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let head = read::head(&transaction)?;
    if head != expected {
        return Ok(Err(head));
    }
    {
        let mut insert = transaction
            .prepare("INSERT INTO objects (hash, bytes) VALUES (?1, ?2) ON CONFLICT (hash) DO NOTHING")?;
        for object in objects {
            insert.execute(params![object.hash.0, object.bytes])?;
        }
    }
    transaction.execute(
        "INSERT INTO commits (revision, hash, bytes) VALUES (?1, ?2, ?3)",
        params![revision, commit.head.hash.0, commit.bytes],
    )?;
    transaction.commit()?;
    Ok(Ok(()))
}

fn put_checkpoint(connection: &Connection, revision: Revision, bytes: &[u8]) -> Result<(), Fail> {
    connection.execute(
        "INSERT INTO checkpoint (only_one, revision, bytes) VALUES (1, ?1, ?2)
         ON CONFLICT (only_one) DO UPDATE SET revision = excluded.revision, bytes = excluded.bytes
         WHERE excluded.revision >= checkpoint.revision",
        params![number(revision)?, bytes],
    )?;
    Ok(())
}

/// A revision as SQLite's signed number.
fn number(revision: Revision) -> Result<i64, Fail> {
    i64::try_from(revision.0).map_err(|_| Fail::Refused("the revision is too great a number"))
}
