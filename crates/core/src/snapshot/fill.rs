//! From records to entries: owns the step in which records that arrive in any order are opened,
//! and their entries inserted or removed. It must not know where records come from.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};

use super::delta::{Delta, Due, What};
use super::label::MarkedRecords;
use super::meta::{Meta, rotation_context};
use super::{Action, Changed, Entry, Snapshot};
use crate::commit::{Admin, Break, Checked, IntegrityError, Live, Sealed};
use crate::crypto::keyring::Keyring;
use crate::crypto::seal;
use crate::id::{CompartmentId, EntryId, Hash, Revision};
use crate::kind::Kind;
use crate::lookup::HashIndex;

/// What one entry is built from while its records arrive.
pub(super) struct Part {
    id: EntryId,
    /// Whose metadata tells the path: the new state, or the old one of an entry that goes.
    live: Live,
    /// The revision that wrapped its records anew, after the one that put them.
    rewrapped: Option<Revision>,
    stays: bool,
    is_placed: bool,
    meta: Option<Box<Meta>>,
    value: Option<Sealed>,
    /// The records of what else has a label, and how many of them are to come.
    marked: Option<Box<MarkedRecords>>,
    missing: usize,
    /// Why it must turn out to be a secret.
    secret: Option<Due>,
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

/// Adds the records that are due and that no part has by now to those that are wanted.
pub(super) fn due(
    parts: &mut [Part],
    delta: &Delta,
    keyring: &Keyring,
    wanted: &mut Vec<Hash>,
) -> BTreeMap<usize, Due> {
    let mut due = delta.due.clone();
    due.retain(|_, due| keyring.opens(due.compartment));
    if !due.is_empty() {
        for part in parts {
            part.secret = due.remove(&(part.id, part.live.meta, What::Secret));
            if let Some(record) = part.live.rotation().filter(|_| part.stays) {
                due.remove(&(part.id, record, What::Rotation));
            }
        }
    }
    let from = wanted.len();
    wanted.extend(due.values().map(|due| due.record));
    (from..).zip(due.into_values()).collect()
}

impl Part {
    pub(super) fn new(id: EntryId, live: &Live, stays: bool, delta: &Delta) -> Self {
        Self {
            id,
            live: live.clone(),
            rewrapped: delta.rewrapped.get(&id).copied().filter(|_| stays),
            stays,
            is_placed: false,
            meta: None,
            value: None,
            marked: None,
            missing: 0,
            secret: None,
        }
    }

    /// The revision that listed one of its records.
    fn listed(&self, which: Option<Which>) -> Revision {
        match (self.rewrapped, &self.live.marks, which) {
            (Some(revision), ..) => revision,
            (None, Some(marks), Some(_)) => marks.revision,
            _ => self.live.revision,
        }
    }

    /// Whether it may be of that kind.
    fn may_be(&self, kind: Kind) -> Result<(), IntegrityError> {
        match (&self.secret, &self.live.marks) {
            _ if kind == Kind::Secret => Ok(()),
            (Some(due), _) => Err(due.otherwise.at(due.revision)),
            (None, Some(marks)) if self.stays => Err(Break::Contradiction.at(marks.revision)),
            (None, _) => Ok(()),
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

/// Whose a record is, by its hash.
pub(super) struct Slots<'a> {
    wanted: &'a [Hash],
    /// The first position of each hash in `wanted`.
    firsts: HashIndex,
}

/// The other positions by the first: of a record that is listed more than once, which no vault makes.
pub(super) type Twins = HashMap<u32, Vec<u32>>;

impl<'a> Slots<'a> {
    /// Those of all that is wanted.
    pub(super) fn of(wanted: &'a [Hash]) -> (Self, Twins) {
        let mut firsts = HashIndex::with_capacity(wanted.len());
        let mut twins = Twins::new();
        for (position, hash) in (0..).zip(wanted) {
            let first = firsts.insert(hash, position, |position| at(wanted, position));
            if first != position {
                twins.entry(first).or_default().push(position);
            }
        }
        (Self { wanted, firsts }, twins)
    }

    /// Where a record was first wanted, if it was.
    pub(super) fn find(&self, hash: &Hash) -> Option<u32> {
        self.firsts.find(hash, |position| at(self.wanted, position))
    }
}

/// A snapshot whose entries are being filled in.
pub(super) struct Filling<'a> {
    next: &'a mut Snapshot,
    parts: Vec<Part>,
    /// Whose the records are that are no part's metadata or value.
    marked: &'a [(usize, Which)],
    twins: Twins,
    /// What is due, by its position in `wanted`, and did not come yet.
    due: BTreeMap<usize, Due>,
    changes: Option<&'a mut Vec<Changed>>,
}

impl<'a> Filling<'a> {
    /// Wanted are the metadata and value of all `parts` in turn, then the records of `marked`, then those of `due`;
    /// `changes` takes what changed.
    pub(super) fn new(
        next: &'a mut Snapshot,
        parts: Vec<Part>,
        twins: Twins,
        marked: &'a [(usize, Which)],
        due: BTreeMap<usize, Due>,
        changes: Option<&'a mut Vec<Changed>>,
    ) -> Self {
        Self {
            next,
            parts,
            marked,
            twins,
            due,
            changes,
        }
    }

