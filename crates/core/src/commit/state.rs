//! The verified state of a store, everything still sealed: owns the step from one commit to the
//! next. A [`State`] can only be made by verifying commits, from the first one or from a signed
//! checkpoint; what builds on it needs no further proof.

use std::sync::Arc;

use super::admin::Admin;
use super::change::{Commit, Link, Role, decode};
use super::entry::EntryChange;
use super::error::{Break, IntegrityError};
use super::live::Live;
use super::rewrap::Rewrap;
use crate::ambient::Timestamp;
use crate::id::{EntryId, Hash, Revision, StoreId};
use crate::store::StoredCommit;

/// The verified state after one commit. Cloning shares almost everything.
#[derive(Clone, Debug)]
pub struct State {
    pub(super) store: StoreId,
    pub(super) fingerprint: Hash,
    pub(super) link: Link,
    pub(super) time: Timestamp,
    pub(super) admin: Arc<Admin>,
    /// Values are shared: the map's nodes have room for more than they hold.
    pub(super) entries: imbl::OrdMap<EntryId, Arc<Live>>,
    /// Those of `common` among them: the policies, which are few.
    pub(super) policies: imbl::OrdMap<EntryId, Arc<Live>>,
}

impl State {
    /// The id of the store.
    #[must_use]
    pub fn store(&self) -> StoreId {
        self.store
    }

    /// The hash of the first commit.
    #[must_use]
    pub fn fingerprint(&self) -> Hash {
        self.fingerprint
    }

