//! From records to entries: owns the step in which records that arrive in any order are opened,
//! and their entries inserted or removed. It must not know where records come from.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::label::MarkedRecords;
use super::meta::Meta;
use super::{Action, Changed, Entry, Snapshot};
use crate::commit::{Admin, Break, IntegrityError, Live, Sealed};
use crate::crypto::seal;
use crate::id::{CompartmentId, EntryId, Hash, Revision};
use crate::kind::Kind;
use crate::lookup::HashIndex;

/// What one entry is built from while its records arrive.
pub(super) struct Part {
    id: EntryId,
    /// Whose metadata tells the path: the new state, or the old one of an entry that goes.
    live: Live,
    stays: bool,
    is_placed: bool,
    meta: Option<Box<Meta>>,
    value: Option<Sealed>,
    /// The records of what else has a label, and how many of them are to come.
    marked: Option<Box<MarkedRecords>>,
    missing: usize,
}

/// Which record of a part that has labels.
#[derive(Clone, Copy)]
pub(super) enum Which {
    Pending,
    Previous,
    Rotation,
}

/// Adds the records of what else has a label to those that are wanted; tells whose they are.
pub(super) fn marked(parts: &mut [Part], wanted: &mut Vec<Hash>) -> Vec<(usize, Which)> {
    let mut owners = Vec::new();
    for (position, part) in parts.iter_mut().enumerate() {
        let Some(marks) = part.live.marks.as_ref().filter(|_| part.stays) else {
            continue;
        };
        let records = [
            (marks.pending.map(|labelled| labelled.value), Which::Pending),
            (marks.previous.map(|labelled| labelled.value), Which::Previous),
            (marks.rotation, Which::Rotation),
        ];
        part.marked = Some(Box::default());
        for (hash, which) in records {
            if let Some(hash) = hash {
                wanted.push(hash);
                owners.push((position, which));
                part.missing += 1;
            }
        }
    }
    owners
}

impl Part {
    pub(super) fn new(id: EntryId, live: &Live, stays: bool) -> Self {
        Self {
            id,
            live: live.clone(),
            stays,
            is_placed: false,
            meta: None,
            value: None,
            marked: None,
            missing: 0,
        }
    }

    /// Takes one of the records of what else has a label.
    fn mark(&mut self, which: Which, sealed: Sealed) {
        if let Some(marked) = &mut self.marked {
            let slot = match which {
                Which::Pending => &mut marked.pending,
                Which::Previous => &mut marked.previous,
                Which::Rotation => &mut marked.rotation,
            };
            if slot.replace(sealed).is_none() {
                self.missing = self.missing.saturating_sub(1);
            }
        }
    }

    pub(super) fn revision(&self) -> Revision {
        self.live.revision
    }

    /// What has come, once and when it is all that placing needs: an entry that goes has no value.
    fn complete(&mut self) -> Option<(Box<Meta>, Option<Sealed>)> {
        if self.is_placed || self.missing > 0 || (self.stays && self.value.is_none()) {
            return None;
        }
        let meta = self.meta.take()?;
        self.is_placed = true;
        Some((meta, self.value.take().filter(|_| self.stays)))
    }

    /// Its records: the metadata, then the value.
    pub(super) fn wanted(&self) -> [Hash; 2] {
        [self.live.meta, self.live.value]
    }
}

/// A snapshot whose entries are being filled in.
pub(super) struct Filling<'a> {
    next: &'a mut Snapshot,
    parts: Vec<Part>,
    /// What is wanted, metadata and value of each part in turn, is also what says whose a record
    /// is; whose the rest are, `marked` says.
    wanted: &'a [Hash],
    marked: &'a [(usize, Which)],
    /// The first position of each hash in `wanted`.
    slots: HashIndex,
    /// The other ones: of a record that is listed more than once, which no vault makes.
    twins: HashMap<Hash, Vec<u32>>,
    /// Entries that must turn out to be secrets.
    rotated: &'a BTreeSet<EntryId>,
    changes: Option<&'a mut Vec<Changed>>,
}

impl<'a> Filling<'a> {
    /// `wanted` are the records of all `parts` in turn, then those of `marked`; `changes` takes what changed.
    pub(super) fn new(
        next: &'a mut Snapshot,
        parts: Vec<Part>,
        wanted: &'a [Hash],
        marked: &'a [(usize, Which)],
        rotated: &'a BTreeSet<EntryId>,
        changes: Option<&'a mut Vec<Changed>>,
    ) -> Self {
        let mut slots = HashIndex::with_capacity(wanted.len());
        let mut twins: HashMap<_, Vec<_>> = HashMap::new();
        for (position, hash) in (0..).zip(wanted) {
            if slots.insert(hash, position, |position| at(wanted, position)) != position {
                twins.entry(*hash).or_default().push(position);
            }
        }
        Self {
            next,
            parts,
            wanted,
            marked,
            slots,
            twins,
            rotated,
            changes,
        }
    }

