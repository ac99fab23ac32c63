//! Which versions an injection has: owns what was handed over and what of it was taken up. It must not
//! know how either is done.

use std::collections::BTreeMap;

use strongroom_core::ambient::Timestamp;
use strongroom_core::id::{EntryId, Revision, Version};
use strongroom_core::snapshot::Snapshot;
use strongroom_core::uptake::{Seen, Use};

use crate::state::State;

/// The versions of one revision.
#[derive(Clone, Debug, Default)]
struct Load {
    revision: u64,
    at: Timestamp,
    entries: Vec<(EntryId, Version)>,
}

/// What was handed over, newest last, and what was taken up.
#[derive(Clone, Debug, Default)]
pub(super) struct Carried {
    handed: Vec<Load>,
    applied: Load,
    /// It does not run now, and uses nothing until it does again.
    pub(super) is_down: bool,
    /// It ended for good, and has nothing any more.
    pub(super) has_ended: bool,
}

/// As many are remembered as may be on their way to a process.
const MOST: usize = 16;

impl Carried {
    /// The versions `entries` of `snapshot` were handed over.
    pub(super) fn hand(&mut self, state: &State, snapshot: &Snapshot, entries: Vec<(EntryId, Version)>) {
        if self.handed.len() >= MOST {
            self.handed.remove(0);
        }
        self.handed.push(Load {
            revision: snapshot.revision().0,
            at: state.now(),
            entries,
        });
    }

    /// What was handed over of `revision` was taken up.
    pub(super) fn apply(&mut self, now: Timestamp, revision: u64) {
        if self.applied.revision == revision {
            return;
        }
        if let Some(load) = self.handed.iter().find(|load| load.revision == revision) {
            self.applied = Load {
                at: now,
                ..load.clone()
            };
            self.handed.retain(|load| load.revision >= revision);
        }
    }

    /// The revision that was taken up last; 0 for none.
    pub(super) fn revision(&self) -> Revision {
        Revision(self.applied.revision)
    }

    /// What it uses, of all that it is to have: whatever else failed, that is waited for.
    pub(super) fn uses(&self, wanted: &[(EntryId, Version)]) -> Vec<Use> {
        let mut uses: BTreeMap<EntryId, Use> = BTreeMap::new();
        let mut used = |entry, change: &dyn Fn(&mut Use)| {
            change(uses.entry(entry).or_insert(Use {
                entry,
                read: Seen::default(),
                confirmed: Seen::default(),
            }));
        };
        for (entry, _) in wanted {
            used(*entry, &|_| {});
        }
        for (entry, seen) in self.applied.seen() {
            used(entry, &|one| one.read = seen);
            if !self.is_down {
                used(entry, &|one| one.confirmed = seen);
            }
        }
        for (entry, seen) in self.handed.last().into_iter().flat_map(Load::seen) {
            used(entry, &|one| one.read = seen);
        }
        uses.into_values().collect()
    }
}

impl Load {
    fn seen(&self) -> impl Iterator<Item = (EntryId, Seen)> + '_ {
        self.entries.iter().map(|(entry, version)| {
            let seen = Seen {
                version: *version,
                revision: Revision(self.revision),
                at: self.at,
            };
            (*entry, seen)
        })
    }
}
