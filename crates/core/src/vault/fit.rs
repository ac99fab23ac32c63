//! Whether a commit leaves documents behind that their schemas do not allow: owns asking for every
//! environment that sees the change. It must not know schemas.

use super::error::CommitError;
use crate::kind::Kind;
use crate::snapshot::{Action, Changed, Depth, Snapshot, governed_by};

/// Most faults that an error lists.
const MAX_LISTED: usize = 50;

/// Whether the change of an entry can leave a document behind that is not as it must be.
pub(super) fn matters(change: &Changed) -> bool {
    governed_by(change.kind, &change.path).is_some()
        || change.kind == Kind::Secret
        || change.action == Action::Deleted
}

/// Refuses `next` when something that `changes` made is not as its schema says, or refers to a secret that
/// is not there or no text. What this identity does not open is not asked.
pub(super) fn check(next: &Snapshot, changes: &[Changed]) -> Result<(), CommitError> {
    if !changes.iter().any(matters) {
        return Ok(());
    }
    let mut unfit = Vec::new();
    for environment in next.environments() {
        let name = &environment.name;
        for path in next.touched(name, changes, Depth::Secrets)? {
            if unfit.len() >= MAX_LISTED {
                break;
            }
            let own = |change: &Changed| {
                change.environment == *name && governed_by(change.kind, &change.path).as_ref() == Some(&path)
            };
            if changes.iter().any(own) || next.says_of_config(name, &path) {
                unfit.extend(next.check_to(name, &path, Depth::Secrets)?);
            } else {
                // The same document as its parent's, which is asked; the secrets are its own.
                unfit.extend(next.check_references(name, &path, Depth::Secrets)?);
            }
        }
    }
    unfit.truncate(MAX_LISTED);
    if unfit.is_empty() {
        Ok(())
    } else {
        Err(CommitError::Unfit { unfit })
    }
}
