//! The reading queries: owns how rows become commits and objects, and the choice between single
//! look-ups and one pass over everything. Believes nothing about a row before it is looked at.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row};

use super::error::Fail;
use crate::id::{Hash, Revision};
use crate::lookup::HashIndex;
use crate::store::{Head, StoredCommit};

/// One pass is quicker than look-ups when more than one in this many objects is wanted.
const SCAN_ABOVE: usize = 20;

pub(super) fn head(connection: &Connection) -> Result<Option<Head>, Fail> {
    let mut statement =
        connection.prepare("SELECT revision, hash FROM commits ORDER BY revision DESC LIMIT 1")?;
    let mut rows = statement.query([])?;
    rows.next()?.map(head_of).transpose()
}

pub(super) fn commits(
    connection: &Connection,
    from: Revision,
    limit: usize,
) -> Result<Vec<StoredCommit>, Fail> {
    let Ok(from) = i64::try_from(from.0) else {
        return Ok(Vec::new());
    };
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = connection.prepare(
        "SELECT revision, hash, bytes FROM commits WHERE revision >= ?1 ORDER BY revision LIMIT ?2",
    )?;
    let mut rows = statement.query([from, limit])?;
    let mut commits = Vec::new();
    while let Some(row) = rows.next()? {
        commits.push(StoredCommit {
            head: head_of(row)?,
            bytes: blob(row, 2)?.to_vec(),
        });
    }
    Ok(commits)
}

pub(super) fn objects(
    connection: &Connection,
    wanted: &[Hash],
    each: &mut dyn FnMut(Hash, &[u8]) -> bool,
) -> Result<(), Fail> {
    let at = |position: u32| wanted.get(usize::try_from(position).ok()?);
    let mut open = HashIndex::with_capacity(wanted.len());
    for (position, hash) in (0..).zip(wanted) {
        open.insert(hash, position, at);
    }
    // Rows are numbered from 1 and never deleted.
    let stored: Option<i64> = connection.query_row("SELECT max(rowid) FROM objects", [], |row| row.get(0))?;
    let stored = usize::try_from(stored.unwrap_or(0)).unwrap_or(usize::MAX);
    if open.len() > stored / SCAN_ABOVE {
        let mut statement = connection.prepare("SELECT hash, bytes FROM objects")?;
        let mut rows = statement.query([])?;
        // A hash is in one row at most.
        let mut left = open.len();
        while left > 0
            && let Some(row) = rows.next()?
        {
            let hash = hash(row, 0)?;
            if open.find(&hash, at).is_some() {
                left -= 1;
                if !each(hash, blob(row, 1)?) {
                    break;
                }
            }
        }
        return Ok(());
    }
    let mut statement = connection.prepare("SELECT bytes FROM objects WHERE hash = ?1")?;
    let firsts = (0..)
        .zip(wanted)
        .filter(|(position, hash)| open.find(hash, at) == Some(*position));
    for (_, hash) in firsts {
        let mut rows = statement.query([hash.0])?;
        if let Some(row) = rows.next()?
            && !each(*hash, blob(row, 0)?)
        {
            break;
        }
    }
    Ok(())
}

pub(super) fn checkpoint(connection: &Connection) -> Result<Option<Vec<u8>>, Fail> {
    Ok(connection
        .query_row("SELECT bytes FROM checkpoint", [], |row| row.get(0))
        .optional()?)
}

pub(super) fn check(connection: &Connection) -> Result<(), Fail> {
    // It names pages, tables and indexes, never what is in them.
    let verdict: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    match verdict.as_str() {
        "ok" => Ok(()),
        _ => Err(Fail::Damaged(verdict.replace('\n', " "))),
    }
}

fn head_of(row: &Row<'_>) -> Result<Head, Fail> {
    let ValueRef::Integer(number) = row.get_ref(0)? else {
        return Err(Fail::Damaged("a revision is not a number".to_owned()));
    };
    let revision = u64::try_from(number).ok().filter(|number| *number > 0);
    Ok(Head {
        revision: revision
            .map(Revision)
            .ok_or_else(|| Fail::Damaged("a revision is below 1".to_owned()))?,
        hash: hash(row, 1)?,
    })
}

fn hash(row: &Row<'_>, column: usize) -> Result<Hash, Fail> {
    let bytes = blob(row, column)?.try_into();
    bytes
        .map(Hash)
        .map_err(|_| Fail::Damaged("a hash has not 32 bytes".to_owned()))
}

pub(super) fn blob<'a>(row: &'a Row<'_>, column: usize) -> Result<&'a [u8], Fail> {
    match row.get_ref(column)? {
        ValueRef::Blob(bytes) => Ok(bytes),
        _ => Err(Fail::Damaged("a row holds what is not bytes".to_owned())),
    }
}
