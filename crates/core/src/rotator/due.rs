//! When a secret is due: owns the moment, from the age of its value and its plan, and how a secret stands
//! with its rotations. It must not rotate.

use std::collections::BTreeMap;

use super::named::{LABEL, Named, PlanTrouble};
use crate::ambient::Timestamp;
use crate::id::{Hash, Revision};
use crate::kind::Kind;
use crate::rotation::plan::Plan;
use crate::snapshot::{Entry, ReadError, Snapshot};
use crate::vault::Rotation;

/// How a secret stands with its rotations.
#[derive(Clone, Debug)]
pub enum Standing {
    /// One runs, or was left behind ([`Rotation::is_left`]).
    Running(Box<Rotation>),
    /// The next one is due then.
    Due(Timestamp),
    /// It has a plan without a schedule.
    Unscheduled,
}

/// Why it cannot be said how a secret stands.
#[derive(Debug, thiserror::Error)]
pub enum StandingError {
    /// The record of its rotation cannot be read.
    #[error(transparent)]
    Rotation(#[from] ReadError),
    /// Its plan cannot be.
    #[error(transparent)]
    Plan(#[from] PlanTrouble),
}

impl Standing {
    /// True when `entry` is a secret that has a plan or a rotation: the others stand nowhere.
    #[must_use]
    pub fn is_of(entry: &Entry) -> bool {
        entry.kind == Kind::Secret && (entry.is_rotating() || entry.labels.contains_key(LABEL))
    }

    /// How `entry` of `snapshot` stands; `times` as for [`due`].
    ///
    /// # Errors
    /// [`StandingError`].
    pub fn of(
        snapshot: &Snapshot,
        entry: &Entry,
        times: &BTreeMap<Revision, Timestamp>,
    ) -> Result<Self, StandingError> {
        if let Some(rotation) = Rotation::of(snapshot, entry)? {
            return Ok(Self::Running(Box::new(rotation)));
        }
        let named = Named::of(snapshot, &entry.environment, &entry.path)?;
        Ok(due(times, entry, &named.plan).map_or(Self::Unscheduled, Self::Due))
    }
}

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