    /// Takes the record that was first wanted at `slot`, for all whose it is: what it is to one of them says
    /// nothing of the others.
    pub(super) fn take(
        &mut self,
        slot: u32,
        record: Result<Checked<'_>, Break>,
    ) -> Result<(), IntegrityError> {
        for other in self.twins.remove(&slot).unwrap_or_default() {
            self.give(other, record)?;
        }
        self.give(slot, record)
    }

    /// Gives a record to the one at `slot`; when it is an entry's last, the entry is placed.
    fn give(&mut self, slot: u32, record: Result<Checked<'_>, Break>) -> Result<(), IntegrityError> {
        let Ok(slot) = usize::try_from(slot) else {
            return Ok(());
        };
        if let Some(due) = self.due.remove(&slot) {
            let checked = record.and_then(|record| self.check(&due, record));
            return checked.map_err(|what| what.at(due.revision));
        }
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
        let revision = part.listed(which);
        let fail = |what: Break| what.at(revision);
        let record = record.map_err(fail)?;
        if is_meta {
            let (store, keyring) = (self.next.state.store(), &self.next.keyring);
            let directory = &self.next.directory;
            let meta = directory.description(store, part.live.compartment, part.id, |context| {
                record.open(keyring, context)
            });
            let meta = meta.map_err(fail)?;
            part.may_be(meta.kind)?;
            part.meta = Some(Box::new(meta));
        } else if let Some(which) = which {
            if matches!(which, Which::Rotation) {
                // No value, and needed by whoever goes on with it.
                let context = rotation_context(self.next.state.store(), part.live.compartment, part.id);
                record.open(&self.next.keyring, &context).map_err(fail)?;
            }
            part.mark(which, record.keep());
        } else {
            part.value = Some(record.keep());
        }
        let Some((meta, value)) = part.complete() else {
            return Ok(());
        };
        let marked = part.marked.take();
        let (before, after) =
            place(self.next, part, *meta, value, marked).map_err(|what| what.at(part.listed(None)))?;
        if let Some(changes) = &mut self.changes {
            changes.extend(changed(before.as_ref(), after.as_ref()));
        }
        Ok(())
    }

    /// Whether a record that no entry has any more was what it had to be.
    fn check(&self, due: &Due, record: Checked<'_>) -> Result<(), Break> {
        let (store, keyring) = (self.next.state.store(), &self.next.keyring);
        match due.what {
            What::Rotation => {
                let context = rotation_context(store, due.compartment, due.entry);
                record.open(keyring, &context).map(drop)
            }
            What::Secret => {
                let directory = &self.next.directory;
                let open = |context: &_| record.open(keyring, context);
                let meta = directory.description(store, due.compartment, due.entry, open)?;
                if meta.kind == Kind::Secret {
                    Ok(())
                } else {
                    Err(due.otherwise)
                }
            }
        }
    }

    /// Refuses when an entry's records did not all come.
    pub(super) fn end(self) -> Result<(), IntegrityError> {
        if let Some(part) = self.parts.iter().find(|part| !part.is_placed) {
            let which = (part.missing > 0).then_some(Which::Pending);
            return Err(Break::MissingObject.at(part.listed(which)));
        }
        match self.due.values().next() {
            Some(due) => Err(Break::MissingObject.at(due.revision)),
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
) -> Result<(Before, After), Break> {
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
        schema: OnceLock::new(),
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
