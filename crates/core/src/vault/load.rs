//! From a store to a verified snapshot: owns opening, catching up, and the checks against what
//! was verified before. Whatever a store claims is proved here or refused.

use std::collections::HashMap;
use std::sync::Arc;

use super::author::Authored;
use super::error::OpenError;
use super::known::Known;
use super::trust::{OpenOptions, Trust};
use crate::commit::{
    Authority, Break, Checkpoint, Commit, IntegrityError, Link, Role, Sealed, State, authority_of, decode,
};
use crate::crypto::identity::Identity;
use crate::crypto::keyring::{self, Keyring};
use crate::id::{Hash, MemberId, Revision};
use crate::snapshot::{Changed, Delta, Fetch, Snapshot, Take};
use crate::store::{Head, Store, StoredCommit, StoredObject};

/// Commits read at a time.
const BATCH: usize = 512;

/// A verified walk over commits, and what the entries it passed need.
pub(super) struct Walk {
    pub(super) state: State,
    /// What differs from where the walk began.
    pub(super) delta: Delta,
    /// Commits and entry changes passed: what the next checkpoint would spare.
    pub(super) passed: usize,
    /// What policies have to be asked about.
    pub(super) authored: Authored,
    /// Whether all of it was judged before.
    is_again: bool,
}

impl Walk {
    pub(super) fn from(state: State) -> Self {
        Self {
            state,
            delta: Delta::default(),
            passed: 0,
            authored: Authored::default(),
            is_again: false,
        }
    }

    /// A walk over what was judged before: nobody asks about its authors.
    pub(super) fn again(state: State) -> Self {
        Self {
            is_again: true,
            ..Self::from(state)
        }
    }

    /// Verifies one more commit.
    pub(super) fn step(&mut self, stored: &StoredCommit) -> Result<Commit, IntegrityError> {
        let (next, commit) = self.state.advance(stored)?;
        let author = self.state.admin().members().get(&commit.author);
        let rotator = author.is_some_and(|member| member.role == Role::Rotator);
        self.delta.note(&commit, rotator, &self.state);
        if !self.is_again {
            self.authored.note(&self.state, &commit);
        }
        self.passed += 1 + commit.entries.len() + commit.rewraps.len();
        self.state = next;
        Ok(commit)
    }

    /// Verifies all commits after the walk's state that the store has, up to `last`.
    pub(super) fn run(
        &mut self,
        store: &dyn Store,
        last: Revision,
        trust: Option<Trust>,
    ) -> Result<(), OpenError> {
        while self.state.revision() < last {
            let from = self.state.revision().next();
            let batch = store.commits(from, BATCH)?;
            if batch.is_empty() {
                break;
            }
            for stored in &batch {
                self.step(stored)?;
                if trust.is_some_and(|trust| {
                    trust.revision == self.state.revision() && trust.hash != self.state.hash()
                }) {
                    return Err(Break::Replaced.at(self.state.revision()).into());
                }
                if self.state.revision() >= last {
                    break;
                }
            }
        }
        Ok(())
    }
}

/// Opens a store: the snapshot at its head, and what a new checkpoint would spare.
pub(super) fn open(
    store: &dyn Store,
    identity: &Identity,
    options: &OpenOptions,
    known: &Known,
) -> Result<(Snapshot, usize), OpenError> {
    let walk = verified(store, options)?;
    let me = member(&walk.state, identity)?;
    let mut fetch = Objects::of(store);
    let keyring = open_keys(&walk.state, me, identity, &Keyring::default(), &mut fetch)?;
    let keyring = Arc::new(keyring);
    walk.authored.check(me, &keyring, &mut fetch, known, None)?;
    let snapshot = Snapshot::build(walk.state.clone(), me, keyring, &walk.delta, &mut fetch)?;
    Ok((snapshot, walk.passed))
}

/// Verifies the chain from a checkpoint or the first commit to the head.
pub(super) fn verified(store: &dyn Store, options: &OpenOptions) -> Result<Walk, OpenError> {
    // In this order a checkpoint that is written meanwhile is never newer than the head.
    let checkpoint = store.checkpoint()?;
    let head = store.head()?.ok_or_else(|| OpenError::Empty {
        location: store.location(),
    })?;
    let first = commit_at(store, Revision(1))?;
    let fingerprint = Hash::of(&first.bytes);
    let pinned = [options.fingerprint, options.trust.map(|trust| trust.fingerprint)];
    if pinned.into_iter().flatten().any(|pin| pin != fingerprint) {
        return Err(Break::Fingerprint.at(Revision(1)).into());
    }
    let checkpoint = match checkpoint {
        Some(bytes) => Checkpoint::decode(&bytes).map_err(|what| what.at(head.revision))?,
        None => None,
    };
    let known = options.trust.map(|trust| trust.revision);
    let claimed = checkpoint.as_ref().map(|checkpoint| checkpoint.link().revision);
    if known.max(claimed).is_some_and(|known| known > head.revision) {
        return Err(Break::RolledBack.at(head.revision).into());
    }
    if let Some(checkpoint) = checkpoint {
        let signer = checkpoint.signer();
        let state = from_checkpoint(store, checkpoint, options.trust)?;
        if state.fingerprint() != fingerprint {
            return Err(Break::Fingerprint.at(Revision(1)).into());
        }
        let walk = to_head(store, state, head, options.trust)?;
        let signer = walk.state.admin().members().get(&signer);
        if signer.is_some_and(|member| member.role == Role::Admin) {
            return Ok(walk);
        }
        // Whoever has left by now may have signed anything: only the commits count.
    }
    to_head(store, State::genesis(&first)?, head, options.trust)
}

