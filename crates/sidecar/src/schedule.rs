//! Rotations of what is served: owns how many run, were left behind or are overdue, found out anew for
//! each revision in a thread of its own. Core reads the plans and records, and only numbers leave this
//! module. It must not rotate.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use strongroom_core::ambient::Timestamp;
use strongroom_core::id::Revision;
use strongroom_core::rotator::Standing;
use strongroom_core::vault::Rotation;

use crate::bell::Bell;
use crate::state::State;

/// From one look to the next at least: a store that changes all the time is not looked through all the
/// time.
const PAUSE: Duration = Duration::from_secs(1);

/// How the secrets that are served stand.
#[derive(Debug, Default)]
pub struct Schedule {
    bell: Bell<()>,
    found: Mutex<Found>,
}

/// What was found at one revision.
#[derive(Debug, Default)]
struct Found {
    rotations: Vec<Rotation>,
    due: Vec<Timestamp>,
    unknown: usize,
}

/// How many secrets, at one time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standings {
    /// A rotation runs.
    pub running: usize,
    /// One was left behind.
    pub left: usize,
    /// The next one is overdue.
    pub overdue: usize,
    /// It is not known: a plan or a record cannot be read.
    pub unknown: usize,
}

impl Schedule {
    /// Says that another revision is served.
    pub fn ring(&self) {
        self.bell.ring();
    }

    /// How they stand at the time `now`, as of the revision that was looked at last.
    #[must_use]
    pub fn at(&self, now: Timestamp) -> Standings {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let left = found.rotations.iter().filter(|one| one.is_left(now)).count();
        Standings {
            running: found.rotations.len() - left,
            left,
            overdue: found.due.iter().filter(|due| **due <= now).count(),
            unknown: found.unknown,
        }
    }

    /// Looks for as long as the process lives, in a thread of its own.
    ///
    /// # Errors
    /// The system's, when there is no thread.
    pub fn start(state: Arc<State>) -> std::io::Result<()> {
        std::thread::Builder::new()
            .name("schedule".into())
            .stack_size(512 * 1024)
            .spawn(move || {
                let mut times = BTreeMap::new();
                loop {
                    let found = look(&state, &mut times);
                    let schedule = state.schedule();
                    *schedule.found.lock().unwrap_or_else(PoisonError::into_inner) = found;
                    std::thread::sleep(PAUSE);
                    schedule.bell.wait(None);
                }
            })?;
        Ok(())
    }
}

/// Looks at what is served. `times` has the commits that are needed, as far as they were read before.
fn look(state: &State, times: &mut BTreeMap<Revision, Timestamp>) -> Found {
    let current = Arc::clone(&state.current());
    let snapshot = &current.snapshot;
    let mut found = Found::default();
    let Ok(entries) = snapshot.entries(state.environment(), None) else {
        return found;
    };
    let planned: Vec<_> = entries
        .into_iter()
        .filter(|entry| Standing::is_of(entry))
        .collect();
    let needed: BTreeSet<Revision> = planned.iter().map(|entry| entry.revision).collect();
    times.retain(|revision, _| needed.contains(revision));
    if let Some(oldest) = needed.iter().find(|revision| !times.contains_key(revision)) {
        match state.vault().times(*oldest) {
            Ok(read) => times.extend(read.into_iter().filter(|(revision, _)| needed.contains(revision))),
            // a sealed copy may not go back so far
            Err(error) => tracing::debug!(%error, "it is not known how old some secrets are"),
        }
    }
    for entry in planned {
        match Standing::of(snapshot, &entry, times) {
            Ok(Standing::Running(rotation)) => found.rotations.push(*rotation),
            Ok(Standing::Due(_)) if !times.contains_key(&entry.revision) => found.unknown += 1,
            Ok(Standing::Due(due)) => found.due.push(due),
            Ok(Standing::Unscheduled) => {}
            Err(_) => found.unknown += 1,
        }
    }
    found
}
