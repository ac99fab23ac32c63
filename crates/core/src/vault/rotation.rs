//! Rotations of this store: owns what can be asked of one and what is told of it. It must not know
//! targets; whoever drives a rotation asks its machine and commits what that decides.

use super::Vault;
use super::change::{Change, Edit};
use super::error::CommitError;
use crate::ambient::Timestamp;
use crate::id::{PlaceId, Revision};
use crate::name::{EntryPath, EnvironmentName};
use crate::rotation::{Machine, Phase, Running, Step, Strategy};
use crate::secret::Secret;
use crate::snapshot::{Entry, ReadError, Snapshot};

/// The longest lease, in milliseconds: 31 days.
pub const MAX_LEASE: u64 = 31 * 24 * 60 * 60 * 1000;
/// How far the clocks of members may be apart, in milliseconds, before two are at work at once.
pub const SKEW: u64 = 60_000;

/// One commit of a rotation.
#[derive(Debug)]
pub struct RotationEdit {
    /// The environment.
    pub environment: EnvironmentName,
    /// The path of the secret.
    pub path: EntryPath,
    /// What is decided.
    pub to: Rotate,
}

/// What a commit of a rotation decides. `lease` is how long, in milliseconds, its program may be at
/// work at the target afterwards, at most [`MAX_LEASE`]: it ends by itself what is not done by then.
/// `place` is where that program holds the lock of this secret.
#[derive(Debug)]
pub enum Rotate {
    /// It begins; no other one runs.
    Begin {
        /// How the target goes from one credential to the next.
        strategy: Strategy,
        /// Which plan it goes by, for whoever goes on with it; at most 64 KiB. It is the word of whoever
        /// begins: it should name a version of an entry that they may not change.
        plan: Vec<u8>,
        /// The new value.
        value: Secret,
        /// See above.
        place: PlaceId,
        /// See above.
        lease: u64,
    },
    /// It goes on, by who runs it.
    Advance {
        /// The revision of the step before: nobody else went on.
        at: Revision,
        /// What was decided.
        step: Step,
        /// See above.
        lease: u64,
    },
    /// Another program runs it from here on, in the phase it is in: of the same member at the same
    /// place, where the lock says that the one before has ended, or when the lease has ended since
    /// [`SKEW`].
    TakeOver {
        /// The revision of the step before: nobody else took it over.
        at: Revision,
        /// See above.
        place: PlaceId,
        /// See above.
        lease: u64,
        /// Before that time: only when that program is known to have ended.
        force: bool,
    },
    /// It is forgotten, by an admin: its record cannot be read, or its target is gone for good. The
    /// labels stay where they are.
    GiveUp {
        /// Before the lease of who runs it has ended.
        force: bool,
    },
}

impl Rotate {
    pub(super) fn lease(&self) -> u64 {
        match self {
            Self::Begin { lease, .. } | Self::Advance { lease, .. } | Self::TakeOver { lease, .. } => *lease,
            Self::GiveUp { .. } => 0,
        }
    }
}

/// A rotation that runs, as its last commit left it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// The environment.
    pub environment: EnvironmentName,
    /// The path of the secret.
    pub path: EntryPath,
    /// The revision of its last step.
    pub at: Revision,
    /// Who runs it, by name, or the id of a removed member.
    pub runner: String,
    /// True when that is the member who looks.
    pub is_own: bool,
    /// What is stored.
    pub running: Running,
}