    /// The number of the last commit.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.link.revision
    }

    /// The hash of the last commit.
    #[must_use]
    pub fn hash(&self) -> Hash {
        self.link.hash
    }

    /// Its time: that of the last commit, or of one before it by [`State::clock`].
    #[must_use]
    pub fn time(&self) -> Timestamp {
        self.time
    }

    /// When a commit on this state counts as made, whose author says `claimed`. Members' clocks go
    /// forward alone, so that what ended for them stays ended; an admin's sets the time right.
    #[must_use]
    pub fn clock(&self, role: Role, claimed: Timestamp) -> Timestamp {
        match role {
            Role::Admin => claimed,
            Role::Writer | Role::Rotator | Role::Reader => claimed.max(self.time),
        }
    }

    /// Members, compartments, environments and key files.
    #[must_use]
    pub fn admin(&self) -> &Arc<Admin> {
        &self.admin
    }

    /// One live entry.
    #[must_use]
    pub fn entry(&self, id: EntryId) -> Option<&Arc<Live>> {
        self.entries.get(&id)
    }

    /// All live entries, by id.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = (&EntryId, &Arc<Live>)> {
        self.entries.iter()
    }

    /// True when it has policies.
    #[must_use]
    pub fn has_policies(&self) -> bool {
        !self.policies.is_empty()
    }

    /// This state with nothing but its policies.
    #[must_use]
    pub fn policies_alone(&self) -> Self {
        Self {
            entries: self.policies.clone(),
            ..self.clone()
        }
    }

    /// Whether both have the same policies, members and environments.
    #[must_use]
    pub fn governs_like(&self, other: &Self) -> bool {
        self.admin.last() == other.admin.last() && self.policies == other.policies
    }

    /// Whether both have the same live entries.
    #[must_use]
    pub fn same_entries(&self, other: &Self) -> bool {
        self.entries == other.entries
    }

    /// Verifies the first commit of a store.
    ///
    /// # Errors
    /// [`IntegrityError`] naming what broke.
    pub fn genesis(stored: &StoredCommit) -> Result<Self, IntegrityError> {
        Self::first(stored).map_err(|what| what.at(Revision(1)))
    }

    fn first(stored: &StoredCommit) -> Result<Self, Break> {
        let (commit, body, signature) = checked(stored)?;
        if commit.revision != Revision(1) || commit.previous != Hash::ZERO || commit.authority != Link::NONE {
            return Err(Break::BrokenChain);
        }
        let link = Link {
            revision: commit.revision,
            hash: stored.head.hash,
        };
        let admin = Admin::genesis(&commit, link)?;
        let author = admin.members().get(&commit.author).ok_or(Break::Unauthorised)?;
        author.check(body, signature)?;
        if !commit.entries.is_empty() || !commit.rewraps.is_empty() {
            return Err(Break::Contradiction);
        }
        Ok(Self {
            store: commit.store,
            fingerprint: link.hash,
            link,
            time: commit.time,
            admin: Arc::new(admin),
            entries: imbl::OrdMap::new(),
            policies: imbl::OrdMap::new(),
        })
    }

    /// Verifies the commit after this state: its hash, its place in both chains, its signature,
    /// its author's role, and that it contradicts nothing. Returns the state after it.
    ///
    /// # Errors
    /// [`IntegrityError`] naming what broke; this state is as before.
    pub fn advance(&self, stored: &StoredCommit) -> Result<(Self, Commit), IntegrityError> {
        self.next(stored).map_err(|what| what.at(self.revision().next()))
    }

    fn next(&self, stored: &StoredCommit) -> Result<(Self, Commit), Break> {
        let (commit, body, signature) = checked(stored)?;
        if commit.revision != self.revision().next() || stored.head.revision != commit.revision {
            return Err(Break::MissingCommit);
        }
        if commit.previous != self.hash()
            || commit.store != self.store
            || commit.authority != self.admin.last()
        {
            return Err(Break::BrokenChain);
        }
        let author = self
            .admin
            .members()
            .get(&commit.author)
            .ok_or(Break::Unauthorised)?;
        author.check(body, signature)?;
        self.admin
            .authorise(&commit, |change| self.entries.get(&change.id).map(Arc::as_ref))?;
        if commit.admin.is_empty() && commit.entries.is_empty() && commit.rewraps.is_empty() {
            return Err(Break::Contradiction);
        }
        let link = Link {
            revision: commit.revision,
            hash: stored.head.hash,
        };
        let mut next = self.clone();
        next.link = link;
        next.time = self.clock(author.role, commit.time);
        if commit.is_administrative() {
            next.admin = Arc::new(Admin::clone(&self.admin).apply(&commit, link)?);
        }
        for change in &commit.entries {
            next.change(change)?;
        }
        for rewrap in &commit.rewraps {
            next.rewrap(rewrap, &commit.entries)?;
        }
        Ok((next, commit))
    }

    fn change(&mut self, change: &EntryChange) -> Result<(), Break> {
        let before = self.entries.get(&change.id).map(Arc::as_ref);
        let is_policy = change.compartment == self.admin.common();
        let known = before.is_some() || self.admin.compartments().contains_key(&change.compartment);
        // Policies are not rotated.
        if !known || (is_policy && change.labels.is_some()) {
            return Err(Break::Contradiction);
        }
        match Live::after(before, change, self.link.revision)? {
            Some(live) => self.place(change.id, live),
            None => {
                self.policies.remove(&change.id);
                self.entries.remove(&change.id);
            }
        }
        Ok(())
    }

    /// An entry of `changed` has just got the records it has.
    fn rewrap(&mut self, rewrap: &Rewrap, changed: &[EntryChange]) -> Result<(), Break> {
        let is_changed = changed
            .binary_search_by_key(&rewrap.id, |change| change.id)
            .is_ok();
        let before = self.entries.get(&rewrap.id).filter(|_| !is_changed);
        let live = before.ok_or(Break::Contradiction)?.rewrapped(rewrap)?;
        self.place(rewrap.id, live);
        Ok(())
    }

    fn place(&mut self, id: EntryId, live: Live) {
        let live = Arc::new(live);
        if live.compartment == self.admin.common() {
            self.policies.insert(id, Arc::clone(&live));
        }
        self.entries.insert(id, live);
    }
}

/// Decodes stored bytes whose hash is the one they are stored under.
pub(super) fn checked(stored: &StoredCommit) -> Result<(Commit, &[u8], &[u8]), Break> {
    if Hash::of(&stored.bytes) != stored.head.hash {
        return Err(Break::DamagedCommit);
    }
    decode(&stored.bytes)
}
