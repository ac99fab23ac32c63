//! Edits of labels: owns what each of them makes of the versions an entry has. It must not know
//! why labels move.

use super::change::{LabelEdit, Relabel};
use super::check::{self, denied, invalid};
use super::draft::Draft;
use super::error::CommitError;
use super::guard::Asked;
use crate::commit::{EntryChange, Labels, Role};
use crate::crypto::seal;
use crate::id::Version;
use crate::kind::Kind;
use crate::policy::Resource;
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

    /// The labels after an edit; `next` is the number of a new version. `None` where a label that
    /// it takes is not there, or one that it gives is.
    fn after(self, to: &Relabel, next: Version) -> Option<Self> {
        let Self {
            current,
            pending,
            previous,
        } = self;
        match (to, pending, previous) {
            (Relabel::Pending(_), None, _) => Some(Self {
                pending: Some(next),
                ..self
            }),
            (Relabel::Promote, Some(pending), None) => Some(Self {
                current: pending,
                pending: None,
                previous: Some(current),
            }),
            (Relabel::TakeBack, None, Some(previous)) => Some(Self {
                current: previous,
                pending: Some(current),
                previous: None,
            }),
            (Relabel::Drop, Some(_), _) => Some(Self {
                pending: None,
                ..self
            }),
            (Relabel::Retire, _, Some(_)) => Some(Self {
                previous: None,
                ..self
            }),
            _ => None,
        }
    }
}

impl Draft<'_> {
    /// Takes one edit of labels.
    pub(super) fn label(&mut self, edit: &LabelEdit) -> Result<(), CommitError> {
        let environment = self.environment(&edit.environment)?.id;
        let id = self.directory.entry_id(environment, &edit.path);
        self.once(id)?;
        let base = self.base;
        let found = base.own(&edit.environment, &edit.path);
        check::expect(
            edit.expect,
            found.map(AsRef::as_ref),
            &edit.environment,
            &edit.path,
        )?;
        let (Some(entry), Some(live)) = (found, base.state().entry(id)) else {
            return Err(CommitError::Read(ReadError::NoEntry {
                environment: edit.environment.clone(),
                path: edit.path.clone(),
            }));
        };
        self.may_label(entry)?;
        check::at_rest(Some(entry))?;
        let next = live
            .next_version()
            .ok_or_else(|| invalid(format!("{:?} has no version left", edit.path)))?;
        let before = Pointers::of(entry);
        let after = before
            .after(&edit.to, next)
            .ok_or_else(|| out_of_place(entry, &edit.to))?;
        let value = match &edit.to {
            Relabel::Pending(value) => Some(self.pending(entry, value, next)?),
            Relabel::Promote | Relabel::TakeBack | Relabel::Drop | Relabel::Retire => None,
        };
        let labels = Labels {
            moves: after.current != before.current,
            pending: after.pending,
            previous: after.previous,
            rotation: None,
        };
        let change = EntryChange {
            id,
            compartment: live.compartment,
            version: after.current,
            meta: live.meta,
            value,
            labels: Some(labels),
        };
        self.entries.insert(id, change);
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

    fn pending(
        &mut self,
        entry: &Entry,
        value: &Secret,
        version: Version,
    ) -> Result<crate::id::Hash, CommitError> {
        if value.len() > seal::MAX_PLAINTEXT {
            return Err(check::too_long(&entry.path, value.len()));
        }
        let context = value_context(self.store, entry.sealed_in, entry.id, version, entry.kind);
        let record = value.expose(|plain| self.record(&context, plain))?;
        Ok(self.object(record))
    }
}

fn out_of_place(entry: &Entry, to: &Relabel) -> CommitError {
    let problem = match to {
        Relabel::Pending(_) => "has a pending version already: promote or drop it first",
        Relabel::Promote if entry.labelled(Label::Pending).is_none() => "has no pending version",
        Relabel::Promote => "still has a previous version: retire it first",
        Relabel::TakeBack if entry.labelled(Label::Previous).is_none() => "has no previous version",
        Relabel::TakeBack => "has a pending version: drop it first",
        Relabel::Drop => "has no pending version",
        Relabel::Retire => "has no previous version",
    };
    invalid(format!("{:?} in {:?} {problem}", entry.path, entry.environment))
}
