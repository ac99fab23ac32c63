//! A live entry in the verified state: owns which versions its labels point at, and the step that
//! one change takes it. It must not know who made the change.

use std::sync::Arc;

use super::entry::{EntryChange, Labels};
use super::error::Break;
use super::rewrap::Rewrap;
use crate::id::{CompartmentId, Hash, Revision, Version};

/// A live entry: what its records are, not what is in them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live {
    /// The compartment its records are sealed in.
    pub compartment: CompartmentId,
    /// Its current version.
    pub version: Version,
    /// The last version that was ever given; more than the current one when that was never current.
    pub last: Version,
    /// The revision that made the current version current.
    pub revision: Revision,
    /// The record of its metadata.
    pub meta: Hash,
    /// The record of its current value.
    pub value: Hash,
    /// What else has a label, if anything; few entries at a time have that.
    pub marks: Option<Arc<Marks>>,
}

/// What an entry has besides its current version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marks {
    /// The revision that put the labels where they are.
    pub revision: Revision,
    /// The version that is pending.
    pub pending: Option<Labelled>,
    /// The version that was current before and is kept.
    pub previous: Option<Labelled>,
    /// The record of the rotation that runs.
    pub rotation: Option<Hash>,
}

/// A version that has a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Labelled {
    /// Its number.
    pub version: Version,
    /// The revision that made it, or made it current.
    pub revision: Revision,
    /// The record of its value.
    pub value: Hash,
}

impl Live {
    /// What `change` makes of the entry at `revision`; nothing when it goes.
    ///
    /// # Errors
    /// [`Break::Contradiction`].
    pub(super) fn after(
        before: Option<&Self>,
        change: &EntryChange,
        revision: Revision,
    ) -> Result<Option<Self>, Break> {
        match (before, &change.labels, change.value) {
            (None, None, Some(value)) if change.version == Version(1) => {
                Ok(Some(Self::first(change, revision, value)))
            }
            (Some(live), _, _) if live.compartment != change.compartment => Err(Break::Contradiction),
            (Some(live), Some(labels), value) => live.labelled(change, labels, value, revision).map(Some),
            // Nobody changes what a rotation is at work on.
            (Some(live), None, _) if live.rotation().is_some() => Err(Break::Contradiction),
            (Some(live), None, Some(value)) if live.next_version() == Some(change.version) => {
                Ok(Some(Self {
                    version: change.version,
                    last: change.version,
                    revision,
                    meta: change.meta,
                    value,
                    ..live.clone()
                }))
            }
            (Some(live), None, None) if change.version == live.version && change.meta == live.meta => {
                Ok(None)
            }
            _ => Err(Break::Contradiction),
        }
    }

    /// The entry with its records wrapped anew: all of them are named, one at least is another one,
    /// and nothing that it is known by moves.
    ///
    /// # Errors
    /// [`Break::Contradiction`].
    pub(super) fn rewrapped(&self, rewrap: &Rewrap) -> Result<Self, Break> {
        let labelled = |before: Option<Labelled>, value: Option<Hash>| match (before, value) {
            (Some(before), Some(value)) => Ok(Some(Labelled { value, ..before })),
            (None, None) => Ok(None),
            _ => Err(Break::Contradiction),
        };
        let (pending, previous) = (
            labelled(self.pending(), rewrap.pending)?,
            labelled(self.previous(), rewrap.previous)?,
        );
        if self.rotation().is_some() != rewrap.rotation.is_some() {
            return Err(Break::Contradiction);
        }
        let marks = self.marks.as_ref().map(|marks| {
            Arc::new(Marks {
                revision: marks.revision,
                pending,
                previous,
                rotation: rewrap.rotation,
            })
        });
        let after = Self {
            meta: rewrap.meta,
            value: rewrap.value,
            marks,
            ..self.clone()
        };
        if after == *self {
            Err(Break::Contradiction)
        } else {
            Ok(after)
        }
    }

    fn first(change: &EntryChange, revision: Revision, value: Hash) -> Self {
        Self {
            compartment: change.compartment,
            version: change.version,
            last: change.version,
            revision,
            meta: change.meta,
            value,
            marks: None,
        }
    }

    /// The record of the rotation that runs.
    #[must_use]
    pub fn rotation(&self) -> Option<Hash> {
        self.marks.as_ref()?.rotation
    }

    /// The version that the next new value has.
    #[must_use]
    pub fn next_version(&self) -> Option<Version> {
        (self.last.0 < u32::MAX).then(|| self.last.next())
    }

    fn pending(&self) -> Option<Labelled> {
        self.marks.as_ref()?.pending
    }

    fn previous(&self) -> Option<Labelled> {
        self.marks.as_ref()?.previous
    }

    fn current(&self) -> Labelled {
        Labelled {
            version: self.version,
            revision: self.revision,
            value: self.value,
        }
    }

    /// Every label points at a version that had one before, or `pending` at a new one; none has two.
    fn labelled(
        &self,
        change: &EntryChange,
        labels: &Labels,
        value: Option<Hash>,
        revision: Revision,
    ) -> Result<Self, Break> {
        let had = |version: Version| {
            [Some(self.current()), self.pending(), self.previous()]
                .into_iter()
                .flatten()
                .find(|labelled| labelled.version == version)
                .ok_or(Break::Contradiction)
        };
        let pending = match (labels.pending, value) {
            (Some(version), Some(value)) if self.next_version() == Some(version) => Some(Labelled {
                version,
                revision,
                value,
            }),
            (version, None) => version.map(had).transpose()?,
            _ => return Err(Break::Contradiction),
        };
        let previous = labels.previous.map(had).transpose()?;
        let current = had(change.version)?;
        let two = |a: Option<Version>, b: Option<Version>| a.is_some() && a == b;
        let moves = current.version != self.version;
        let holds = change.meta == self.meta
            && moves == labels.moves
            && !two(labels.pending, labels.previous)
            && !two(labels.pending, Some(change.version))
            && !two(labels.previous, Some(change.version));
        let marks = Marks {
            revision,
            pending,
            previous,
            rotation: labels.rotation,
        };
        let is_marked = pending.is_some() || previous.is_some() || marks.rotation.is_some();
        let same = self.marks.as_ref().map_or(!is_marked, |before| {
            Marks {
                revision,
                ..Marks::clone(before)
            } == marks
        });
        if !holds || (same && !moves) {
            return Err(Break::Contradiction);
        }
        Ok(Self {
            version: current.version,
            last: pending.map_or(self.last, |pending| self.last.max(pending.version)),
            revision: if moves { revision } else { self.revision },
            value: current.value,
            marks: is_marked.then(|| Arc::new(marks)),
            ..self.clone()
        })
    }
}
