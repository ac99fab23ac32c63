//! Where an entry was promoted from: owns the label that says so, and the value that was promoted. The
//! label is the word of whoever wrote it, and nothing but advice to the next promotion.

use std::collections::BTreeMap;
use std::fmt;

use strongroom_core::id::Revision;
use strongroom_core::name::EnvironmentName;
use strongroom_core::snapshot::{Entry, Snapshot};
use strongroom_core::vault::PastValue;

use crate::error::CliError;
use crate::open::Opened;

const LABEL: &str = "promoted";

/// An environment, and the revision that gave its entry the value that was promoted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    environment: EnvironmentName,
    revision: Revision,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.environment, self.revision)
    }
}

impl Origin {
    /// That of a promotion of `source` as it is.
    pub(super) fn from(source: &Entry) -> Self {
        Self {
            environment: source.environment.clone(),
            revision: source.revision,
        }
    }

    /// That of the last promotion to `target`; `None` where there was none or the label is no such.
    pub(super) fn of(target: &Entry) -> Option<Self> {
        let (environment, revision) = target.labels.get(LABEL)?.rsplit_once('@')?;
        Some(Self {
            environment: EnvironmentName::new(environment).ok()?,
            revision: revision.parse().ok()?,
        })
    }

    /// The labels of a promoted entry: the target keeps its own, since policies decide by them; what is
    /// new there has those of the source.
    pub(super) fn labels(source: &Entry, target: Option<&Entry>) -> BTreeMap<String, String> {
        let mut labels = target.unwrap_or(source).labels.clone();
        if target.is_none() {
            // The target's secrets are rotated by plans of its own.
            labels.remove(strongroom_core::rotator::LABEL);
        }
        labels.insert(LABEL.to_owned(), Self::from(source).to_string());
        labels
    }

    /// What was promoted to `target`, out of the history of where it came from.
    pub(super) fn value(
        &self,
        opened: &Opened,
        snapshot: &Snapshot,
        target: &Entry,
    ) -> Result<Option<PastValue>, CliError> {
        // An entry of another kind was never promoted here: a label must not lead to a secret's keys.
        let source = snapshot.entry(&self.environment, &target.path).ok();
        if source
            .as_ref()
            .is_none_or(|source| source.environment != self.environment || source.kind != target.kind)
        {
            return Ok(None);
        }
        if let Some(source) = &source {
            opened.record((&self.environment, self.revision), [&**source], "promote")?;
        }
        let mut found = None;
        opened
            .vault
            .past_values(&self.environment, &target.path, &mut |past| {
                if past.revision > self.revision {
                    return true;
                }
                found = Some(past);
                false
            })?;
        Ok(found)
    }
}
