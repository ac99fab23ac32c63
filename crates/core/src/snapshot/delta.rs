//! What commits passed over: owns the entries they changed, and what records that they listed have
//! to be, whatever a later commit lists instead. It must not know how records are opened.

use std::collections::{BTreeMap, BTreeSet};

use crate::commit::{Break, Commit, State};
use crate::id::{CompartmentId, EntryId, Hash, Revision};

/// The entries that commits passed over.
#[derive(Clone, Debug, Default)]
pub(crate) struct Delta {
    /// All of them.
    pub(crate) touched: BTreeSet<EntryId>,
    /// The last revisions that wrapped records of entries anew; none where a later one put them.
    pub(super) rewrapped: BTreeMap<EntryId, Revision>,
    /// What was listed of them and has to be checked. Nothing of it is ever taken back: a later
    /// commit that lists something else does not make the one before it right.
    pub(super) due: BTreeMap<(EntryId, Hash, What), Due>,
}

/// What a record has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    /// The description of a secret: rotators change nothing else, and nothing else has labels.
    Secret,
    /// What is stored of a rotation.
    Rotation,
}

/// A record that was listed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Due {
    pub(super) what: What,
    pub(super) record: Hash,
    pub(super) entry: EntryId,
    pub(super) compartment: CompartmentId,
    /// The revision that listed it first.
    pub(super) revision: Revision,
    /// What it breaks by opening as something else.
    pub(super) otherwise: Break,
}

impl Delta {
    /// Notes a verified commit; `before` is the state that it was made on.
    pub(crate) fn note(&mut self, commit: &Commit, by_rotator: bool, before: &State) {
        for change in &commit.entries {
            self.touched.insert(change.id);
            if change.labels.is_none() {
                self.rewrapped.remove(&change.id);
            }
            let whose = (change.compartment, change.id);
            let mut note = |record, what, otherwise| {
                self.due(whose, commit.revision, (record, what, otherwise));
            };
            if by_rotator {
                note(change.meta, What::Secret, Break::Unauthorised);
            }
            if let Some(labels) = change.labels {
                note(change.meta, What::Secret, Break::Contradiction);
                if let Some(record) = labels.rotation {
                    note(record, What::Rotation, Break::Record);
                }
            }
        }
        for rewrap in &commit.rewraps {
            self.touched.insert(rewrap.id);
            self.rewrapped.insert(rewrap.id, commit.revision);
            let Some(was) = before.entry(rewrap.id).filter(|was| was.marks.is_some()) else {
                continue;
            };
            let whose = (was.compartment, rewrap.id);
            self.due(
                whose,
                commit.revision,
                (rewrap.meta, What::Secret, Break::Contradiction),
            );
            if let Some(record) = rewrap.rotation {
                self.due(whose, commit.revision, (record, What::Rotation, Break::Record));
            }
        }
    }

    /// Notes what a record has to be, and what is broken when it is not.
    fn due(
        &mut self,
        (compartment, entry): (CompartmentId, EntryId),
        revision: Revision,
        (record, what, otherwise): (Hash, What, Break),
    ) {
        let due = Due {
            what,
            record,
            entry,
            compartment,
            revision,
            otherwise,
        };
        self.due.entry((entry, record, what)).or_insert(due);
    }

    /// Whether records were wrapped anew.
    pub(crate) fn has_rewraps(&self) -> bool {
        !self.rewrapped.is_empty()
    }
}
