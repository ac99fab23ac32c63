//! Verification: owns the check of every signature, hash and record there ever was. It proves
//! again what opening took from a checkpoint.

use std::collections::{HashMap, HashSet};
use std::mem;
use std::sync::Arc;

use super::Vault;
use super::error::OpenError;
use super::known::Known;
use super::load::{self, Objects, Walk};
use super::unwrapped::{Unwrapped, What};
use crate::commit::{
    AdminChange, Break, Checked, Checkpoint, Commit, EntryChange, IntegrityError, Labelled, Live, Rewrap,
    Role, State, decode,
};
use crate::crypto::keyring::Keyring;
use crate::crypto::seal::Context;
use crate::id::{CompartmentId, EntryId, Hash, Revision, StoreId, Version};
use crate::kind::Kind;
use crate::snapshot::{
    Fetch, Snapshot, index_context, is_in_place, message_context, meta_context, name_context,
    rotation_context, value_context,
};

/// What `verify` checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verification {
    /// Commits whose signature and chain were checked.
    pub commits: u64,
    /// Objects whose hash was checked.
    pub objects: u64,
    /// Records that were opened; those of other compartments stay sealed.
    pub opened: u64,
    /// The head that was reached.
    pub revision: Revision,
    /// Its hash.
    pub hash: Hash,
}

impl Vault {
    /// Checks every signature, hash and record there ever was, and that policy allowed every author
    /// what they changed; `progress` gets done and total.
    /// Nothing that opening took from a checkpoint is taken from it here. Blocks.
    ///
    /// # Errors
    /// [`OpenError`] naming the first thing that broke.
    pub fn verify(&self, progress: &mut dyn FnMut(u64, u64)) -> Result<Verification, OpenError> {
        self.store.check()?;
        let now = self.snapshot();
        let checkpoint = self.proved_checkpoint()?;
        let head = self.store.head()?.ok_or_else(|| OpenError::Empty {
            location: self.location(),
        })?;
        if head.revision < now.revision() {
            return Err(Break::RolledBack.at(head.revision).into());
        }
        let first = load::commit_at(&*self.store, Revision(1))?;
        let mut walk = Walk::from(State::genesis(&first)?);
        if walk.state.fingerprint() != now.fingerprint() {
            return Err(Break::Fingerprint.at(Revision(1)).into());
        }
        let mut tally = Tally::new(&now);
        let (genesis, ..) = decode(&first.bytes).map_err(|what| what.at(Revision(1)))?;
        let genesis = Passed {
            commit: genesis,
            role: Role::Admin,
            rewrapped: Vec::new(),
        };
        tally.check(self, &walk.state, &[genesis])?;
        same(&walk.state, now.state(), Break::Replaced)?;
        let mut commits = 1;
        // Not the vault's own: those of the past would push out those of now.
        let known = Known::default();
        while walk.state.revision() < head.revision {
            let batch = self.store.commits(walk.state.revision().next(), 128)?;
            if batch.is_empty() {
                return Err(Break::MissingCommit.at(walk.state.revision().next()).into());
            }
            let mut passed = Vec::new();
            for stored in &batch {
                let before = walk.state.clone();
                let commit = walk.step(stored)?;
                passed.push(Passed::new(&before, commit));
                same(&walk.state, now.state(), Break::Replaced)?;
                if let Some(checkpoint) = &checkpoint {
                    same(&walk.state, checkpoint, Break::Checkpoint)?;
                }
            }
            commits += u64::try_from(batch.len()).unwrap_or_default();
            tally.check(self, &walk.state, &passed)?;
            let mut fetch = Objects::of(&*self.store);
            mem::take(&mut walk.authored).check(now.me(), now.keyring(), &mut fetch, &known, Some(&now))?;
            progress(walk.state.revision().0, head.revision.0);
        }
        progress(head.revision.0, head.revision.0);
        Ok(Verification {
            commits,
            objects: tally.objects,
            opened: tally.opened,
            revision: walk.state.revision(),
            hash: walk.state.hash(),
        })
    }

    /// What the checkpoint claims, if there is one of a format that is known.
    fn proved_checkpoint(&self) -> Result<Option<State>, OpenError> {
        let Some(bytes) = self.store.checkpoint()? else {
            return Ok(None);
        };
        let refuse = |what: Break| what.at(self.snapshot().revision());
        match Checkpoint::decode(&bytes).map_err(refuse)? {
            Some(checkpoint) => load::from_checkpoint(&*self.store, checkpoint, None).map(Some),
            None => Ok(None),
        }
    }
}

/// Where the walk has reached the revision of `claimed`, both must be the same.
fn same(walked: &State, claimed: &State, otherwise: Break) -> Result<(), IntegrityError> {
    let same = walked.revision() != claimed.revision()
        || (walked.hash() == claimed.hash()
            && walked.time() == claimed.time()
            && walked.admin().last() == claimed.admin().last()
            && walked.same_entries(claimed));
    if same {
        Ok(())
    } else {
        Err(otherwise.at(claimed.revision()))
    }
}

