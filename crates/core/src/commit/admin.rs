//! Who may do what: owns the members, compartments, environments and key files that
//! administrative changes have made, and the rules that allow a commit. It must not know names:
//! those are sealed, and every rule here holds without opening anything.

use std::collections::{BTreeMap, BTreeSet};

use super::change::{AdminChange, Commit, Link, Role};
use super::entry::EntryChange;
use super::error::Break;
use super::live::Live;
use crate::crypto::identity::PublicIdentity;
use crate::id::{CompartmentId, EnvironmentId, Hash, MemberId, Term};

/// One member.
#[derive(Clone, Debug)]
pub struct MemberState {
    /// Its role.
    pub role: Role,
    /// Its public keys.
    pub public: PublicIdentity,
    /// The record of its name.
    pub name: Hash,
    /// The compartments it was given; admins and `common` are implied.
    granted: BTreeSet<CompartmentId>,
}

impl MemberState {
    /// Whether the member signed `message`.
    ///
    /// # Errors
    /// [`Break::Signature`].
    pub(crate) fn check(&self, message: &[u8], signature: &[u8]) -> Result<(), Break> {
        self.public
            .verify_key
            .verify(message, signature)
            .map_err(|_| Break::Signature)
    }
}

/// One compartment.
#[derive(Clone, Debug)]
pub struct CompartmentState {
    /// The record of its name.
    pub name: Hash,
    /// Its key files by term.
    pub keys: BTreeMap<Term, Hash>,
}

impl CompartmentState {
    /// The newest term of its key.
    #[must_use]
    pub fn term(&self) -> Term {
        self.keys.keys().next_back().copied().unwrap_or_default()
    }
}

/// The administrative state after a commit.
#[derive(Clone, Debug)]
pub struct Admin {
    common: CompartmentId,
    index: Option<Hash>,
    last: Link,
    members: BTreeMap<MemberId, MemberState>,
    compartments: BTreeMap<CompartmentId, CompartmentState>,
    environments: BTreeMap<EnvironmentId, Hash>,
}

impl Admin {
    /// The compartment of names and messages, which every member opens.
    #[must_use]
    pub fn common(&self) -> CompartmentId {
        self.common
    }

    /// The record of the key that entry ids are made with.
    #[must_use]
    pub fn index(&self) -> Hash {
        self.index.unwrap_or(Hash::ZERO)
    }

    /// The commit that made this state: the end of the authority chain.
    #[must_use]
    pub fn last(&self) -> Link {
        self.last
    }

    /// All members.
    #[must_use]
    pub fn members(&self) -> &BTreeMap<MemberId, MemberState> {
        &self.members
    }

    /// All compartments.
    #[must_use]
    pub fn compartments(&self) -> &BTreeMap<CompartmentId, CompartmentState> {
        &self.compartments
    }

    /// All environments, with the records of their descriptions.
    #[must_use]
    pub fn environments(&self) -> &BTreeMap<EnvironmentId, Hash> {
        &self.environments
    }

    /// True when `member` opens `compartment`.
    #[must_use]
    pub fn opens(&self, member: MemberId, compartment: CompartmentId) -> bool {
        self.members.get(&member).is_some_and(|state| {
            compartment == self.common || state.role == Role::Admin || state.granted.contains(&compartment)
        })
    }

    /// True when `member` may change entries of `compartment`: what a role adds to opening it.
    /// Everyone opens `common`, but only admins may put entries there.
    #[must_use]
    pub fn may_change(&self, member: MemberId, compartment: CompartmentId) -> bool {
        self.members.get(&member).is_some_and(|state| match state.role {
            Role::Admin => true,
            Role::Writer | Role::Rotator => {
                compartment != self.common && state.granted.contains(&compartment)
            }
            Role::Reader => false,
        })
    }

    /// The members that open `compartment`: whom its key files are wrapped to.
    pub fn recipients(&self, compartment: CompartmentId) -> impl Iterator<Item = (MemberId, &MemberState)> {
        self.members
            .iter()
            .filter(move |(id, _)| self.opens(**id, compartment))
            .map(|(id, state)| (*id, state))
    }

    /// The state the first commit makes. It adds its own author as admin, and `common` first.
    ///
    /// # Errors
    /// [`Break::Contradiction`], [`Break::Unauthorised`].
    pub(crate) fn genesis(commit: &Commit, link: Link) -> Result<Self, Break> {
        let common = commit
            .admin
            .iter()
            .find_map(|change| match change {
                AdminChange::CompartmentAdd { id, .. } => Some(*id),
                _ => None,
            })
            .ok_or(Break::Contradiction)?;
        let empty = Self {
            common,
            index: None,
            last: Link::NONE,
            members: BTreeMap::new(),
            compartments: BTreeMap::new(),
            environments: BTreeMap::new(),
        };
        let admin = empty.apply(commit, link)?;
        match admin.members.get(&commit.author) {
            Some(author) if author.role == Role::Admin && admin.index.is_some() => Ok(admin),
            _ => Err(Break::Unauthorised),
        }
    }

