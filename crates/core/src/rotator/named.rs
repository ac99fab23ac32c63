//! Which plan a secret goes by: owns the label that names it and the words of a rotation's record. A
//! record names a revision and never holds a plan: whoever runs a rotation writes its record, and must
//! not be able to leave a program there that the next one runs.

use crate::Vault;
use crate::config::Format;
use crate::id::Revision;
use crate::name::{EntryPath, EnvironmentName};
use crate::rotation::plan::{Plan, PlanError};
use crate::snapshot::{Kind, ReadError, Snapshot};
use crate::vault::{OpenError, Rotation};

/// The label of a secret that names its plan, by path in the same environment.
pub const LABEL: &str = "rotation";

/// The plan of a secret.
#[derive(Clone, Debug)]
pub struct Named {
    /// The path of its document.
    pub path: EntryPath,
    /// The revision it was read at.
    pub revision: Revision,
    /// What it says.
    pub plan: Plan,
    /// Its text.
    pub text: String,
}

/// Why there is no plan to go by.
#[derive(Debug, thiserror::Error)]
pub enum PlanTrouble {
    /// The secret names none.
    #[error("{path:?} in {environment:?} has no rotation plan")]
    None {
        /// The environment.
        environment: EnvironmentName,
        /// The path of the secret.
        path: EntryPath,
    },
    /// The document cannot be read.
    #[error("the rotation plan cannot be read: {0}")]
    Read(#[from] ReadError),
    /// It is no config document in TOML.
    #[error("the rotation plan {path:?} is no config document in toml")]
    Kind {
        /// The path of the document.
        path: EntryPath,
    },
    /// It does not say how to rotate.
    #[error("the rotation plan {path:?} is not valid: {problems}")]
    Invalid {
        /// The path of the document.
        path: EntryPath,
        /// All that is wrong.
        problems: PlanError,
    },
    /// What the record of a rotation names is no plan of this secret.
    #[error("the record of the rotation names no plan that this secret had: its runner wrote something else")]
    Record,
    /// The revision that the record names does not open.
    #[error("the plan of the rotation cannot be read: {0}")]
    Open(#[from] OpenError),
}

impl Named {
    /// The plan in force for a secret.
    ///
    /// # Errors
    /// [`PlanTrouble`].
    pub fn of(
        snapshot: &Snapshot,
        environment: &EnvironmentName,
        path: &EntryPath,
    ) -> Result<Self, PlanTrouble> {
        let entry = snapshot.entry(environment, path)?;
        let named = entry
            .labels
            .get(LABEL)
            .and_then(|label| EntryPath::new(label).ok());
        let plan = named.ok_or_else(|| PlanTrouble::None {
            environment: environment.clone(),
            path: path.clone(),
        })?;
        let reading = snapshot.read(environment, &plan)?;
        if (reading.entry.kind, reading.entry.format) != (Kind::Config, Format::Toml) {
            return Err(PlanTrouble::Kind { path: plan });
        }
        let text = reading
            .value
            .expose(|bytes| String::from_utf8_lossy(bytes).into_owned());
        match text.parse::<Plan>() {
            Ok(parsed) if parsed.target.kind.admin() == Some(path) => Err(PlanTrouble::Invalid {
                path: plan,
                problems: PlanError(vec![
                    "the secret cannot be its own admin's: name another one".into(),
                ]),
            }),
            Ok(parsed) => Ok(Self {
                path: plan,
                revision: snapshot.revision(),
                plan: parsed,
                text,
            }),
            Err(problems) => Err(PlanTrouble::Invalid { path: plan, problems }),
        }
    }

    /// The plan that a rotation began with, by its record.
    ///
    /// # Errors
    /// [`PlanTrouble`].
    pub fn by_record(vault: &Vault, rotation: &Rotation) -> Result<Self, PlanTrouble> {
        // The record is its runner's word, and must not be given out for somebody else's.
        if vault.author(rotation.at)? != rotation.running.runner {
            return Err(PlanTrouble::Record);
        }
        let text = std::str::from_utf8(&rotation.running.plan).map_err(|_| PlanTrouble::Record)?;
        let (document, revision) = text.rsplit_once('@').ok_or(PlanTrouble::Record)?;
        let revision = revision.parse().map(Revision).map_err(|_| PlanTrouble::Record)?;
        if revision.0 == 0 || revision > vault.snapshot().revision() {
            return Err(PlanTrouble::Record);
        }
        let found = Self::of(&vault.at(revision)?, &rotation.environment, &rotation.path)?;
        // What the secret named then, its writers put there.
        if found.path.as_str() == document && found.plan.strategy == rotation.running.strategy {
            Ok(found)
        } else {
            Err(PlanTrouble::Record)
        }
    }

    /// What the record of a rotation by this plan has.
    #[must_use]
    pub fn record(&self) -> Vec<u8> {
        format!("{}@{}", self.path, self.revision).into_bytes()
    }
}