/// A commit, and what the state before it says of it.
struct Passed {
    commit: Commit,
    /// Its author's.
    role: Role,
    /// The entries whose records it wraps anew, as they were.
    rewrapped: Vec<(Rewrap, Arc<Live>)>,
}

impl Passed {
    fn new(before: &State, commit: Commit) -> Self {
        let author = before.admin().members().get(&commit.author);
        let was = |rewrap: &Rewrap| Some((*rewrap, Arc::clone(before.entry(rewrap.id)?)));
        Self {
            role: author.map_or(Role::Reader, |author| author.role),
            rewrapped: commit.rewraps.iter().filter_map(was).collect(),
            commit,
        }
    }
}

/// A record that a commit lists for an entry besides its metadata.
struct Value {
    whose: (CompartmentId, EntryId),
    /// The record of the entry's metadata.
    meta: Hash,
    version: Version,
    role: Role,
    has_labels: bool,
    /// What is known of a rotation, and not a value.
    is_rotation: bool,
}

impl Value {
    /// Those that a change lists.
    fn listed(change: &EntryChange, role: Role) -> impl Iterator<Item = (Hash, Self)> {
        let version = change
            .labels
            .map_or(Some(change.version), |labels| labels.pending);
        let rotation = change.labels.and_then(|labels| labels.rotation);
        let has_labels = change.labels.is_some();
        let (whose, meta) = ((change.compartment, change.id), change.meta);
        let value = move |is_rotation| Self {
            whose,
            meta,
            version: version.unwrap_or_default(),
            role,
            has_labels,
            is_rotation,
        };
        let values = change.value.into_iter().map(move |hash| (hash, value(false)));
        values.chain(rotation.into_iter().map(move |hash| (hash, value(true))))
    }

    /// Those of an entry whose records are wrapped anew.
    fn rewrapped(rewrap: &Rewrap, was: &Live) -> impl Iterator<Item = (Hash, Self)> {
        let of = |labelled: Option<Labelled>| labelled.map(|labelled| labelled.version);
        let marks = was.marks.as_deref();
        let versions = [
            (Some(rewrap.value), Some(was.version)),
            (rewrap.pending, marks.and_then(|marks| of(marks.pending))),
            (rewrap.previous, marks.and_then(|marks| of(marks.previous))),
        ];
        let (whose, meta, has_labels) = ((was.compartment, rewrap.id), rewrap.meta, marks.is_some());
        let value = move |version: Option<Version>, is_rotation| Self {
            whose,
            meta,
            version: version.unwrap_or_default(),
            role: Role::Admin,
            has_labels,
            is_rotation,
        };
        let values = versions.into_iter();
        let values = values.filter_map(move |(hash, version)| Some((hash?, value(version, false))));
        let rotation = rewrap.rotation.into_iter();
        values.chain(rotation.map(move |hash| (hash, value(None, true))))
    }
}

/// What a verification has checked so far.
struct Tally<'a> {
    now: &'a Snapshot,
    keyring: &'a Keyring,
    seen: HashSet<Hash>,
    /// The entry each metadata record is listed for.
    described: HashMap<Hash, (CompartmentId, EntryId)>,
    /// The kind each opened metadata record gives, which the context of its values needs.
    kinds: HashMap<Hash, Kind>,
    objects: u64,
    opened: u64,
}

impl<'a> Tally<'a> {
    fn new(now: &'a Snapshot) -> Self {
        Self {
            now,
            keyring: now.keyring(),
            seen: HashSet::new(),
            described: HashMap::new(),
            kinds: HashMap::new(),
            objects: 0,
            opened: 0,
        }
    }