/// Verifies the commits after `state` up to the head, and all of it against what was verified
/// before.
fn to_head(store: &dyn Store, state: State, head: Head, trust: Option<Trust>) -> Result<Walk, OpenError> {
    if trust.is_some_and(|trust| trust.revision == state.revision() && trust.hash != state.hash()) {
        return Err(Break::Replaced.at(state.revision()).into());
    }
    let mut walk = Walk::from(state);
    walk.run(store, Revision(u64::MAX), trust)?;
    if walk.state.revision() < head.revision {
        return Err(Break::MissingCommit.at(walk.state.revision().next()).into());
    }
    if walk.state.revision() == head.revision && walk.state.hash() != head.hash {
        return Err(Break::Replaced.at(head.revision).into());
    }
    Ok(walk)
}

pub(super) fn from_checkpoint(
    store: &dyn Store,
    checkpoint: Checkpoint,
    trust: Option<Trust>,
) -> Result<State, OpenError> {
    let link = checkpoint.link();
    let mut chain = Vec::new();
    let mut links = Vec::new();
    let mut at = checkpoint.authority();
    while at != Link::NONE {
        let stored = commit_at(store, at.revision)?;
        let before = authority_of(&stored, at)?;
        if before.revision >= at.revision {
            return Err(Break::BrokenChain.at(at.revision).into());
        }
        links.push(at);
        chain.push(stored);
        at = before;
    }
    chain.reverse();
    let state = checkpoint.verify(&Authority::verify(&chain)?)?;
    if let Some(trust) = trust.filter(|trust| trust.revision <= link.revision) {
        // What was verified before knew administrative commits: a checkpoint that leaves one out
        // was made by someone whom that one may have removed.
        descends(store, link, trust.link(), &mut |commit, at| {
            let first = at.revision == trust.revision;
            let known = (!commit.is_administrative() || links.contains(&at))
                && (!first || links.contains(&commit.authority) || commit.authority == Link::NONE);
            if known { Ok(()) } else { Err(Break::Checkpoint) }
        })?;
    }
    Ok(state)
}

/// Whether `older` is an ancestor of `link`: by hashes alone, since `link` is proved. `each` sees
/// the commits from the older one to `link`.
pub(super) fn descends(
    store: &dyn Store,
    link: Link,
    older: Link,
    each: &mut dyn FnMut(&Commit, Link) -> Result<(), Break>,
) -> Result<(), OpenError> {
    let mut previous = Hash::ZERO;
    let mut at = older.revision;
    loop {
        let batch = store.commits(at, BATCH)?;
        if batch.is_empty() {
            return Err(Break::MissingCommit.at(at).into());
        }
        for stored in &batch {
            if stored.head.revision != at {
                return Err(Break::MissingCommit.at(at).into());
            }
            let here = Link {
                revision: at,
                hash: Hash::of(&stored.bytes),
            };
            if at == older.revision && here != older {
                return Err(Break::Replaced.at(at).into());
            }
            let (commit, ..) = decode(&stored.bytes).map_err(|what| what.at(at))?;
            if at > older.revision && commit.previous != previous {
                return Err(Break::BrokenChain.at(at).into());
            }
            each(&commit, here).map_err(|what| what.at(at))?;
            if at == link.revision {
                let same = here == link;
                return if same {
                    Ok(())
                } else {
                    Err(Break::Replaced.at(at).into())
                };
            }
            previous = here.hash;
            at = at.next();
        }
    }
}

pub(super) fn commit_at(store: &dyn Store, revision: Revision) -> Result<StoredCommit, OpenError> {
    store
        .commits(revision, 1)?
        .into_iter()
        .find(|stored| stored.head.revision == revision)
        .ok_or_else(|| Break::MissingCommit.at(revision).into())
}

/// Which member `identity` is.
pub(super) fn member(state: &State, identity: &Identity) -> Result<MemberId, OpenError> {
    let public = identity.public();
    state
        .admin()
        .members()
        .iter()
        .find(|(_, member)| member.public == public)
        .map(|(id, _)| *id)
        .ok_or(OpenError::NotMember)
}

