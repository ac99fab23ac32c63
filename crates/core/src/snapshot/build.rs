//! Building: owns the step from one snapshot to the next. Applying a commit costs what it
//! changed, not what is stored: all maps are persistent and share what stays the same.
//! A full build is the same step from the empty snapshot.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::directory::{self, Directory};
use super::meta::{Meta, meta_context};
use super::{Action, Changed, Entry, Node, Snapshot};
use crate::commit::{Break, IntegrityError, Live, Sealed, State};
use crate::crypto::keyring::Keyring;
use crate::crypto::seal;
use crate::id::{EntryId, Hash, MemberId, PersistentMap};
use crate::kind::Kind;
use crate::lookup::HashIndex;

/// Takes one object as the storage has it.
pub(crate) type Take<'a> = &'a mut dyn FnMut(Hash, &[u8]) -> Result<(), IntegrityError>;

/// Fetches objects as the storage has them; absent ones are passed over. Whoever asked checks.
/// `E` is whatever reading a store can fail with.
pub(crate) trait Fetch<E> {
    fn fetch(&mut self, wanted: &[Hash], each: Take<'_>) -> Result<(), E>;
}

/// The entries that commits passed over.
#[derive(Clone, Debug, Default)]
pub(crate) struct Delta {
    /// All of them.
    pub(crate) touched: BTreeSet<EntryId>,
    /// Those a rotator gave a new version to: they must turn out to be secrets.
    pub(crate) rotated: BTreeSet<EntryId>,
}

/// What one entry is built from while its records arrive.
struct Part {
    id: EntryId,
    /// Whose metadata tells the path: the new state, or the old one of an entry that goes.
    live: Live,
    stays: bool,
    meta: Option<Box<Meta>>,
    value: Option<Sealed>,
}

impl Part {
    fn new(id: EntryId, live: &Live, stays: bool) -> Self {
        Self {
            id,
            live: *live,
            stays,
            meta: None,
            value: None,
        }
    }
}

impl Snapshot {
    /// The whole of `state`, with what `keyring` opens.
    pub(crate) fn build<E: From<IntegrityError>>(
        state: State,
        me: MemberId,
        keyring: Arc<Keyring>,
        rotated: &BTreeSet<EntryId>,
        fetch: &mut dyn Fetch<E>,
    ) -> Result<Self, E> {
        let mut next = Self {
            directory: Arc::new(open_directory(&state, &keyring, fetch)?),
            state,
            me,
            keyring,
            spaces: PersistentMap::default(),
        };
        let parts = next
            .state
            .entries()
            .filter(|(_, live)| next.keyring.opens(live.compartment))
            .map(|(id, live)| Part::new(*id, live, true))
            .collect();
        next.fill(parts, rotated, None, fetch)?;
        Ok(next)
    }

    /// This snapshot brought to `state`, which differs by `delta`, and what changed.
    pub(crate) fn apply<E: From<IntegrityError>>(
        &self,
        state: State,
        delta: &Delta,
        keyring: Arc<Keyring>,
        fetch: &mut dyn Fetch<E>,
    ) -> Result<(Self, Vec<Changed>), E> {
        // Compartments that were there but closed; a new one holds nothing yet.
        let mut compartments = self.state.admin().compartments().keys();
        if compartments.any(|id| keyring.opens(*id) && !self.keyring.opens(*id)) {
            // A grant shows what was there before.
            let next = Self::build(state, self.me, keyring, &delta.rotated, fetch)?;
            let changes = next.changes_since(self);
            return Ok((next, changes));
        }
        let mut next = self.clone();
        if state.admin().last() != self.state.admin().last() {
            next.directory = Arc::new(open_directory(&state, &keyring, fetch)?);
        }
        next.state = state;
        next.keyring = keyring;
        let mut parts = Vec::new();
        for id in &delta.touched {
            let opens = |live: &&Arc<Live>| next.keyring.opens(live.compartment);
            let old = self.state.entry(*id).filter(opens);
            let new = next.state.entry(*id).filter(opens);
            match (old, new) {
                (Some(old), Some(new)) if old.revision == new.revision => {}
                (_, Some(new)) => parts.push(Part::new(*id, new, true)),
                (Some(old), None) => parts.push(Part::new(*id, old, false)),
                (None, None) => {}
            }
        }
        let mut changes = Vec::new();
        next.fill(parts, &delta.rotated, Some(&mut changes), fetch)?;
        Ok((next, changes))
    }