    /// The state after the administrative changes of `commit`, which `link` names.
    ///
    /// # Errors
    /// [`Break::Contradiction`].
    pub(crate) fn apply(self, commit: &Commit, link: Link) -> Result<Self, Break> {
        let terms: BTreeMap<_, _> = self.compartments.iter().map(|(id, c)| (*id, c.term())).collect();
        let mut next = self;
        next.last = link;
        let mut left = Vec::new();
        for change in &commit.admin {
            next.change(change, &mut left)?;
        }
        // Removing a member without a new key would revoke nothing.
        let renewed = |id: &CompartmentId| {
            let before = terms.get(id).copied();
            next.compartments.get(id).map(CompartmentState::term) > before
        };
        let has_admin = next.members.values().any(|member| member.role == Role::Admin);
        let has_keys = next.compartments.values().all(|c| !c.keys.is_empty());
        if left.iter().all(renewed) && has_admin && has_keys {
            Ok(next)
        } else {
            Err(Break::Contradiction)
        }
    }

    /// Applies one change; `left` collects the compartments of removed members.
    pub(crate) fn change(
        &mut self,
        change: &AdminChange,
        left: &mut Vec<CompartmentId>,
    ) -> Result<(), Break> {
        match change {
            AdminChange::MemberAdd {
                id,
                role,
                public,
                name,
                compartments,
            } => {
                let known = compartments.iter().all(|c| self.compartments.contains_key(c));
                let keys_are_new = self.members.values().all(|other| {
                    other.public.verify_key != public.verify_key && other.public.recipient != public.recipient
                });
                if !known || !keys_are_new || (*role == Role::Admin && !compartments.is_empty()) {
                    return Err(Break::Contradiction);
                }
                let state = MemberState {
                    role: *role,
                    public: public.clone(),
                    name: *name,
                    granted: compartments.iter().copied().collect(),
                };
                insert_new(&mut self.members, *id, state)
            }
            AdminChange::MemberRemove { id } => {
                let opened = self.compartments.keys().filter(|c| self.opens(*id, **c));
                left.extend(opened);
                self.members.remove(id).map(|_| ()).ok_or(Break::Contradiction)
            }
            AdminChange::Grant { member, compartment } => {
                let known = self.compartments.contains_key(compartment);
                let state = self
                    .members
                    .get_mut(member)
                    .filter(|state| known && state.role != Role::Admin);
                let new = state.is_some_and(|state| state.granted.insert(*compartment));
                if new { Ok(()) } else { Err(Break::Contradiction) }
            }
            AdminChange::CompartmentAdd { id, name } => {
                let state = CompartmentState {
                    name: *name,
                    keys: BTreeMap::new(),
                };
                insert_new(&mut self.compartments, *id, state)
            }
            AdminChange::Index { record } => match self.index.replace(*record) {
                None => Ok(()),
                Some(_) => Err(Break::Contradiction),
            },
            AdminChange::EnvironmentAdd { id, record } => insert_new(&mut self.environments, *id, *record),
            AdminChange::KeyFile {
                compartment,
                term,
                file,
            } => {
                let state = self
                    .compartments
                    .get_mut(compartment)
                    .ok_or(Break::Contradiction)?;
                if term.0 == 0 || *term > state.term().next() {
                    return Err(Break::Contradiction);
                }
                state.keys.insert(*term, *file);
                Ok(())
            }
        }
    }

    /// Whether the author of `commit` is a member whose role and compartments allow all of it.
    ///
    /// # Errors
    /// [`Break::Unauthorised`].
    pub(crate) fn authorise<'a>(
        &self,
        commit: &Commit,
        live: impl Fn(&EntryChange) -> Option<&'a Live>,
    ) -> Result<&MemberState, Break> {
        let author = self.members.get(&commit.author).ok_or(Break::Unauthorised)?;
        // A rotator's is a new version of what is there, or its labels: same metadata, so same name
        // and kind.
        let rotates = |change: &EntryChange| {
            !change.deletes() && live(change).is_some_and(|entry| entry.meta == change.meta)
        };
        let entry = |change: &EntryChange| {
            self.may_change(commit.author, change.compartment)
                && (author.role != Role::Rotator || rotates(change))
        };
        // Who wraps records anew says that they hold what they held, and readers take its word.
        let others = !commit.is_administrative() && commit.rewraps.is_empty();
        let admin = author.role == Role::Admin || others;
        let may = author.role != Role::Reader && admin;
        if may && commit.entries.iter().all(entry) {
            Ok(author)
        } else {
            Err(Break::Unauthorised)
        }
    }
}

/// Ids are random: one that is there already is not a new one.
fn insert_new<K: Ord, V>(map: &mut BTreeMap<K, V>, id: K, value: V) -> Result<(), Break> {
    match map.entry(id) {
        std::collections::btree_map::Entry::Vacant(slot) => {
            slot.insert(value);
            Ok(())
        }
        std::collections::btree_map::Entry::Occupied(_) => Err(Break::Contradiction),
    }
}
