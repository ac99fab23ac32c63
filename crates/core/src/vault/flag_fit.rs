//! Whether a commit leaves flags behind that cannot be evaluated, or that flagd's schema forbids: owns asking for every
//! environment that sees the change. It must not know rules.

use std::collections::btree_map::Entry::{Occupied, Vacant};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::check::invalid;
use super::error::CommitError;
use crate::flag::{Flag, FlagError, Set};
use crate::id::EntryId;
use crate::kind::Kind;
use crate::name::{EntryPath, EnvironmentName};
use crate::snapshot::{Changed, Entry, FlagEntry, ReadError, Snapshot, is_below_set, is_flag_set};

/// Most faults that an error lists.
const MAX_LISTED: usize = 20;

/// A set, or why it is none.
type Opened = Result<Set, FlagError>;

/// Whether the change of an entry can leave a flag behind that is not valid: what lies where a set does hides one that
/// is inherited, whatever its kind.
pub(super) fn matters(change: &Changed) -> bool {
    change.kind == Kind::Flag || is_flag_set(&change.path)
}

/// Refuses `next` when a flag is not valid that `changes` made, or whose set they did. What this identity does not
/// open is not asked.
pub(super) fn check(next: &Snapshot, changes: &[Changed]) -> Result<(), CommitError> {
    let changed: Vec<_> = changes.iter().filter(|change| matters(change)).collect();
    if changed.is_empty() {
        return Ok(());
    }
    let mut asked: BTreeSet<(EntryId, Option<EntryId>)> = BTreeSet::new();
    let mut sets: BTreeMap<Option<EntryId>, Opened> = BTreeMap::new();
    let mut faults = String::new();
    let mut listed = 0;
    for environment in next.environments() {
        let layers = next.layers(&environment.name)?;
        let seen = changed
            .iter()
            .filter(|change| layers.contains(&change.environment));
        let paths: BTreeSet<&EntryPath> = seen.map(|change| &change.path).collect();
        if paths.is_empty() {
            continue;
        }
        for entry in concerned(next, &environment.name, &paths)? {
            let id = entry.set.as_ref().map(|set| set.id);
            // The same flag with the same set is the same in every environment.
            if !asked.insert((entry.flag.id, id)) {
                continue;
            }
            let set = match sets.entry(id) {
                Occupied(known) => known.into_mut(),
                Vacant(new) => new.insert(next.open_flag_set(entry.set.as_deref())?),
            };
            // Where the flag is, unless it is its set there that is another one.
            let own = &entry.flag.environment;
            let is_own = entry.set.as_ref().is_none_or(|set| set.environment == *own);
            let place = if is_own { own } else { &environment.name };
            for fault in self::faults(next, &entry.flag, set)? {
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

/// What is wrong with a flag and its rule.
fn faults(next: &Snapshot, flag: &Entry, set: &Opened) -> Result<Vec<FlagError>, ReadError> {
    let set = match set {
        Ok(set) => set,
        Err(error) => return Ok(vec![error.clone()]),
    };
    Ok(match next.open_flag(flag)? {
        Ok(definition) => Flag::compile(flag.path.as_str(), definition, set)
            .faults()
            .to_vec(),
        Err(error) => vec![error],
    })
}

/// The flags that are at `paths`, or of a set that is.
fn concerned(
    next: &Snapshot,
    environment: &EnvironmentName,
    paths: &BTreeSet<&EntryPath>,
) -> Result<Vec<FlagEntry>, CommitError> {
    let sets: Vec<_> = paths.iter().filter(|path| is_flag_set(path)).collect();
    if sets.is_empty() {
        let entry = |path: &&EntryPath| next.flag_entry(environment, path).ok();
        return Ok(paths.iter().filter_map(entry).collect());
    }
    let below = |path: &EntryPath| sets.iter().any(|set| is_below_set(path, set));
    let mut entries = next.flag_entries(environment)?;
    entries.retain(|entry| paths.contains(&entry.flag.path) || below(&entry.flag.path));
    Ok(entries)
}