    /// Takes one record that was wanted, for all whose it is: what it is to one of them says
    /// nothing of the others.
    pub(super) fn take(&mut self, hash: Hash, sealed: Result<Sealed, Break>) -> Result<(), IntegrityError> {
        let Some(first) = self.slots.find(&hash, |position| at(self.wanted, position)) else {
            return Ok(());
        };
        for other in self.twins.remove(&hash).unwrap_or_default() {
            self.give(other, sealed.clone())?;
        }
        self.give(first, sealed)
    }

    /// Gives a record to the one at `slot`; when it is an entry's last, the entry is placed.
    fn give(&mut self, slot: u32, sealed: Result<Sealed, Break>) -> Result<(), IntegrityError> {
        let Ok(slot) = usize::try_from(slot) else {
            return Ok(());
        };
        // The first two of each part, then those of `marked`.
        let (at, which) = match slot.checked_sub(2 * self.parts.len()) {
            None => (slot / 2, None),
            Some(rest) => match self.marked.get(rest) {
                Some((at, which)) => (*at, Some(*which)),
                None => return Ok(()),
            },
        };
        let is_meta = which.is_none() && slot % 2 == 0;
        let Some(part) = self.parts.get_mut(at) else {
            return Ok(());
        };
        let revision = part.live.revision;
        let fail = |what: Break| what.at(revision);
        let sealed = sealed.map_err(fail)?;
        if is_meta {
            let (store, keyring) = (self.next.state.store(), &self.next.keyring);
            let directory = &self.next.directory;
            let meta = directory.description(store, part.live.compartment, part.id, |context| {
                sealed.open(keyring, context)
            });
            part.meta = Some(Box::new(meta.map_err(fail)?));
        } else if let Some(which) = which {
            part.mark(which, sealed);
        } else {
            part.value = Some(sealed);
        }
        let Some((meta, value)) = part.complete() else {
            return Ok(());
        };
        let only_secret = self.rotated.contains(&part.id);
        let marked = part.marked.take();
        let (before, after) = place(self.next, part, *meta, value, marked, only_secret).map_err(fail)?;
        if let Some(changes) = &mut self.changes {
            changes.extend(changed(before.as_ref(), after.as_ref()));
        }
        Ok(())
    }

    /// Refuses when an entry's records did not all come.
    pub(super) fn end(self) -> Result<(), IntegrityError> {
        match self.parts.iter().find(|part| !part.is_placed) {
            Some(part) => Err(Break::MissingObject.at(part.live.revision)),
            None => Ok(()),
        }
    }
}

fn at(wanted: &[Hash], position: u32) -> Option<&Hash> {
    wanted.get(usize::try_from(position).ok()?)
}

type Before = Option<Arc<Entry>>;
type After = Option<Arc<Entry>>;

/// Inserts or removes one entry; tells the entry before and the one after.
fn place(
    next: &mut Snapshot,
    part: &Part,
    meta: Meta,
    value: Option<Sealed>,
    marked: Option<Box<MarkedRecords>>,
    only_secret: bool,
) -> Result<(Before, After), Break> {
    if only_secret && part.stays && meta.kind != Kind::Secret {
        return Err(Break::Unauthorised);
    }
    if marked.is_some() && meta.kind != Kind::Secret {
        return Err(Break::Contradiction);
    }
    if part.stays && !is_in_place(meta.kind, part.live.compartment, next.state.admin()) {
        return Err(Break::Contradiction);
    }
    let environment = next
        .directory
        .environment_names
        .get(&meta.environment)
        .ok_or(Break::Contradiction)?;
    let space = next.spaces.entry(environment.clone()).or_default();
    let Some(sealed) = value else {
        if let Some(order) = space.order.get_mut() {
            order.remove(&meta.path);
        }
        space.policies.remove(&meta.path);
        return Ok((space.entries.remove(&meta.path), None));
    };
    let compartment = next
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
        sealed,
        marks: part.live.marks.clone(),
        marked,
    });
    if let Some(order) = space.order.get_mut() {
        order.insert(entry.path.clone(), Arc::clone(&entry));
    }
    if entry.kind == Kind::Policy {
        space.policies.insert(entry.path.clone(), Arc::clone(&entry));
    } else {
        space.policies.remove(&entry.path);
    }
    let before = space.entries.insert(entry.path.clone(), Arc::clone(&entry));
    Ok((before, Some(entry)))
}

/// Policies lie in `common` and nothing else does: so everyone reads them, and only admins, who
/// alone may change entries there, write them.
pub(crate) fn is_in_place(kind: Kind, compartment: CompartmentId, admin: &Admin) -> bool {
    (kind == Kind::Policy) == (compartment == admin.common())
}

/// What happened to one entry.
pub(super) fn changed(before: Option<&Arc<Entry>>, after: Option<&Arc<Entry>>) -> Option<Changed> {
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
