//! When a secret is due: owns the moment, from the age of its value and its plan. It must not rotate.

use std::collections::BTreeMap;

use crate::ambient::Timestamp;
use crate::id::{Hash, Revision};
use crate::rotation::plan::Plan;
use crate::snapshot::Entry;

/// When the secret is due; `None` where the plan has no schedule. Counted from the commit that made its
/// version current, by `times` ([`crate::Vault::times`]); one that is not among them is due. The jitter
/// of a plan is the same each time it is asked for.
#[must_use]
pub fn due(times: &BTreeMap<Revision, Timestamp>, entry: &Entry, plan: &Plan) -> Option<Timestamp> {
    let every = u64::try_from(plan.every?.as_millis()).unwrap_or(u64::MAX);
    let made = times.get(&entry.revision).copied().unwrap_or_default();
    let most = u64::try_from(plan.jitter.as_millis()).unwrap_or(u64::MAX);
    Some(made.later(every).later(spread(entry, most)))
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
