//! Building: owns the step from one snapshot to the next. Applying a commit costs what it
//! changed, not what is stored: all maps are persistent and share what stays the same.
//! A full build is the same step from the empty snapshot.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::{Arc, mpsc};
use std::{mem, thread};

use super::delta::Delta;
use super::directory::{self, Directory};
use super::fill::{self, Filling, Part, Slots, changed};
use super::{Changed, Snapshot};
use crate::commit::{Batch, Checked, IntegrityError, Live, Sealed, State};
use crate::crypto::keyring::Keyring;
use crate::id::{Hash, MemberId, PersistentMap};

/// Records from which on a second thread is worth its start.
const SIDE_BY_SIDE: usize = 4096;
/// Bytes handed over at once, and room for the last record of them.
const BATCH: usize = 64 * 1024;
const BATCH_ROOM: usize = BATCH + 4096;
/// Batches under way.
const BATCHES: usize = 8;

/// Takes one object as the storage has it.
pub(crate) type Take<'a> = &'a mut dyn FnMut(Hash, &[u8]) -> Result<(), IntegrityError>;

/// Fetches objects as the storage has them; absent ones are passed over. Whoever asked checks.
/// `E` is whatever reading a store can fail with.
pub(crate) trait Fetch<E> {
    fn fetch(&mut self, wanted: &[Hash], each: Take<'_>) -> Result<(), E>;
}

impl Snapshot {
    /// The whole of `state`, with what `keyring` opens; `delta` is what led to it, as far as it is
    /// still to be checked.
    pub(crate) fn build<E: From<IntegrityError> + Send>(
        state: State,
        me: MemberId,
        keyring: Arc<Keyring>,
        delta: &Delta,
        fetch: &mut (dyn Fetch<E> + Send),
    ) -> Result<Self, E> {
        let mut next = Self {
            directory: Arc::new(open_directory(&state, &keyring, fetch)?),
            state,
            me,
            keyring,
            spaces: PersistentMap::default(),
            serving: None,
        };
        let parts = next
            .state
            .entries()
            .filter(|(_, live)| next.keyring.opens(live.compartment))
            .map(|(id, live)| Part::new(*id, live, true, delta))
            .collect();
        next.fill(parts, delta, None, fetch)?;
        Ok(next)
    }

    /// This snapshot brought to `state`, which differs by `delta`, and what changed.
    pub(crate) fn apply<E: From<IntegrityError> + Send>(
        &self,
        state: State,
        delta: &Delta,
        keyring: Arc<Keyring>,
        fetch: &mut (dyn Fetch<E> + Send),
    ) -> Result<(Self, Vec<Changed>), E> {
        // Compartments that were there but closed; a new one holds nothing yet.
        let mut compartments = self.state.admin().compartments().keys();
        if compartments.any(|id| keyring.opens(*id) && !self.keyring.opens(*id)) {
            // A grant shows what was there before.
            let next = Self::build(state, self.me, keyring, delta, fetch)?;
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
                (Some(old), Some(new)) if old == new => {}
                (_, Some(new)) => parts.push(Part::new(*id, new, true, delta)),
                (Some(old), None) => parts.push(Part::new(*id, old, false, delta)),
                (None, None) => {}
            }
        }
        let mut changes = Vec::new();
        next.fill(parts, delta, Some(&mut changes), fetch)?;
        changes.sort_by(by_name);
        Ok((next, changes))
    }

    /// Fetches what `parts` need, and inserts or removes their entries.
    fn fill<E: From<IntegrityError> + Send>(
        &mut self,
        mut parts: Vec<Part>,
        delta: &Delta,
        changes: Option<&mut Vec<Changed>>,
        fetch: &mut (dyn Fetch<E> + Send),
    ) -> Result<(), E> {
        // Stores keep what one commit brought side by side: in this order memory is walked, not
        // jumped through.
        parts.sort_unstable_by_key(Part::revision);
        let mut wanted: Vec<_> = parts.iter().flat_map(Part::wanted).collect();
        let marked = fill::marked(&mut parts, &mut wanted);
        let due = fill::due(&mut parts, delta, &self.keyring, &mut wanted);
        let (slots, twins) = Slots::of(&wanted);
        let mut filling = Filling::new(self, parts, twins, &marked, due, changes);
        if wanted.len() < SIDE_BY_SIDE || !side_by_side(&wanted, &slots, fetch, &mut filling)? {
            fetch.fetch(&wanted, &mut |hash, bytes| match slots.find(&hash) {
                Some(slot) => filling.take(slot, Checked::object(hash, bytes)),
                None => Ok(()),
            })?;
        }
        Ok(filling.end()?)
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
        all.sort_by(by_name);
        all
    }
}

fn open_directory<E: From<IntegrityError> + Send>(
    state: &State,
    keyring: &Keyring,
    fetch: &mut (dyn Fetch<E> + Send),
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

/// Reads and checks records on another thread while this one fills them in; false when there is no other thread to be
/// had, and then nothing was done. What stays is allocated by this one alone: two threads that allocate and free the same
/// memory wait for each other.
fn side_by_side<E: From<IntegrityError> + Send>(
    wanted: &[Hash],
    slots: &Slots<'_>,
    fetch: &mut (dyn Fetch<E> + Send),
    filling: &mut Filling<'_>,
) -> Result<bool, E> {
    let (give, given) = mpsc::sync_channel::<Batch>(BATCHES);
    let read = move || {
        let mut batch = Batch::with_capacity(BATCH_ROOM);
        let fetched = fetch.fetch(wanted, &mut |hash, bytes| {
            if let Some(slot) = slots.find(&hash) {
                batch.push(slot, Checked::object(hash, bytes));
            }
            if batch.len() >= BATCH {
                // Nobody takes it when a record was refused; the filler says so in the end.
                let _ = give.send(mem::replace(&mut batch, Batch::with_capacity(BATCH_ROOM)));
            }
            Ok(())
        });
        let _ = give.send(batch);
        fetched
    };
    thread::scope(|scope| {
        let Ok(reader) = thread::Builder::new()
            .name("read".to_owned())
            .spawn_scoped(scope, read)
        else {
            return Ok(false);
        };
        let filled = given.iter().try_for_each(|batch| {
            let mut records = batch.records();
            records.try_for_each(|(slot, record)| filling.take(slot, record))
        });
        drop(given);
        let fetched = reader
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        filled?;
        fetched.map(|()| true)
    })
}

fn by_name(a: &Changed, b: &Changed) -> Ordering {
    (&a.environment, &a.path).cmp(&(&b.environment, &b.path))
}