impl Rotation {
    /// The rotation that is at work on an entry of `snapshot`.
    pub(crate) fn of(snapshot: &Snapshot, entry: &Entry) -> Result<Option<Self>, ReadError> {
        let Some(marks) = entry.marks.as_ref() else {
            return Ok(None);
        };
        let unreadable = || ReadError::Rotation {
            environment: entry.environment.clone(),
            path: entry.path.clone(),
        };
        let record = match snapshot.rotation_record(&entry.environment, &entry.path) {
            Ok(Some(record)) => record,
            Ok(None) => return Ok(None),
            Err(ReadError::Damaged { .. }) => return Err(unreadable()),
            Err(error) => return Err(error),
        };
        let running = record.expose(Running::decode).map_err(|_| unreadable())?;
        let runner = match snapshot.directory().members.get(&running.runner) {
            Some(name) => name.to_string(),
            None => running.runner.to_string(),
        };
        Ok(Some(Self {
            environment: entry.environment.clone(),
            path: entry.path.clone(),
            at: marks.revision,
            runner,
            is_own: running.runner == snapshot.me(),
            running,
        }))
    }

    /// The machine that says what comes next.
    #[must_use]
    pub fn machine(&self) -> Machine {
        Machine::resume(self.running.strategy, self.running.phase)
    }

    /// Where it is.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.running.phase
    }

    /// When it began.
    #[must_use]
    pub fn since(&self) -> Timestamp {
        self.running.since
    }

    /// True when its runner said that it is at work no more by now, or said what nobody may: it was left
    /// behind.
    #[must_use]
    pub fn is_left(&self, now: Timestamp) -> bool {
        let until = self.running.until;
        now >= until.later(SKEW) || until > now.later(MAX_LEASE).later(SKEW)
    }

    /// True when the lock at `place` is what keeps its runner's programs apart.
    pub(super) fn runs_at(&self, place: PlaceId) -> bool {
        self.is_own && self.running.place == place
    }

    /// What whoever may not go on with it is told.
    pub(crate) fn in_the_way(self) -> CommitError {
        CommitError::Rotating {
            environment: self.environment,
            path: self.path,
            by: self.runner,
            phase: self.running.phase,
            since: self.running.since,
            until: self.running.until.later(SKEW),
        }
    }
}

/// Whether an entry may be changed by others than the rotation that is at work on it.
pub(super) fn at_rest(snapshot: &Snapshot, entry: Option<&Entry>) -> Result<(), CommitError> {
    match entry
        .map(|entry| Rotation::of(snapshot, entry))
        .transpose()?
        .flatten()
    {
        Some(rotation) => Err(rotation.in_the_way()),
        None => Ok(()),
    }
}

impl Vault {
    /// The rotation that is at work on a secret of the current snapshot.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn rotation(
        &self,
        environment: &EnvironmentName,
        path: &EntryPath,
    ) -> Result<Option<Rotation>, ReadError> {
        let snapshot = self.snapshot();
        Rotation::of(&snapshot, &*snapshot.entry(environment, path)?)
    }

    /// All rotations of the current snapshot, by environment and path; [`ReadError::Rotation`] for
    /// one whose record is none, which says nothing of the others.
    #[must_use]
    pub fn rotations(&self) -> Vec<Result<Rotation, ReadError>> {
        let snapshot = self.snapshot();
        let mut rotating: Vec<_> = snapshot
            .all_entries()
            .filter(|entry| entry.is_rotating())
            .collect();
        rotating.sort_by_key(|entry| (&entry.environment, &entry.path));
        rotating
            .into_iter()
            .filter_map(|entry| Rotation::of(&snapshot, entry).transpose())
            .collect()
    }

    /// Commits one decision of a rotation; tells the rotation after it, nothing when it has ended.
    /// Blocks.
    ///
    /// # Errors
    /// [`CommitError::Rotating`] when another one runs it, [`CommitError::NotRotating`] when it has
    /// ended, and those of [`Vault::commit`].
    pub fn rotate(&self, edit: RotationEdit, message: &str) -> Result<Option<Rotation>, CommitError> {
        let (environment, path) = (edit.environment.clone(), edit.path.clone());
        let change = Change {
            message: message.to_owned(),
            edits: vec![Edit::Rotate(edit)],
        };
        let receipt = self.commit(&change)?;
        // Not what somebody made of it since.
        let snapshot = self.at(receipt.revision)?;
        Ok(Rotation::of(&snapshot, &*snapshot.entry(&environment, &path)?)?)
    }
}
