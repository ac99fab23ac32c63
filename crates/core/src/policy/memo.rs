//! Decisions that were made already: owns remembering them for one snapshot. It must not decide.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

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

/// The decisions about the entries of one snapshot by the policies of one environment. The next
/// snapshot has its own: its entries may have other labels.
#[derive(Debug)]
pub struct Decisions {
    policies: Arc<Policies>,
    shards: [RwLock<Shard>; SHARDS],
}

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
        if shard.len() >= SHARD {
            shard.clear();
        }
        let known = Known {
            decision: Arc::clone(&decision),
            second,
        };
        shard.insert(key, known);
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
