//! Drafting the commits of a rotation: owns who may go on with one, and the record it leaves. It
//! must not know what comes next: that was decided by who commits.

use super::check::{denied, invalid};
use super::draft::Draft;
use super::error::CommitError;
use super::label::out_of_place;
use super::rotation::{MAX_LEASE, Rotate, Rotation, RotationEdit};
use crate::ambient::Timestamp;
use crate::id::Hash;
use crate::rotation::{Move, Phase, Running, Step};
use crate::secret::Secret;
use crate::snapshot::{Entry, Label, ReadError, Role, rotation_context};

/// Longest plan, bytes.
const MAX_PLAN: usize = 64 << 10;

/// What a commit makes of a rotation.
struct Decided<'a> {
    /// What is stored of it afterwards; nothing when it has ended.
    running: Option<Running>,
    moves: Move,
    value: Option<&'a Secret>,
}

impl Draft<'_> {
    /// Takes one commit of a rotation.
    pub(super) fn rotate(&mut self, edit: &RotationEdit) -> Result<(), CommitError> {
        let (entry, live) = self.secret(&edit.environment, &edit.path)?;
        if let Rotate::GiveUp { force } = edit.to {
            self.may_give_up(edit, entry, force)?;
            return self.relabel(entry, live, Move::Stay, None, None);
        }
        let decided = self.decided(edit, entry, Rotation::of(self.base, entry)?)?;
        let rotation = match &decided.running {
            None => None,
            Some(running) => Some(self.keep(entry, running)?),
        };
        self.relabel(entry, live, decided.moves, decided.value, rotation)
    }

    fn decided<'e>(
        &self,
        edit: &'e RotationEdit,
        entry: &Entry,
        found: Option<Rotation>,
    ) -> Result<Decided<'e>, CommitError> {
        let until = |lease: u64| Timestamp(self.time.0.saturating_add(lease));
        if edit.to.lease() > MAX_LEASE {
            return Err(invalid(
                "whoever runs a rotation says for at most 31 days that it is at work",
            ));
        }
        match (&edit.to, found) {
            (
                Rotate::Begin {
                    strategy,
                    plan,
                    value,
                    place,
                    lease,
                },
                None,
            ) => {
                if plan.len() > MAX_PLAN {
                    return Err(invalid("the plan of a rotation has at most 65536 bytes"));
                }
                // A third credential would be one too many.
                if entry.labelled(Label::Previous).is_some() {
                    return Err(out_of_place(entry, Move::Promote));
                }
                let running = Running {
                    strategy: *strategy,
                    phase: Phase::Applying,
                    forced: false,
                    runner: self.me,
                    place: *place,
                    since: self.time,
                    until: until(*lease),
                    plan: plan.clone(),
                };
                Ok(Decided {
                    running: Some(running),
                    moves: Move::Pending,
                    value: Some(value),
                })
            }
            (Rotate::Begin { .. }, Some(found)) => Err(found.in_the_way()),
            (Rotate::Advance { .. } | Rotate::TakeOver { .. } | Rotate::GiveUp { .. }, None) => {
                Err(not_rotating(edit))
            }
            (Rotate::Advance { at, step, lease }, Some(found)) if found.at == *at && found.is_own => {
                let before = found.running;
                let (phase, moves) = step.from(before.strategy, Some(before.phase)).ok_or_else(|| {
                    invalid(format!(
                        "a rotation by `{}` that is {} cannot go on like that",
                        before.strategy, before.phase
                    ))
                })?;
                let forced = matches!(step, Step::Retire { forced: true } | Step::Undo { forced: true });
                let after = |phase| Running {
                    phase,
                    forced: before.forced || forced,
                    until: until(*lease),
                    ..before
                };
                Ok(Decided {
                    running: phase.map(after),
                    moves,
                    value: None,
                })
            }
            (
                Rotate::TakeOver {
                    at,
                    place,
                    lease,
                    force,
                },
                Some(found),
            ) if found.at == *at && (*force || found.runs_at(*place) || found.is_left(self.time)) => {
                let running = Running {
                    runner: self.me,
                    place: *place,
                    until: until(*lease),
                    ..found.running
                };
                Ok(Decided {
                    running: Some(running),
                    moves: Move::Stay,
                    value: None,
                })
            }
            (Rotate::Advance { .. } | Rotate::TakeOver { .. } | Rotate::GiveUp { .. }, Some(found)) => {
                Err(found.in_the_way())
            }
        }
    }

    /// Only admins: who runs a rotation writes its record, and could write one that nobody reads; and
    /// what is valid at the target is not known afterwards.
    fn may_give_up(&self, edit: &RotationEdit, entry: &Entry, force: bool) -> Result<(), CommitError> {
        if self.role != Role::Admin {
            return Err(denied("only admins give up a rotation"));
        }
        match Rotation::of(self.base, entry) {
            Ok(Some(found)) if !(force || found.is_own || found.is_left(self.time)) => {
                Err(found.in_the_way())
            }
            Ok(Some(_)) | Err(ReadError::Rotation { .. }) => Ok(()),
            Ok(None) => Err(not_rotating(edit)),
            Err(error) => Err(error.into()),
        }
    }

    /// The record of a rotation, as an object of this commit.
    fn keep(&mut self, entry: &Entry, running: &Running) -> Result<Hash, CommitError> {
        let context = rotation_context(self.store, entry.sealed_in, entry.id);
        let record = self.record(&context, &running.encode())?;
        Ok(self.object(record))
    }
}

fn not_rotating(edit: &RotationEdit) -> CommitError {
    CommitError::NotRotating {
        environment: edit.environment.clone(),
        path: edit.path.clone(),
    }
}
