//! From a change to a commit that is stored: owns the tries against other writers, and that nothing is
//! stored that readers would refuse. What a change comes to is the draft's.

use std::sync::Arc;

use super::change::{Change, Planned, Receipt};
use super::draft::{Draft, Ready};
use super::error::{CommitError, OpenError};
use super::load::{self, Next, Objects, Walk};
use super::{Turn, Vault, fit, flag_fit, lock};
use crate::commit::Role;
use crate::snapshot::{Changed, Entry, Snapshot};
use crate::store::{AppendError, Head, StoreError};

/// How often a commit is tried when other writers are first.
const ATTEMPTS: u32 = 32;

/// A commit and what its author alone is told of it.
pub(super) struct Committed {
    pub(super) receipt: Receipt,
    pub(super) admin_left: bool,
    /// Entries whose records were wrapped anew.
    pub(super) rewrapped: usize,
    /// Entries that were to be, and have a record that does not open.
    pub(super) broken: Vec<Arc<Entry>>,
    /// Records and key files it brought.
    pub(super) objects: usize,
}

impl Vault {
    /// What `change` would do, without doing it.
    ///
    /// # Errors
    /// [`CommitError`].
    pub fn plan(&self, change: &Change) -> Result<Vec<Planned>, CommitError> {
        let base = self.refresh()?;
        let draft = Draft::make(&base, change, &self.ambient, &self.known)?;
        let planned = draft.planned();
        // What a document comes to with its layers is seen in the snapshot that would follow.
        let matters = |planned: &Planned| fit::matters(&planned.change) || flag_fit::matters(&planned.change);
        if !draft.is_empty() && planned.iter().any(matters) {
            let (ready, _) = draft.finish(&change.message, &self.identity)?;
            let next = self.foresee(&base, &ready)?;
            fit::check(&next.snapshot, &next.changes)?;
            flag_fit::check(&next.snapshot, &next.changes)?;
        }
        Ok(planned)
    }

    /// What `change` would make: the snapshot that would follow and what it changes, which nobody else sees. `None`
    /// where everything is so already. Whether it may be committed is what [`Self::plan`] says.
    ///
    /// # Errors
    /// [`CommitError`].
    pub fn foreseen(&self, change: &Change) -> Result<Option<(Snapshot, Vec<Changed>)>, CommitError> {
        let base = self.snapshot();
        let draft = Draft::make(&base, change, &self.ambient, &self.known)?;
        if draft.is_empty() {
            return Ok(None);
        }
        let (ready, _) = draft.finish(&change.message, &self.identity)?;
        let next = self.foresee(&base, &ready)?;
        Ok(Some((next.snapshot, next.changes)))
    }

    /// Seals, signs and stores `change`; tries again when another writer was first.
    ///
    /// # Errors
    /// [`CommitError`]; nothing was committed, except that after [`CommitError::Unknown`] the
    /// commit may be in: the store failed while it was stored and could not be asked afterwards.
    pub fn commit(&self, change: &Change) -> Result<Receipt, CommitError> {
        let mut turn = lock(&self.turn);
        let committed = self.commit_in(&mut turn, change)?;
        if committed.receipt.committed {
            // The checkpoint of an admin who left counts no more.
            self.checkpoint_if_due(&mut turn, committed.admin_left);
        }
        Ok(committed.receipt)
    }

    /// The same without a checkpoint.
    pub(super) fn commit_in(&self, turn: &mut Turn, change: &Change) -> Result<Committed, CommitError> {
        for _ in 0..ATTEMPTS {
            let base = self.refresh_in(turn)?;
            let mut draft = Draft::make(&base, change, &self.ambient, &self.known)?;
            if draft.is_empty() {
                let receipt = Receipt {
                    revision: base.revision(),
                    hash: base.hash(),
                    committed: false,
                    changes: Vec::new(),
                    exposed: draft.exposed,
                };
                return Ok(Committed {
                    receipt,
                    admin_left: false,
                    rewrapped: 0,
                    broken: draft.broken,
                    objects: 0,
                });
            }
            let (exposed, rewrapped) = (draft.exposed.clone(), draft.rewraps.len());
            let broken = std::mem::take(&mut draft.broken);
            let (ready, guard) = draft.finish(&change.message, &self.identity)?;
            let expected = Head {
                revision: base.revision(),
                hash: base.hash(),
            };
            // As every reader will see it, and before it is stored: what would be refused never is.
            let next = self.foresee(&base, &ready)?;
            let (snapshot, changes) = (&next.snapshot, &next.changes);
            guard.aftermath(snapshot, changes)?;
            fit::check(snapshot, changes)?;
            flag_fit::check(snapshot, changes)?;
            match self.store.append(Some(expected), &ready.commit, &ready.objects) {
                Ok(()) => {}
                Err(AppendError::Conflict { .. }) => continue,
                Err(AppendError::Store(error)) => self.look_up(ready.commit.head, error)?,
            }
            let receipt = Receipt {
                revision: snapshot.revision(),
                hash: snapshot.hash(),
                committed: true,
                changes: changes.clone(),
                exposed,
            };
            let admins = |snapshot: &Snapshot| {
                let members = snapshot.state().admin().members().values();
                members.filter(|member| member.role == Role::Admin).count()
            };
            let admin_left = admins(snapshot) < admins(&base);
            self.swap(turn, next);
            return Ok(Committed {
                receipt,
                admin_left,
                rewrapped,
                broken,
                objects: ready.objects.len(),
            });
        }
        Err(CommitError::Contended { attempts: ATTEMPTS })
    }

    /// What a commit that is not stored yet would make.
    fn foresee(&self, base: &Snapshot, ready: &Ready) -> Result<Next, OpenError> {
        let mut walk = Walk::from(base.state().clone());
        walk.step(&ready.commit).map_err(OpenError::from)?;
        let mut objects = Objects::with(&*self.store, &ready.objects);
        load::step(&mut objects, &self.identity, base, &walk, &self.known)
    }

    /// After an append without an answer: is the commit in? Others may have followed it already.
    fn look_up(&self, head: Head, error: StoreError) -> Result<(), CommitError> {
        match self.store.commits(head.revision, 1) {
            Ok(found) if found.first().is_some_and(|commit| commit.head == head) => Ok(()),
            Ok(_) => Err(error.into()),
            Err(second) => Err(CommitError::Unknown {
                revision: head.revision,
                reason: second.to_string(),
            }),
        }
    }
}
