//! A store in memory with fault injection, for tests of everything above a store. It keeps the
//! same promises as a file and must not know what the bytes mean.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{
    AppendError, Head, MAX_REPORTS, Store, StoreError, StoreWatch, StoredCommit, StoredObject, StoredReport,
    Wake, Waker, fits, follows,
};
use crate::id::{Hash, Revision};

const LOCATION: &str = "memory";

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The next read fails as unreachable.
    Read,
    /// The next append fails and nothing is stored.
    AppendLost,
    /// The next append is stored, then reported as failed.
    AppendUnacknowledged,
}

/// A store in memory; clones share it, as processes share a file.
#[derive(Clone, Default)]
pub struct MemoryStore {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    commits: Vec<StoredCommit>,
    objects: Vec<StoredObject>,
    /// Where in `objects` a hash is.
    index: HashMap<Hash, usize>,
    checkpoint: Option<Vec<u8>>,
    checkpoint_revision: Revision,
    reports: BTreeMap<[u8; 32], StoredReport>,
    /// Counts calls that changed reports, for watchers.
    reported: u64,
    /// Counts appends and tampering, for watchers.
    generation: u64,
    /// Faults that have not struck yet, oldest first.
    armed: Vec<Fault>,
}

impl State {
    fn head(&self) -> Option<Head> {
        self.commits.last().map(|commit| commit.head)
    }

    fn strike(&mut self, fault: Fault) -> Result<(), StoreError> {
        match self.armed.iter().position(|armed| *armed == fault) {
            None => Ok(()),
            Some(at) => {
                self.armed.remove(at);
                Err(StoreError::Unreachable {
                    location: LOCATION.to_owned(),
                    reason: format!("fault injected: {fault:?}"),
                })
            }
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reading(&self) -> Result<MutexGuard<'_, State>, StoreError> {
        let mut state = self.lock();
        state.strike(Fault::Read)?;
        Ok(state)
    }
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Arms one fault; it strikes the next matching call once. Several may be armed at a time.
    pub fn arm(&self, fault: Fault) {
        self.shared.lock().armed.push(fault);
    }

    /// Changes stored bytes behind the reader's back, as a hostile storage would, and wakes
    /// watchers. `f` gets commits in order, objects, and the checkpoint.
    pub fn tamper(
        &self,
        f: impl FnOnce(&mut Vec<StoredCommit>, &mut Vec<StoredObject>, &mut Option<Vec<u8>>),
    ) {
        let mut guard = self.shared.lock();
        let state = &mut *guard;
        f(&mut state.commits, &mut state.objects, &mut state.checkpoint);
        state.index = state
            .objects
            .iter()
            .enumerate()
            .map(|(at, object)| (object.hash, at))
            .collect();
        if state.checkpoint.is_none() {
            state.checkpoint_revision = Revision::default();
        }
        state.generation = state.generation.wrapping_add(1);
        drop(guard);
        self.shared.changed.notify_all();
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.lock();
        f.debug_struct("MemoryStore")
            .field("head", &state.head())
            .field("objects", &state.objects.len())
            .field("armed", &state.armed)
            .finish()
    }
}

impl Store for MemoryStore {
    fn location(&self) -> String {
        LOCATION.to_owned()
    }

    fn head(&self) -> Result<Option<Head>, StoreError> {
        Ok(self.shared.reading()?.head())
    }

    fn commits(&self, from: Revision, limit: usize) -> Result<Vec<StoredCommit>, StoreError> {
        let state = self.shared.reading()?;
        let from_there = state.commits.iter().filter(|commit| commit.head.revision >= from);
        Ok(from_there.take(limit).cloned().collect())
    }

    fn objects(&self, wanted: &[Hash], each: &mut dyn FnMut(Hash, &[u8]) -> bool) -> Result<(), StoreError> {
        let state = self.shared.reading()?;
        let mut seen = HashSet::with_capacity(wanted.len());
        for hash in wanted {
            let found = state.index.get(hash).and_then(|at| state.objects.get(*at));
            if let Some(object) = found
                && seen.insert(*hash)
                && !each(*hash, &object.bytes)
            {
                break;
            }
        }
        Ok(())
    }