    /// Fetches what `parts` need, then inserts or removes their entries.
    fn fill<E: From<IntegrityError>>(
        &mut self,
        mut parts: Vec<Part>,
        rotated: &BTreeSet<EntryId>,
        mut changes: Option<&mut Vec<Changed>>,
        fetch: &mut dyn Fetch<E>,
    ) -> Result<(), E> {
        // Stores keep what one commit brought side by side: in this order memory is walked, not
        // jumped through.
        parts.sort_unstable_by_key(|part| part.live.revision);
        // What is wanted, metadata and value of each part in turn, is also what says whose an
        // object is.
        let wanted: Vec<_> = parts
            .iter()
            .flat_map(|part| [part.live.meta, part.live.value])
            .collect();
        let at = |position: u32| wanted.get(usize::try_from(position).ok()?);
        let mut slots = HashIndex::with_capacity(wanted.len());
        for (position, hash) in (0..).zip(&wanted) {
            slots.insert(hash, position, at);
        }
        let store = self.state.store();
        let keyring = Arc::clone(&self.keyring);
        fetch.fetch(&wanted, &mut |hash, bytes| {
            let slot = slots.find(&hash, at).and_then(|slot| usize::try_from(slot).ok());
            let Some((part, is_meta)) = slot.and_then(|slot| Some((parts.get_mut(slot / 2)?, slot % 2 == 0)))
            else {
                return Ok(());
            };
            let sealed = Sealed::check(hash, bytes).map_err(|what| what.at(part.live.revision))?;
            if is_meta {
                let context = meta_context(store, part.live.compartment, part.id);
                let meta = sealed
                    .open(&keyring, &context)
                    .and_then(|plain| plain.expose(Meta::decode).map_err(|_| Break::Record))
                    .map_err(|what| what.at(part.live.revision))?;
                part.meta = Some(Box::new(meta));
            } else {
                part.value = Some(sealed);
            }
            Ok(())
        })?;
        drop((slots, wanted));
        for part in parts {
            let revision = part.live.revision;
            let only_secret = rotated.contains(&part.id);
            let changed = self
                .place(part, only_secret)
                .map_err(|what| E::from(what.at(revision)))?;
            if let Some(changes) = &mut changes {
                changes.extend(changed());
            }
        }
        Ok(())
    }

    /// Inserts or removes one entry; the returned closure tells what changed.
    fn place(&mut self, part: Part, only_secret: bool) -> Result<impl FnOnce() -> Option<Changed>, Break> {
        let meta = part.meta.ok_or(Break::MissingObject)?;
        // An entry can only be what its id says: one path is one entry, whoever put it.
        if self.directory.entry_id(meta.environment, &meta.path) != part.id {
            return Err(Break::Contradiction);
        }
        if only_secret && part.stays && meta.kind != Kind::Secret {
            return Err(Break::Unauthorised);
        }
        let environment = self
            .directory
            .environment_names
            .get(&meta.environment)
            .ok_or(Break::Contradiction)?;
        let space = self.spaces.entry(environment.clone()).or_default();
        let (before, after) = if part.stays {
            let sealed = part.value.ok_or(Break::MissingObject)?;
            let compartment = self
                .directory
                .compartments
                .get(&part.live.compartment)
                .ok_or(Break::Contradiction)?;
            let entry = Arc::new(Entry {
                id: part.id,
                environment: environment.clone(),
                path: meta.path,
                kind: meta.kind,
                version: part.live.version,
                revision: part.live.revision,
                format: meta.format,
                labels: meta.labels,
                compartment: compartment.clone(),
                size: seal::plaintext_len(sealed.bytes().len()),
                sealed_in: part.live.compartment,
            });
            if let Some(order) = space.order.get_mut() {
                order.insert(entry.path.clone(), Arc::clone(&entry));
            }
            let node = Node {
                entry: Arc::clone(&entry),
                sealed,
            };
            (space.entries.insert(entry.path.clone(), node), Some(entry))
        } else {
            if let Some(order) = space.order.get_mut() {
                order.remove(&meta.path);
            }
            (space.entries.remove(&meta.path), None)
        };
        Ok(move || changed(before.as_ref().map(|node| &node.entry), after.as_ref()))
    }

    /// What changed from `older` to this snapshot, among the entries both open.
    #[must_use]
    pub fn changes_since(&self, older: &Self) -> Vec<Changed> {
        let gone = older
            .all_entries()
            .filter(|old| self.own(&old.environment, &old.path).is_none())
            .filter_map(|old| changed(Some(old), None));
        let new = self
            .all_entries()
            .filter_map(|new| changed(older.own(&new.environment, &new.path), Some(new)));
        let mut all: Vec<_> = gone.chain(new).collect();
        all.sort_by(|a, b| (&a.environment, &a.path).cmp(&(&b.environment, &b.path)));
        all
    }
}

fn open_directory<E: From<IntegrityError>>(
    state: &State,
    keyring: &Keyring,
    fetch: &mut dyn Fetch<E>,
) -> Result<Directory, E> {
    let mut records = HashMap::new();
    let revision = state.admin().last().revision;
    fetch.fetch(&directory::wanted(state.admin()), &mut |hash, bytes| {
        records.insert(
            hash,
            Sealed::check(hash, bytes).map_err(|what| what.at(revision))?,
        );
        Ok(())
    })?;
    Directory::open(state, keyring, &records).map_err(|what| what.at(revision).into())
}

/// What happened to one entry.
fn changed(before: Option<&Arc<Entry>>, after: Option<&Arc<Entry>>) -> Option<Changed> {
    let (entry, action) = match (before, after) {
        (None, None) => return None,
        (None, Some(new)) => (new, Action::Created),
        (Some(old), None) => (old, Action::Deleted),
        (Some(old), Some(new)) if old.revision == new.revision => return None,
        (Some(_), Some(new)) => (new, Action::Updated),
    };
    Some(Changed {
        environment: entry.environment.clone(),
        path: entry.path.clone(),
        kind: entry.kind,
        action,
        version: entry.version,
    })
}