/// Opens every key file listed for `me`; keys of `known` are taken over.
pub(super) fn open_keys(
    state: &State,
    me: MemberId,
    identity: &Identity,
    known: &Keyring,
    fetch: &mut Objects<'_>,
) -> Result<Keyring, OpenError> {
    let admin = state.admin();
    let revision = admin.last().revision;
    let mut keyring = Keyring::default();
    let mut missing = HashMap::new();
    for (id, compartment) in admin.compartments() {
        for (term, file) in compartment.keys.iter().filter(|_| admin.opens(me, *id)) {
            match known.get(*id, *term) {
                Some(kek) => keyring.insert(*id, *term, Arc::clone(kek)),
                None => drop(missing.insert(*file, (*id, *term))),
            }
        }
    }
    let wanted: Vec<_> = missing.keys().copied().collect();
    fetch.fetch(&wanted, &mut |hash, bytes| {
        let sealed = Sealed::check(hash, bytes).map_err(|what| what.at(revision))?;
        if let Some((id, term)) = missing.remove(&hash) {
            let kek = keyring::unwrap(sealed.bytes(), identity).map_err(|_| Break::KeyFile.at(revision))?;
            keyring.insert(id, term, Arc::new(kek));
        }
        Ok(())
    })?;
    if missing.is_empty() {
        Ok(keyring)
    } else {
        Err(Break::MissingObject.at(revision).into())
    }
}

/// The objects of a store, and those of a commit that is not stored yet.
pub(super) struct Objects<'a> {
    pub(super) store: &'a dyn Store,
    pub(super) fresh: HashMap<Hash, &'a [u8]>,
}

impl<'a> Objects<'a> {
    pub(super) fn of(store: &'a dyn Store) -> Self {
        Self {
            store,
            fresh: HashMap::new(),
        }
    }

    pub(super) fn with(store: &'a dyn Store, fresh: &'a [StoredObject]) -> Self {
        Self {
            store,
            fresh: fresh.iter().map(|object| (object.hash, &*object.bytes)).collect(),
        }
    }
}

impl Fetch<OpenError> for Objects<'_> {
    fn fetch(&mut self, wanted: &[Hash], each: Take<'_>) -> Result<(), OpenError> {
        let mut rest = Vec::new();
        let asked = if self.fresh.is_empty() {
            wanted
        } else {
            for hash in wanted {
                match self.fresh.get(hash) {
                    Some(bytes) => each(*hash, bytes)?,
                    None => rest.push(*hash),
                }
            }
            &rest
        };
        if asked.is_empty() {
            return Ok(());
        }
        let mut broken = None;
        self.store.objects(asked, &mut |hash, bytes| {
            broken = each(hash, bytes).err();
            broken.is_none()
        })?;
        broken.map_or(Ok(()), |error| Err(error.into()))
    }
}

/// A snapshot that follows another one.
pub(super) struct Next {
    pub(super) snapshot: Snapshot,
    pub(super) changes: Vec<Changed>,
    /// Commits and entry changes between them.
    pub(super) passed: usize,
    /// Whether records were wrapped anew.
    pub(super) has_rewraps: bool,
}

/// Brings `old` to the head of the store; `None` when it is there already.
pub(super) fn catch_up(
    store: &dyn Store,
    identity: &Identity,
    old: &Snapshot,
    known: &Known,
) -> Result<Option<Next>, OpenError> {
    let head = store.head()?.ok_or_else(|| OpenError::Empty {
        location: store.location(),
    })?;
    if head.revision < old.revision() {
        return Err(Break::RolledBack.at(head.revision).into());
    }
    if head.revision == old.revision() {
        let same = head.hash == old.hash();
        return if same {
            Ok(None)
        } else {
            Err(Break::Replaced.at(head.revision).into())
        };
    }
    let mut walk = Walk::from(old.state().clone());
    walk.run(store, Revision(u64::MAX), None)?;
    if walk.state.revision() < head.revision {
        return Err(Break::MissingCommit.at(walk.state.revision().next()).into());
    }
    step(&mut Objects::of(store), identity, old, &walk, known).map(Some)
}

/// The snapshot after a verified walk from `old`.
pub(super) fn step(
    fetch: &mut Objects<'_>,
    identity: &Identity,
    old: &Snapshot,
    walk: &Walk,
    known: &Known,
) -> Result<Next, OpenError> {
    let administrative = walk.state.admin().last() != old.state().admin().last();
    let keyring = if administrative {
        let me = member(&walk.state, identity)?;
        Arc::new(open_keys(&walk.state, me, identity, old.keyring(), fetch)?)
    } else {
        Arc::clone(old.keyring())
    };
    walk.authored.check(old.me(), &keyring, fetch, known, Some(old))?;
    let (snapshot, changes) = old.apply(walk.state.clone(), &walk.delta, keyring, fetch)?;
    Ok(Next {
        snapshot,
        changes,
        passed: walk.passed,
        has_rewraps: walk.delta.has_rewraps(),
    })
}
