//! Labels of versions: owns their words, and reading what they point at.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, OnceLock};

use super::meta::rotation_context;
use super::{Entry, ReadError, Reading, Snapshot};
use crate::commit::{Labelled, Sealed};
use crate::crypto::seal;
use crate::id::{Revision, Version};
use crate::name::{EntryPath, EnvironmentName};
use crate::secret::Secret;

/// A label that points at a version of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Label {
    /// What is delivered.
    Current,
    /// What was made and is not delivered yet.
    Pending,
    /// What was current before and is kept.
    Previous,
}

impl Label {
    const ALL: [Self; 3] = [Self::Current, Self::Pending, Self::Previous];

    /// The word used in messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Pending => "pending",
            Self::Previous => "previous",
        }
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The word is not a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a label is one of current, pending, previous")]
pub struct LabelError;

impl FromStr for Label {
    type Err = LabelError;
    fn from_str(text: &str) -> Result<Self, LabelError> {
        Self::ALL
            .into_iter()
            .find(|label| label.as_str() == text)
            .ok_or(LabelError)
    }
}

/// The sealed records of an entry besides that of its current value.
#[derive(Clone, Debug, Default)]
pub(crate) struct MarkedRecords {
    pub(super) pending: Option<Sealed>,
    pub(super) previous: Option<Sealed>,
    pub(super) rotation: Option<Sealed>,
}

impl Entry {
    /// The version a label points at.
    #[must_use]
    pub fn labelled(&self, label: Label) -> Option<Version> {
        match label {
            Label::Current => Some(self.version),
            other => self.mark(other).map(|labelled| labelled.version),
        }
    }

    /// The revision that last made something of it: its value, its description, or its labels.
    #[must_use]
    pub fn changed_at(&self) -> Revision {
        let moved = self.marks.as_ref().map(|marks| marks.revision);
        self.revision.max(moved.unwrap_or_default())
    }

    /// True while a rotation is at work on it.
    #[must_use]
    pub fn is_rotating(&self) -> bool {
        self.marks.as_ref().is_some_and(|marks| marks.rotation.is_some())
    }

    /// The label that points at the version that is described: `current`, but for what
    /// [`Snapshot::labelled_entry`] answers.
    #[must_use]
    pub fn label(&self) -> Label {
        let is = |label: &&Label| {
            self.mark(**label)
                .is_some_and(|mark| mark.version == self.version)
        };
        let others = [Label::Pending, Label::Previous];
        others.iter().find(is).copied().unwrap_or(Label::Current)
    }

    /// The record of its current value.
    pub(crate) fn current(&self) -> &Sealed {
        &self.sealed
    }

    /// The record of the rotation that runs.
    pub(crate) fn rotation(&self) -> Option<&Sealed> {
        self.marked.as_ref()?.rotation.as_ref()
    }

    /// All its records but that of its description.
    pub(crate) fn records(&self) -> impl Iterator<Item = &Sealed> {
        let labels = [Label::Current, Label::Pending, Label::Previous];
        let values = labels.into_iter().filter_map(|label| self.record(label));
        values.chain(self.rotation())
    }

    /// The record of the version that `label` points at.
    pub(crate) fn record(&self, label: Label) -> Option<&Sealed> {
        let marked = self.marked.as_ref();
        match label {
            Label::Current => Some(&self.sealed),
            Label::Pending => marked?.pending.as_ref(),
            Label::Previous => marked?.previous.as_ref(),
        }
    }

    fn mark(&self, label: Label) -> Option<Labelled> {
        let marks = self.marks.as_ref()?;
        match label {
            Label::Current => None,
            Label::Pending => marks.pending,
            Label::Previous => marks.previous,
        }
    }
}

impl Snapshot {
    /// The version of a secret that `label` points at, described as if it were the current one;
    /// [`Snapshot::expose`] opens it.
    ///
    /// # Errors
    /// [`ReadError::NoLabel`], and those of [`Snapshot::entry`].
    pub fn labelled_entry(
        &self,
        environment: &EnvironmentName,
        path: &EntryPath,
        label: Label,
    ) -> Result<Arc<Entry>, ReadError> {
        let current = self.nearest(environment, path)?;
        if label == Label::Current {
            return Ok(Arc::clone(current));
        }
        let (Some(labelled), Some(record)) = (current.mark(label), current.record(label)) else {
            return Err(ReadError::NoLabel {
                environment: environment.clone(),
                path: path.clone(),
                label,
            });
        };
        Ok(Arc::new(Entry {
            version: labelled.version,
            revision: labelled.revision,
            size: seal::plaintext_len(record.bytes().len()),
            sealed: record.clone(),
            schema: OnceLock::new(),
            ..Entry::clone(current)
        }))
    }

    /// Opens the version of a secret that `label` points at; `entry` of the answer is as if that
    /// version were the current one.
    ///
    /// # Errors
    /// [`ReadError::NoLabel`] and those of [`Snapshot::read`].
    pub fn labelled(
        &self,
        environment: &EnvironmentName,
        path: &EntryPath,
        label: Label,
    ) -> Result<Reading, ReadError> {
        if label == Label::Current {
            return self.read(environment, path);
        }
        let entry = self.labelled_entry(environment, path, label)?;
        Ok(Reading {
            value: self.own_value(&entry)?,
            layers: vec![entry.environment.clone()],
            entry,
        })
    }

    /// What is stored of the rotation of the environment's own secret, if one runs.
    pub(crate) fn rotation_record(
        &self,
        environment: &EnvironmentName,
        path: &EntryPath,
    ) -> Result<Option<Secret>, ReadError> {
        let entry = self.nearest(environment, path)?;
        let Some(record) = entry.rotation() else {
            return Ok(None);
        };
        let context = rotation_context(self.state.store(), entry.sealed_in, entry.id);
        self.open_as(entry, record, &context).map(Some)
    }
}
