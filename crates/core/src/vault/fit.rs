//! Whether a commit leaves documents behind that their schemas do not allow: owns asking for every
//! environment that sees the change. It must not know schemas.

use std::collections::{BTreeMap, BTreeSet};

use super::error::CommitError;
use crate::name::{EntryPath, EnvironmentName};
use crate::snapshot::{Changed, Snapshot, governed_by};

/// Most faults that an error lists.
const MAX_LISTED: usize = 50;

/// Refuses `next` when something that `changes` made is not as its schema says. What this identity
/// does not open is not asked.
pub(super) fn check(next: &Snapshot, changes: &[Changed]) -> Result<(), CommitError> {
    let mut paths: BTreeMap<&EnvironmentName, BTreeSet<EntryPath>> = BTreeMap::new();
    for change in changes {
        if let Some(path) = governed_by(change.kind, &change.path) {
            paths.entry(&change.environment).or_default().insert(path);
        }
    }
    if paths.is_empty() {
        return Ok(());
    }
    let mut unfit = Vec::new();
    for environment in next.environments() {
        let layers = next.layers(&environment.name)?;
        let seen: BTreeSet<_> = layers
            .iter()
            .filter_map(|layer| paths.get(layer))
            .flatten()
            .collect();
        for path in seen {
            if unfit.len() >= MAX_LISTED {
                break;
            }
            let changed = paths.get(&environment.name).is_some_and(|own| own.contains(path));
            if !changed && !next.says_of_config(&environment.name, path) {
                // The same as its parent's, which is asked.
                continue;
            }
            unfit.extend(next.check_config(&environment.name, path)?);
        }
    }
    unfit.truncate(MAX_LISTED);
    if unfit.is_empty() {
        Ok(())
    } else {
        Err(CommitError::Unfit { unfit })
    }
}
