//! Edits of labels: owns what each of them makes of the versions an entry has. It must not know
//! why labels move.

use super::change::{LabelEdit, Relabel};
use super::check::{self, denied, invalid};
use super::draft::Draft;
use super::error::CommitError;
use super::guard::Asked;
use super::rotation;
use crate::commit::{EntryChange, Labels, Live, Role};
use crate::crypto::seal;
use crate::id::{Hash, Version};
use crate::kind::Kind;
use crate::name::{EntryPath, EnvironmentName};
use crate::policy::Resource;
use crate::rotation::Move;
use crate::secret::Secret;
use crate::snapshot::{Entry, Label, ReadError, value_context};

/// The labels of an entry on their way.
#[derive(Clone, Copy)]
struct Pointers {
    current: Version,
    pending: Option<Version>,
    previous: Option<Version>,
}

impl Pointers {
    fn of(entry: &Entry) -> Self {
        Self {
            current: entry.version,
            pending: entry.labelled(Label::Pending),
            previous: entry.labelled(Label::Previous),
        }
    }

    /// The labels after a move; `next` is the number of a new version. `None` where a label that
    /// it takes is not there, or one that it gives is.
    fn after(self, moves: Move, next: Version) -> Option<Self> {
        let Self {
            current,
            pending,
            previous,
        } = self;
        match (moves, pending, previous) {
            (Move::Stay, _, _) => Some(self),
            (Move::Pending, None, _) => Some(Self {
                pending: Some(next),
                ..self
            }),
            (Move::Promote, Some(pending), None) => Some(Self {
                current: pending,
                pending: None,
                previous: Some(current),
            }),
            (Move::TakeBack, None, Some(previous)) => Some(Self {
                current: previous,
                pending: Some(current),
                previous: None,
            }),
            (Move::Drop, Some(_), _) => Some(Self {
                pending: None,
                ..self
            }),
            (Move::Retire, _, Some(_)) => Some(Self {
                previous: None,
                ..self
            }),
            _ => None,
        }
    }
}

impl Relabel {
    fn moves(&self) -> (Move, Option<&Secret>) {
        match self {
            Self::Pending(value) => (Move::Pending, Some(value)),
            Self::Promote => (Move::Promote, None),
            Self::TakeBack => (Move::TakeBack, None),
            Self::Drop => (Move::Drop, None),
            Self::Retire => (Move::Retire, None),
        }
    }
}

impl<'a> Draft<'a> {
    /// Takes one edit of labels.
    pub(super) fn label(&mut self, edit: &LabelEdit) -> Result<(), CommitError> {
        let found = self.base.own(&edit.environment, &edit.path);
        let found = found.map(AsRef::as_ref);
        check::expect(edit.expect, found, &edit.environment, &edit.path)?;
        let (entry, live) = self.secret(&edit.environment, &edit.path)?;
        rotation::at_rest(self.base, Some(entry))?;
        let (moves, value) = edit.to.moves();
        self.relabel(entry, live, moves, value, None)
    }

    /// The secret whose labels are to move, if the author may move them.
    pub(super) fn secret(
        &self,
        environment: &EnvironmentName,
        path: &EntryPath,
    ) -> Result<(&'a Entry, &'a Live), CommitError> {
        let id = self.directory.entry_id(self.environment(environment)?.id, path);
        self.once(id)?;
        let base = self.base;
        let (Some(entry), Some(live)) = (base.own(environment, path), base.state().entry(id)) else {
            return Err(CommitError::Read(ReadError::NoEntry {
                environment: environment.clone(),
                path: path.clone(),
            }));
        };
        self.may_label(entry)?;
        Ok((entry, live))
    }

    /// Moves the labels of an entry; `rotation` is the record that it has afterwards.
    pub(super) fn relabel(
        &mut self,
        entry: &Entry,
        live: &Live,
        moves: Move,
        value: Option<&Secret>,
        rotation: Option<Hash>,
    ) -> Result<(), CommitError> {
        let next = live
            .next_version()
            .ok_or_else(|| invalid(format!("{:?} has no version left", entry.path)))?;
        let before = Pointers::of(entry);
        let after = before
            .after(moves, next)
            .ok_or_else(|| out_of_place(entry, moves))?;
        let value = match value {
            None => None,
            Some(value) => Some(self.pending(entry, value, next)?),
        };
        let labels = Labels {
            moves: after.current != before.current,
            pending: after.pending,
            previous: after.previous,
            rotation,
        };
        let change = EntryChange {
            id: entry.id,
            compartment: live.compartment,
            version: after.current,
            meta: live.meta,
            value,
            labels: Some(labels),
        };
        self.entries.insert(entry.id, change);
        Ok(())
    }

    /// Role, compartments and policy, as every reader will check them.
    fn may_label(&self, entry: &Entry) -> Result<(), CommitError> {
        if entry.kind != Kind::Secret {
            return Err(invalid(format!(
                "{:?} is a {}: only secrets have labelled versions",
                entry.path, entry.kind
            )));
        }
        if self.role == Role::Reader {
            return Err(denied("its role is reader"));
        }
        if !self.admin.may_change(self.me, entry.sealed_in) {
            return Err(denied("it may not change entries of that compartment"));
        }
        let asked = Asked {
            layers: self.directory.layers(&entry.environment),
            before: Some(Resource::from(entry)),
            after: Some(Resource::from(entry)),
            only_value: true,
        };
        self.guard.check(self.base, &entry.path, &asked)
    }

    /// Refuses a value that another label has: who ends that one at the target ends this one too.
    pub(super) fn has_no_label(
        &self,
        entry: &Entry,
        value: &Secret,
        others: &[Label],
    ) -> Result<(), CommitError> {
        for label in others {
            if entry.labelled(*label).is_none() {
                continue;
            }
            let version = self
                .base
                .labelled_entry(&entry.environment, &entry.path, *label)?;
            if self.base.is_value(&version, value)? {
                let way = match label {
                    Label::Current => "nothing is to be done",
                    Label::Pending => "promote it",
                    Label::Previous => "take it back",
                };
                return Err(invalid(format!(
                    "that value is the {label} version of {:?} in {:?}: {way}",
                    entry.path, entry.environment
                )));
            }
        }
        Ok(())
    }

    fn pending(&mut self, entry: &Entry, value: &Secret, version: Version) -> Result<Hash, CommitError> {
        self.has_no_label(entry, value, &[Label::Current, Label::Previous])?;
        if value.len() > seal::MAX_PLAINTEXT {
            return Err(check::too_long(&entry.path, value.len()));
        }
        let context = value_context(self.store, entry.sealed_in, entry.id, version, entry.kind);
        let record = value.expose(|plain| self.record(&context, plain))?;
        Ok(self.object(record))
    }
}

/// Why a move cannot be made.
pub(super) fn out_of_place(entry: &Entry, moves: Move) -> CommitError {
    let problem = match moves {
        Move::Pending => "has a pending version already: promote or drop it first",
        Move::Promote if entry.labelled(Label::Previous).is_some() => {
            "still has a previous version: retire it first"
        }
        Move::Promote | Move::Drop => "has no pending version",
        Move::TakeBack if entry.labelled(Label::Pending).is_some() => "has a pending version: drop it first",
        Move::TakeBack | Move::Retire => "has no previous version",
        Move::Stay => "has labels that stay where they are",
    };
    invalid(format!("{:?} in {:?} {problem}", entry.path, entry.environment))
}