    /// Checks every object the commits list, and opens those whose key is open.
    fn check(&mut self, vault: &Vault, state: &State, commits: &[Passed]) -> Result<(), OpenError> {
        let store = state.store();
        let common = state.admin().common();
        let mut others: HashMap<Hash, (Option<Context>, Revision)> = HashMap::new();
        let mut metas: HashMap<Hash, ((CompartmentId, EntryId), Revision)> = HashMap::new();
        let mut values: HashMap<Hash, (Vec<Value>, Revision)> = HashMap::new();
        let mut unwrapped = Unwrapped::default();
        for Passed {
            commit,
            role,
            rewrapped,
        } in commits
        {
            if !commit.message.is_empty() && self.keyring.opens(common) {
                let context = message_context(store, common, commit.revision);
                // A message decides nothing: one that does not open is shown as none.
                let opened = Checked::message(commit).open(self.keyring, &context);
                self.opened += u64::from(opened.is_ok());
            }
            for change in &commit.admin {
                let context = match change {
                    AdminChange::MemberAdd { id, .. } => Some(name_context(store, common, id.0)),
                    AdminChange::CompartmentAdd { id, .. } => Some(name_context(store, common, id.0)),
                    AdminChange::EnvironmentAdd { id, .. } => Some(name_context(store, common, id.0)),
                    AdminChange::Index { .. } => Some(index_context(store, common)),
                    _ => None,
                };
                if let Some(hash) = change.object().filter(|hash| self.seen.insert(*hash)) {
                    others.insert(hash, (context, commit.revision));
                }
            }
            let changed = commit.entries.iter();
            let changed = changed.map(|change| ((change.compartment, change.id), change.meta));
            let wrapped = rewrapped.iter();
            let wrapped = wrapped.map(|(rewrap, was)| ((was.compartment, rewrap.id), rewrap.meta));
            for (whose, meta) in changed.chain(wrapped) {
                match self.described.insert(meta, whose) {
                    None => drop(metas.insert(meta, (whose, commit.revision))),
                    Some(known) if known == whose => {}
                    // A record describes one entry.
                    Some(_) => return Err(Break::Contradiction.at(commit.revision).into()),
                }
            }
            let changed = commit
                .entries
                .iter()
                .flat_map(|change| Value::listed(change, *role));
            let wrapped = rewrapped
                .iter()
                .flat_map(|(rewrap, was)| Value::rewrapped(rewrap, was));
            for (hash, value) in changed.chain(wrapped) {
                // A record may be listed more than once: it has to be right each time.
                let listed = values
                    .entry(hash)
                    .or_insert_with(|| (Vec::new(), commit.revision));
                listed.0.push(value);
            }
            for (rewrap, was) in rewrapped {
                unwrapped.note(rewrap, was, commit.revision);
            }
        }
        self.each(
            vault,
            &mut others,
            |tally, (context, _), _, sealed| match context {
                Some(context) => tally.open(sealed, context).map(|_| ()),
                None => Ok(()),
            },
        )?;
        self.each(
            vault,
            &mut metas,
            |tally, ((compartment, id), _), hash, sealed| {
                if tally.keyring.opens(*compartment) {
                    tally.opened += 1;
                    let open = |context: &Context| sealed.open(tally.keyring, context);
                    let directory = tally.now.directory();
                    let meta = directory.description(store, *compartment, *id, open)?;
                    if !is_in_place(meta.kind, *compartment, state.admin()) {
                        return Err(Break::Contradiction);
                    }
                    tally.kinds.insert(hash, meta.kind);
                }
                Ok(())
            },
        )?;
        self.each(vault, &mut values, |tally, (listed, _), _, sealed| {
            listed
                .iter()
                .try_for_each(|value| tally.value(store, value, sealed))
        })?;
        unwrapped.check(&*vault.store, self.keyring, |pair| {
            let (compartment, id) = pair.whose;
            match pair.what {
                What::Meta => Some(meta_context(store, compartment, id)),
                What::Rotation => Some(rotation_context(store, compartment, id)),
                What::Value(version) => {
                    let kind = self.kinds.get(&pair.meta)?;
                    Some(value_context(store, compartment, id, version, *kind))
                }
            }
        })
    }

    /// Checks a record as what one change lists it for.
    fn value(&mut self, store: StoreId, value: &Value, sealed: Checked<'_>) -> Result<(), Break> {
        let Some(kind) = self.kinds.get(&value.meta).copied() else {
            return Ok(());
        };
        if value.role == Role::Rotator && kind != Kind::Secret {
            return Err(Break::Unauthorised);
        }
        if value.has_labels && kind != Kind::Secret {
            return Err(Break::Contradiction);
        }
        let (compartment, id) = value.whose;
        let context = if value.is_rotation {
            rotation_context(store, compartment, id)
        } else {
            value_context(store, compartment, id, value.version, kind)
        };
        self.open(sealed, &context).map(|_| ())
    }

    /// Opens a record if its compartment is open to this identity.
    fn open(
        &mut self,
        sealed: Checked<'_>,
        context: &Context,
    ) -> Result<Option<crate::secret::Secret>, Break> {
        if !self.keyring.opens(context.compartment) {
            return Ok(None);
        }
        self.opened += 1;
        sealed.open(self.keyring, context).map(Some)
    }

    /// Fetches every object of `wanted`, checks its hash and hands it to `check`; all must be there.
    fn each<T>(
        &mut self,
        vault: &Vault,
        wanted: &mut HashMap<Hash, (T, Revision)>,
        mut check: impl FnMut(&mut Self, &(T, Revision), Hash, Checked<'_>) -> Result<(), Break>,
    ) -> Result<(), OpenError> {
        let hashes: Vec<_> = wanted.keys().copied().collect();
        Objects::of(&*vault.store).fetch(&hashes, &mut |hash, bytes| -> Result<(), IntegrityError> {
            let Some(found) = wanted.remove(&hash) else {
                return Ok(());
            };
            self.objects += 1;
            Checked::object(hash, bytes)
                .and_then(|sealed| check(self, &found, hash, sealed))
                .map_err(|what| what.at(found.1))
        })?;
        match wanted.values().map(|(_, revision)| *revision).min() {
            Some(revision) => Err(Break::MissingObject.at(revision).into()),
            None => Ok(()),
        }
    }
}
