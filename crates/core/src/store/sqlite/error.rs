//! What SQLite says, turned into [`StoreError`]. Owns the choice between damaged, locked, out of
//! reach and read-only. SQLite's own message texts are never passed on: they may quote content.

use rusqlite::ffi::{self, ErrorCode};

use super::file::Place;
use crate::store::StoreError;

/// How long a call waits for another process's lock.
pub(super) const PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);

/// A failure that does not yet know its place.
#[derive(Debug)]
pub(super) enum Fail {
    Sqlite(rusqlite::Error),
    /// What is stored is not what a store holds.
    Damaged(String),
    /// The caller asked for what cannot be stored.
    Refused(&'static str),
}

impl From<rusqlite::Error> for Fail {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl Fail {
    /// Another process holds a lock; the connection itself is sound.
    pub(super) fn is_busy(&self) -> bool {
        matches!(self, Self::Sqlite(rusqlite::Error::SqliteFailure(error, _)) if matches!(
            error.code,
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed
        ))
    }

    /// The same, at `place`.
    pub(super) fn at(self, place: &Place) -> StoreError {
        if self.is_busy() {
            return place.unreachable(format!(
                "it is locked by another process (waited {} s); try again",
                PATIENCE.as_secs()
            ));
        }
        match self {
            Self::Damaged(reason) => place.damaged(reason),
            Self::Refused(reason) => place.unreachable(reason),
            Self::Sqlite(rusqlite::Error::SqliteFailure(error, _)) => failure(error, place),
            // Everything else is a value of the wrong type or a row that is not there.
            Self::Sqlite(_) => place.damaged("a row is not as a store's rows are"),
        }
    }
}

fn failure(error: ffi::Error, place: &Place) -> StoreError {
    let words = ffi::code_to_str(error.extended_code);
    match error.code {
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::Unknown => place.damaged(words),
        ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch => place.damaged(words),
        ErrorCode::ReadOnly if error.extended_code == ffi::SQLITE_READONLY_RECOVERY => place.unreachable(
            "a writer died in the middle of a commit; whoever may write must open the store once",
        ),
        ErrorCode::ReadOnly if error.extended_code == ffi::SQLITE_READONLY_DBMOVED => {
            place.unreachable("the file was moved away while it was open")
        }
        ErrorCode::ReadOnly => place.read_only(words),
        ErrorCode::SystemIoFailure if error.extended_code == ffi::SQLITE_IOERR_CORRUPTFS => {
            place.damaged(words)
        }
        ErrorCode::DiskFull => place.unreachable("the disk is full; nothing was stored"),
        ErrorCode::CannotOpen => place.cannot_open(words),
        _ => place.unreachable(words),
    }
}
