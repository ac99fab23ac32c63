//! Whether a commit leaves flags behind that cannot be evaluated, or that flagd's schema forbids: owns asking for every
//! environment that sees the change. It must not know rules.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::check::invalid;
use super::error::CommitError;
use crate::kind::Kind;
use crate::name::EntryPath;
use crate::snapshot::{Changed, FlagEntry, Snapshot, is_flag_set};

/// Most faults that an error lists.
const MAX_LISTED: usize = 20;

/// Refuses `next` when a flag is not valid that `changes` made, or whose set they did. What this identity does not
/// open is not asked.
pub(super) fn check(next: &Snapshot, changes: &[Changed]) -> Result<(), CommitError> {
    let changed: Vec<_> = changes
        .iter()
        .filter(|change| change.kind == Kind::Flag)
        .collect();
    if changed.is_empty() {
        return Ok(());
    }
    let mut asked: BTreeSet<(crate::id::EntryId, Option<crate::id::EntryId>)> = BTreeSet::new();
    let mut faults = String::new();
    let mut listed = 0;
    for environment in next.environments() {
        let layers = next.layers(&environment.name)?;
        let mut seen = changed
            .iter()
            .filter(|change| layers.contains(&change.environment));
        let paths: BTreeSet<&EntryPath> = seen.by_ref().map(|change| &change.path).collect();
        if paths.is_empty() {
            continue;
        }
        for entry in concerned(next, &environment.name, &paths)? {
            // The same flag with the same set is the same in every environment.
            if !asked.insert((entry.flag.id, entry.set.as_ref().map(|set| set.id))) {
                continue;
            }
            // Where the flag is, unless it is its set there that is another one.
            let own = &entry.flag.environment;
            let is_own = entry.set.as_ref().is_none_or(|set| set.environment == *own);
            let place = if is_own { own } else { &environment.name };
            for fault in next.flag_faults(&entry)? {
                listed += 1;
                if listed <= MAX_LISTED {
                    let _ = write!(faults, "\n  {} in {place}: {fault}", entry.flag.path);
                }
            }
        }
    }
    if listed == 0 {
        Ok(())
    } else {
        Err(invalid(format!("these flags could not be evaluated:{faults}")))
    }
}

/// The flags that are at `paths`, or of a set that is.
fn concerned(
    next: &Snapshot,
    environment: &crate::name::EnvironmentName,
    paths: &BTreeSet<&EntryPath>,
) -> Result<Vec<FlagEntry>, CommitError> {
    let sets: Vec<_> = paths.iter().filter(|path| is_flag_set(path)).collect();
    if sets.is_empty() {
        let entry = |path: &&EntryPath| next.flag_entry(environment, path).ok();
        return Ok(paths.iter().filter_map(entry).collect());
    }
    let directories: Vec<_> = sets
        .iter()
        .map(|set| set.as_str().rsplit_once('/').map(|(directory, _)| directory))
        .collect();
    let below = |path: &EntryPath| {
        directories.iter().any(|directory| match directory {
            None => true,
            Some(directory) => path
                .as_str()
                .strip_prefix(directory)
                .is_some_and(|rest| rest.starts_with('/')),
        })
    };
    let mut entries = next.flag_entries(environment)?;
    entries.retain(|entry| paths.contains(&entry.flag.path) || below(&entry.flag.path));
    Ok(entries)
}
