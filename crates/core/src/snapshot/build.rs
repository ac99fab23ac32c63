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
use crate::id::{EntryId, Hash, MemberId};

/// Takes one object as the storage has it.
pub(crate) type Take<'a> = &'a mut dyn FnMut(Hash, &[u8]) -> Result<(), IntegrityError>;

/// Fetches objects as the storage has them; absent ones are passed over. Whoever asked checks. `E` is whatever reading a store can fail with.
pub(crate) trait Fetch<E> {
    fn fetch(&mut self, wanted: &[Hash], each: Take<'_>) -> Result<(), E>;
}

/// What one entry is built from while its records arrive.
struct Part {
    id: EntryId,
    live: Live,
    meta: Option<Meta>,
    value: Option<Sealed>,
}

impl Snapshot {
    /// The whole of `state`, with what `keyring` opens.
    pub(crate) fn build<E: From<IntegrityError>>(
        state: State,
        me: MemberId,
        keyring: Arc<Keyring>,
        fetch: &mut dyn Fetch<E>,
    ) -> Result<Self, E> {
        let mut next = Self {
            directory: Arc::new(open_directory(&state, &keyring, fetch)?),
            state,
            me,
            keyring,
            spaces: imbl::HashMap::new(),
            ids: imbl::HashMap::new(),
        };
        let all: Vec<_> = next
            .state
            .entries()
            .iter()
            .map(|(id, live)| (*id, *live))
            .collect();
        let parts = all
            .into_iter()
            .filter(|(_, live)| next.keyring.opens(live.compartment))
            .map(|(id, live)| Part {
                id,
                live,
                meta: None,
                value: None,
            })
            .collect();
        next.fill(parts, fetch)?;
        Ok(next)
    }

    /// This snapshot brought to `state`, in which the entries `touched` differ, and what changed.
    pub(crate) fn apply<E: From<IntegrityError>>(
        &self,
        state: State,
        touched: &BTreeSet<EntryId>,
        keyring: Arc<Keyring>,
        fetch: &mut dyn Fetch<E>,
    ) -> Result<(Self, Vec<Changed>), E> {
        let admin_changed = state.admin().last() != self.state.admin().last();
        let sees_more = state
            .admin()
            .compartments()
            .keys()
            .any(|id| keyring.opens(*id) && !self.keyring.opens(*id));
        if sees_more {
            let next = Self::build(state, self.me, keyring, fetch)?;
            let changes = next.changes_since(self);
            return Ok((next, changes));
        }
        let mut next = self.clone();
        if admin_changed {
            next.directory = Arc::new(open_directory(&state, &keyring, fetch)?);
        }
        next.state = state;
        next.keyring = keyring;
        let mut parts = Vec::new();
        for id in touched {
            let old = self.ids.get(id);
            let live = next.state.entries().get(id).copied();
            let same = old.is_some_and(|old| live.is_some_and(|live| live.revision == old.revision));
            if same {
                continue;
            }
            if let Some(old) = old {
                next.remove(old);
            }
            let Some(live) = live.filter(|live| next.keyring.opens(live.compartment)) else {
                continue;
            };
            let before = self.state.entries().get(id);
            let meta = old
                .filter(|_| before.is_some_and(|before| before.meta == live.meta))
                .and_then(|old| self.meta_of(old));
            parts.push(Part {
                id: *id,
                live,
                meta,
                value: None,
            });
        }
        next.fill(parts, fetch)?;
        let changes = touched
            .iter()
            .flat_map(|id| changed(self.ids.get(id), next.ids.get(id)))
            .collect();
        Ok((next, changes))
    }

    /// Fetches what `parts` lack and inserts the finished entries.
    fn fill<E: From<IntegrityError>>(
        &mut self,
        mut parts: Vec<Part>,
        fetch: &mut dyn Fetch<E>,
    ) -> Result<(), E> {
        let mut slots: HashMap<Hash, (usize, bool)> = HashMap::with_capacity(parts.len() * 2);
        let mut wanted = Vec::with_capacity(parts.len() * 2);
        for (at, part) in parts.iter().enumerate() {
            if part.meta.is_none() {
                slots.insert(part.live.meta, (at, true));
                wanted.push(part.live.meta);
            }
            slots.insert(part.live.value, (at, false));
            wanted.push(part.live.value);
        }
        let store = self.state.store();
        let keyring = Arc::clone(&self.keyring);
        fetch.fetch(&wanted, &mut |hash, bytes| {
            let slot = slots.get(&hash).copied();
            let Some((part, is_meta)) = slot.and_then(|(at, is_meta)| Some((parts.get_mut(at)?, is_meta)))
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
                part.meta = Some(meta);
            } else {
                part.value = Some(sealed);
            }
            Ok(())
        })?;
        drop(slots);
        for part in parts {
            let revision = part.live.revision;
            self.insert(part).map_err(|what| E::from(what.at(revision)))?;
        }
        Ok(())
    }

    fn insert(&mut self, part: Part) -> Result<(), Break> {
        let (Some(meta), Some(value)) = (part.meta, part.value) else {
            return Err(Break::MissingObject);
        };
        // An entry can only be what its id says: one path is one entry, whoever put it.
        if self.directory.entry_id(meta.environment, &meta.path) != part.id {
            return Err(Break::Contradiction);
        }
        let environment = self
            .directory
            .environment_names
            .get(&meta.environment)
            .ok_or(Break::Contradiction)?;
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
            size: seal::plaintext_len(value.bytes().len()),
            sealed_in: part.live.compartment,
        });
        let space = self.spaces.entry(entry.environment.clone()).or_default();
        let node = Node {
            entry: Arc::clone(&entry),
            sealed: value,
        };
        space.entries.insert(entry.path.clone(), node);
        space.order.insert(entry.path.clone(), Arc::clone(&entry));
        self.ids.insert(entry.id, entry);
        Ok(())
    }

    fn remove(&mut self, entry: &Entry) {
        if let Some(space) = self.spaces.get_mut(&entry.environment) {
            space.entries.remove(&entry.path);
            space.order.remove(&entry.path);
        }
        self.ids.remove(&entry.id);
    }

    /// The metadata an entry was built from.
    pub(crate) fn meta_of(&self, entry: &Entry) -> Option<Meta> {
        Some(Meta {
            environment: self.directory.environments.get(&entry.environment)?.id,
            kind: entry.kind,
            format: entry.format,
            path: entry.path.clone(),
            labels: entry.labels.clone(),
        })
    }

    /// What changed from `older` to this snapshot, among the entries both identities open.
    #[must_use]
    pub fn changes_since(&self, older: &Self) -> Vec<Changed> {
        let ids: BTreeSet<_> = older.ids.keys().chain(self.ids.keys()).collect();
        ids.into_iter()
            .flat_map(|id| changed(older.ids.get(id), self.ids.get(id)))
            .collect()
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
        (Some(old), Some(new)) if old.version == new.version && old.revision == new.revision => return None,
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