    fn append(
        &self,
        expected: Option<Head>,
        commit: &StoredCommit,
        objects: &[StoredObject],
    ) -> Result<(), AppendError> {
        follows(LOCATION, expected, commit)?;
        let mut guard = self.shared.lock();
        let state = &mut *guard;
        state.strike(Fault::AppendLost)?;
        if state.head() != expected {
            return Err(AppendError::Conflict { head: state.head() });
        }
        for object in objects {
            let end = state.objects.len();
            if *state.index.entry(object.hash).or_insert(end) == end {
                state.objects.push(object.clone());
            }
        }
        state.commits.push(commit.clone());
        state.generation = state.generation.wrapping_add(1);
        let acknowledged = state.strike(Fault::AppendUnacknowledged);
        drop(guard);
        self.shared.changed.notify_all();
        Ok(acknowledged?)
    }

    fn checkpoint(&self) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.shared.reading()?.checkpoint.clone())
    }

    fn put_checkpoint(&self, revision: Revision, bytes: &[u8]) -> Result<(), StoreError> {
        let mut state = self.shared.lock();
        if state.checkpoint.is_none() || state.checkpoint_revision <= revision {
            state.checkpoint = Some(bytes.to_vec());
            state.checkpoint_revision = revision;
        }
        Ok(())
    }

    fn watch(&self) -> Result<Box<dyn StoreWatch>, StoreError> {
        Ok(self.watching(|state| state.generation))
    }

    fn put_reports(&self, reports: &[StoredReport]) -> Result<(), StoreError> {
        fits(LOCATION, reports)?;
        let mut guard = self.shared.lock();
        let state = &mut *guard;
        let mut changed = false;
        for report in reports {
            let kept = state.reports.get(&report.slot);
            if kept.is_none_or(|kept| kept.counter < report.counter) {
                state.reports.insert(report.slot, report.clone());
                changed = true;
            }
        }
        while state.reports.len() > MAX_REPORTS {
            let lowest = state.reports.values().min_by_key(|report| report.counter);
            let Some(slot) = lowest.map(|report| report.slot) else {
                break;
            };
            state.reports.remove(&slot);
        }
        state.reported = state.reported.wrapping_add(u64::from(changed));
        drop(guard);
        self.shared.changed.notify_all();
        Ok(())
    }

    fn drop_reports(&self, reports: &[([u8; 32], u64)]) -> Result<(), StoreError> {
        let mut guard = self.shared.lock();
        let before = guard.reports.len();
        guard
            .reports
            .retain(|slot, kept| !reports.contains(&(*slot, kept.counter)));
        let changed = guard.reports.len() != before;
        guard.reported = guard.reported.wrapping_add(u64::from(changed));
        drop(guard);
        self.shared.changed.notify_all();
        Ok(())
    }

    fn reports(&self) -> Result<Vec<StoredReport>, StoreError> {
        Ok(self.shared.reading()?.reports.values().cloned().collect())
    }

    fn reports_place(&self) -> Option<(u64, u64)> {
        Some((0, 0))
    }

    fn watch_reports(&self) -> Result<Box<dyn StoreWatch>, StoreError> {
        Ok(self.watching(|state| state.reported))
    }
}

impl MemoryStore {
    fn watching(&self, count: fn(&State) -> u64) -> Box<dyn StoreWatch> {
        let seen = count(&self.shared.lock());
        Box::new(MemoryWatch {
            shared: Arc::clone(&self.shared),
            count,
            seen,
            woken: Arc::default(),
        })
    }
}

struct MemoryWatch {
    shared: Arc<Shared>,
    /// What is counted that it waits for.
    count: fn(&State) -> u64,
    seen: u64,
    woken: Arc<AtomicBool>,
}

impl StoreWatch for MemoryWatch {
    fn wait(&mut self, timeout: Duration) -> Result<Wake, StoreError> {
        let guard = self.shared.lock();
        let (state, _) = self
            .shared
            .changed
            .wait_timeout_while(guard, timeout, |state| {
                (self.count)(state) == self.seen && !self.woken.load(Ordering::Acquire)
            })
            .unwrap_or_else(PoisonError::into_inner);
        if self.woken.swap(false, Ordering::AcqRel) || (self.count)(&state) == self.seen {
            return Ok(Wake::Idle);
        }
        self.seen = (self.count)(&state);
        Ok(Wake::Changed)
    }

    fn waker(&self) -> Box<dyn Waker> {
        Box::new(MemoryWaker {
            shared: Arc::clone(&self.shared),
            woken: Arc::clone(&self.woken),
        })
    }
}

struct MemoryWaker {
    shared: Arc<Shared>,
    woken: Arc<AtomicBool>,
}

impl Waker for MemoryWaker {
    fn wake(&self) {
        // Under the lock, or a wait between its test and its sleep would miss it.
        let state = self.shared.lock();
        self.woken.store(true, Ordering::Release);
        drop(state);
        self.shared.changed.notify_all();
    }
}
