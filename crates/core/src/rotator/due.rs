//! When a secret is due: owns the moment, from the age of its value and its plan. It must not rotate.

use crate::Vault;
use crate::ambient::Timestamp;
use crate::id::Hash;
use crate::rotation::plan::Plan;
use crate::snapshot::Entry;
use crate::vault::OpenError;

/// Commits of one secret that are looked at for its last new value.
const LOOK: usize = 100;

/// When the secret is due; `None` where the plan has no schedule. Counted from the commit that made its
/// value current; the jitter of a plan is the same each time it is asked for. Blocks.
///
/// # Errors
/// [`OpenError`].
pub fn due(vault: &Vault, entry: &Entry, plan: &Plan) -> Result<Option<Timestamp>, OpenError> {
    let Some(every) = plan.every else {
        return Ok(None);
    };
    let past = vault.history(Some((&entry.environment, &entry.path)), LOOK)?;
    let made = |each: &&crate::vault::Past| each.changes.iter().any(|change| change.path == entry.path);
    let Some(last) = past.iter().find(made).or(past.last()) else {
        return Ok(None);
    };
    let every = u64::try_from(every.as_millis()).unwrap_or(u64::MAX);
    let most = u64::try_from(plan.jitter.as_millis()).unwrap_or(u64::MAX);
    let later = spread(entry, most);
    Ok(Some(Timestamp(
        last.at.0.saturating_add(every).saturating_add(later),
    )))
}

/// Something below `most` that depends on secret and version alone.
fn spread(entry: &Entry, most: u64) -> u64 {
    let digest = Hash::of_parts(&[&entry.id.0, &entry.version.0.to_be_bytes()]);
    let number = digest
        .0
        .first_chunk::<8>()
        .map_or(0, |first| u64::from_be_bytes(*first));
    number.checked_rem(most).unwrap_or(0)
}
