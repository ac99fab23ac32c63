//! Building: owns the step from one snapshot to the next. Applying a commit costs what it
//! changed, not what is stored: all maps are persistent and share what stays the same.
//! A full build is the same step from the empty snapshot.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::{Arc, mpsc};
use std::{mem, thread};

use super::delta::Delta;
use super::directory::{self, Directory};
use super::fill::{self, Filling, Part, changed};
use super::{Changed, Snapshot};
use crate::commit::{IntegrityError, Live, Sealed, State};
use crate::crypto::keyring::Keyring;
use crate::id::{Hash, MemberId, PersistentMap};

/// Records from which on a second thread is worth its start.
const SIDE_BY_SIDE: usize = 4096;
/// Records handed over at once.
const BATCH: usize = 256;
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
    pub(crate) fn build<E: From<IntegrityError>>(
        state: State,
        me: MemberId,
        keyring: Arc<Keyring>,
        delta: &Delta,
        fetch: &mut dyn Fetch<E>,
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
    fn fill<E: From<IntegrityError>>(
        &mut self,
        mut parts: Vec<Part>,
        delta: &Delta,
        changes: Option<&mut Vec<Changed>>,
        fetch: &mut dyn Fetch<E>,
    ) -> Result<(), E> {
        // Stores keep what one commit brought side by side: in this order memory is walked, not
        // jumped through.
        parts.sort_unstable_by_key(Part::revision);
        let mut wanted: Vec<_> = parts.iter().flat_map(Part::wanted).collect();
        let marked = fill::marked(&mut parts, &mut wanted);
        let due = fill::due(&mut parts, delta, &self.keyring, &mut wanted);
        let mut filling = Filling::new(self, parts, &wanted, &marked, due, changes);
        if wanted.len() < SIDE_BY_SIDE || !side_by_side(&wanted, fetch, &mut filling)? {
            fetch.fetch(&wanted, &mut |hash, bytes| {
                filling.take(hash, Sealed::check(hash, bytes))
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

/// Reads and checks records on this thread while another one fills them in; false when there is
/// no other thread to be had, and then nothing was done.
fn side_by_side<E: From<IntegrityError>>(
    wanted: &[Hash],
    fetch: &mut dyn Fetch<E>,
    filling: &mut Filling<'_>,
) -> Result<bool, E> {
    let (give, given) = mpsc::sync_channel::<Vec<_>>(BATCHES);
    thread::scope(|scope| {
        let fill = move || {
            let mut records = given.iter().flatten();
            records.try_for_each(|(hash, sealed)| filling.take(hash, sealed))
        };
        let Ok(filler) = thread::Builder::new()
            .name("fill".to_owned())
            .spawn_scoped(scope, fill)
        else {
            return Ok(false);
        };
        let mut batch = Vec::with_capacity(BATCH);
        let fetched = fetch.fetch(wanted, &mut |hash, bytes| {
            batch.push((hash, Sealed::check(hash, bytes)));
            if batch.len() == BATCH {
                // Nobody takes it when a record was refused; the filler says so in the end.
                let _ = give.send(mem::replace(&mut batch, Vec::with_capacity(BATCH)));
            }
            Ok(())
        });
        let _ = give.send(batch);
        drop(give);
        filler
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        fetched.map(|()| true)
    })
}

fn by_name(a: &Changed, b: &Changed) -> Ordering {
    (&a.environment, &a.path).cmp(&(&b.environment, &b.path))
}
