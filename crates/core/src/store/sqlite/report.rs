//! What is reported beside the store: owns the file next to it (`STORE.uptake`), which is made with
//! the first report. Nothing of the store depends on it, and it may be removed at any time.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params};

use super::connect::{self, Access, Link, REPORTS};
use super::error::Fail;
use super::file::{self, FileId, Place};
use super::read::blob;
use super::watch::SqliteWatch;
use crate::store::{MAX_REPORT, MAX_REPORTS, StoreError, StoreWatch, StoredReport, fits};

const SUFFIX: &str = ".uptake";

/// The file beside a store, opened when it is first used.
#[derive(Debug)]
pub(super) struct Beside {
    store: Place,
    reader: Arc<Link>,
    writer: Link,
}

impl Beside {
    pub(super) fn of(store: &Place) -> Self {
        let place = store.beside(SUFFIX);
        Self {
            store: store.clone(),
            reader: Arc::new(Link::lazy(place.clone(), &REPORTS, Access::Read)),
            writer: Link::lazy(place, &REPORTS, Access::Write),
        }
    }

    fn place(&self) -> &Place {
        self.reader.place()
    }

    pub(super) fn put(&self, reports: &[StoredReport]) -> Result<(), StoreError> {
        fits(&self.place().location(), reports)?;
        let put = || {
            self.make()?;
            self.change(|connection| put(connection, reports))
        };
        put().map_err(removable)
    }

    pub(super) fn drop(&self, reports: &[([u8; 32], u64)]) -> Result<(), StoreError> {
        match self.change(|connection| remove(connection, reports)) {
            Err(StoreError::Missing { .. }) => Ok(()),
            other => other.map_err(removable),
        }
    }

    /// Makes the file unless it is there.
    fn make(&self) -> Result<(), StoreError> {
        if matches!(self.place().file(), Err(StoreError::Missing { .. })) {
            file::create_like(self.place(), &self.store)?;
        }
        if self.place().is_empty() {
            connect::initialise(self.place(), &REPORTS)?;
        }
        Ok(())
    }

    /// Wakes who watches if `change` says that it changed something.
    fn change(&self, change: impl Fn(&mut Connection) -> Result<bool, Fail>) -> Result<(), StoreError> {
        let (changed, file) = self
            .writer
            .run(|open| Ok((change(&mut open.connection)?, open.file)))?;
        if changed {
            self.place().touch(file)?;
        }
        Ok(())
    }

    pub(super) fn all(&self) -> Result<Vec<StoredReport>, StoreError> {
        let read = || self.reader.run(|open| all(&open.connection));
        let found = match read() {
            // somebody is about to report for the first time, or has by now
            Err(StoreError::Damaged { .. }) if self.place().is_empty() => return Ok(Vec::new()),
            Err(StoreError::Damaged { .. }) => read(),
            other => other,
        };
        match found {
            // nobody has reported yet
            Err(StoreError::Missing { .. }) => Ok(Vec::new()),
            other => other.map_err(removable),
        }
    }

    /// The file that is there now.
    pub(super) fn file(&self) -> Option<FileId> {
        self.place().file().ok()
    }

    pub(super) fn watch(&self) -> Result<Box<dyn StoreWatch>, StoreError> {
        self.make()?;
        Ok(Box::new(SqliteWatch::new(Arc::clone(&self.reader), changes)?))
    }
}

/// What is damaged here is lost without harm.
fn removable(error: StoreError) -> StoreError {
    match error {
        StoreError::Damaged { location, reason } => StoreError::Damaged {
            location,
            reason: format!("{reason}; remove it and its `-wal` and `-shm` files: it is written anew"),
        },
        other => other,
    }
}

/// True if any was kept.
fn put(connection: &mut Connection, reports: &[StoredReport]) -> Result<bool, Fail> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut kept = 0;
    {
        let mut insert = transaction.prepare(
            "INSERT INTO reports (slot, counter, bytes) VALUES (?1, ?2, ?3)
             ON CONFLICT (slot) DO UPDATE SET counter = excluded.counter, bytes = excluded.bytes
             WHERE excluded.counter > reports.counter",
        )?;
        for report in reports {
            let counter = i64::try_from(report.counter)
                .map_err(|_| Fail::Refused("the counter of a report is too great a number"))?;
            kept += insert.execute(params![report.slot, counter, report.bytes])?;
        }
    }
    if kept == 0 {
        return Ok(false);
    }
    transaction.execute(
        "DELETE FROM reports WHERE slot IN (SELECT slot FROM reports ORDER BY counter DESC LIMIT -1 OFFSET ?1)",
        params![number(MAX_REPORTS)],
    )?;
    finish(transaction)
}

/// True if any was there.
fn remove(connection: &mut Connection, reports: &[([u8; 32], u64)]) -> Result<bool, Fail> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut removed = 0;
    {
        let mut delete = transaction.prepare("DELETE FROM reports WHERE slot = ?1 AND counter = ?2")?;
        for (slot, counter) in reports {
            // what is greater is not there
            removed += delete.execute(params![slot, i64::try_from(*counter).unwrap_or(-1)])?;
        }
    }
    if removed == 0 {
        return Ok(false);
    }
    finish(transaction)
}

/// Commits, and says that something changed.
fn finish(transaction: Transaction<'_>) -> Result<bool, Fail> {
    transaction.execute(
        "INSERT INTO changes (only_one, number) VALUES (1, 1)
         ON CONFLICT (only_one) DO UPDATE SET number = number + 1",
        [],
    )?;
    transaction.commit()?;
    Ok(true)
}

fn all(connection: &Connection) -> Result<Vec<StoredReport>, Fail> {
    let mut statement = connection.prepare(
        "SELECT slot, counter, bytes FROM reports WHERE length(bytes) <= ?1 ORDER BY slot LIMIT ?2",
    )?;
    let mut rows = statement.query(params![number(MAX_REPORT), number(MAX_REPORTS)])?;
    let mut reports = Vec::new();
    while let Some(row) = rows.next()? {
        reports.push(report(row)?);
    }
    Ok(reports)
}

fn report(row: &Row<'_>) -> Result<StoredReport, Fail> {
    let slot = blob(row, 0)?.try_into();
    Ok(StoredReport {
        slot: slot.map_err(|_| Fail::Damaged("a slot has not 32 bytes".to_owned()))?,
        counter: u64::try_from(row.get::<_, i64>(1)?)
            .map_err(|_| Fail::Damaged("a counter is below 0".to_owned()))?,
        bytes: blob(row, 2)?.to_vec(),
    })
}

/// A bound as SQLite's signed number.
fn number(bound: usize) -> i64 {
    i64::try_from(bound).unwrap_or(i64::MAX)
}

/// How often something was kept.
fn changes(connection: &Connection) -> Result<Option<i64>, Fail> {
    Ok(connection
        .query_row("SELECT number FROM changes", [], |row| row.get(0))
        .optional()?)
}
