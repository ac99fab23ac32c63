//! Decisions that were made already: owns remembering them for one snapshot. It must not decide.
//! All threads share one memory; before it each has a small one of its own, since a count of who
//! reads, and of who has an answer, is slow where several threads change it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use foldhash::fast::RandomState;

use super::action::Action;
use super::principal::Prepared;
use super::{Decision, Policies};
use crate::ambient::Timestamp;
use crate::id::{EntryId, Hash};
use crate::snapshot::Entry;

/// Parts that are locked apart, so that workers do not wait for each other.
const SHARDS: usize = 16;
/// Most decisions of one part; a part that is full begins anew.
const SHARD: usize = 2048;
/// Memories of single threads; with more threads some share one.
const FRONTS: usize = 8;
/// Most decisions of one of them.
const FRONT: usize = 256;

thread_local! {
    /// Which of the memories of threads is this one's.
    static FRONT_OF: usize = {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        THREADS.fetch_add(1, Ordering::Relaxed) % FRONTS
    };
}

/// The decisions about the entries of one snapshot by the policies of one environment. The next
/// snapshot has its own: its entries may have other labels.
#[derive(Debug)]
pub struct Decisions {
    policies: Arc<Policies>,
    fronts: [Front; FRONTS],
    shards: [RwLock<Shard>; SHARDS],
}

/// What one thread asked for; in cache lines that no other thread writes.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Front(Mutex<Shard>);

type Shard = HashMap<Key, Known, RandomState>;

/// Who, what, and with which entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key(Hash, Action, EntryId);

#[derive(Debug)]
struct Known {
    decision: Arc<Decision>,
    /// The second it is for, when time matters to it.
    second: Option<u64>,
}

impl Decisions {
    /// No decisions yet.
    #[must_use]
    pub fn new(policies: Arc<Policies>) -> Self {
        Self {
            policies,
            fronts: Default::default(),
            shards: Default::default(),
        }
    }

    /// The policies that decide.
    #[must_use]
    pub fn policies(&self) -> &Arc<Policies> {
        &self.policies
    }

    /// Whether `principal` may do `action` with `entry` of this snapshot, as
    /// [`Policies::decide`] has it. Where time matters an answer is remembered for its second.
    #[must_use]
    pub fn decide(
        &self,
        principal: &Prepared,
        action: Action,
        entry: &Entry,
        now: Timestamp,
    ) -> Arc<Decision> {
        let key = Key(principal.identity, action, entry.id);
        let second = self.policies.is_timed(action).then_some(now.0 / 1000);
        let Some(Front(front)) = self.fronts.get(FRONT_OF.with(|front| *front)) else {
            return self.shared(key, second, principal, action, entry, now);
        };
        let known = front.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get(&key).filter(|known| known.second == second) {
            return Arc::clone(&known.decision);
        }
        drop(known);
        // a copy, since what all have is counted by all
        let decision = Arc::new(Decision::clone(
            &self.shared(key, second, principal, action, entry, now),
        ));
        let known = Known {
            decision: Arc::clone(&decision),
            second,
        };
        let mut front = front.lock().unwrap_or_else(PoisonError::into_inner);
        put(&mut front, key, known, FRONT);
        decision
    }

    fn shared(
        &self,
        key: Key,
        second: Option<u64>,
        principal: &Prepared,
        action: Action,
        entry: &Entry,
        now: Timestamp,
    ) -> Arc<Decision> {
        // An id is a hash: any part of it spreads.
        let [byte, ..] = entry.id.0;
        let Some(shard) = self.shards.get(usize::from(byte) % SHARDS) else {
            return Arc::new(self.policies.decide(principal, action, entry.into(), now));
        };
        let known = shard.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get(&key).filter(|known| known.second == second) {
            return Arc::clone(&known.decision);
        }
        drop(known);
        // Not under the lock: two who ask at once decide twice, and alike.
        let decision = Arc::new(self.policies.decide(principal, action, entry.into(), now));
        let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
        let known = Known {
            decision: Arc::clone(&decision),
            second,
        };
        put(&mut shard, key, known, SHARD);
        decision
    }

    /// The number of decisions remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        let len = |shard: &RwLock<Shard>| shard.read().unwrap_or_else(PoisonError::into_inner).len();
        self.shards.iter().map(len).sum()
    }

    /// True when nothing was asked yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn put(known: &mut Shard, key: Key, decision: Known, most: usize) {
    if known.len() >= most {
        known.clear();
    }
    known.insert(key, decision);
}
