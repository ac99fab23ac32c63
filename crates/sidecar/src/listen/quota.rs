//! How many connections there are: owns the count of all and of each uid. Those whose uid nobody knows count as of one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

/// How often a full house is looked at again: its size may have changed.
const LOOK: Duration = Duration::from_millis(500);

/// Counts connections.
#[derive(Debug, Default)]
pub struct Quota {
    counts: Mutex<Counts>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    of_uid: HashMap<Option<u32>, usize>,
}

impl Quota {
    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there are fewer than `most` connections, which a reload may change meanwhile.
    /// Of several that wait one is told at once, the others when they look again.
    pub(super) async fn wait_for_room(&self, most: impl Fn() -> usize) {
        while self.lock().all >= most() {
            // in vain or not, it looks again
            let _ = tokio::time::timeout(LOOK, self.freed.notified()).await;
        }
    }

    /// Counts one more connection of `uid`, unless it has `most`.
    pub(super) fn admit(self: &Arc<Self>, uid: Option<u32>, most: usize) -> Option<Permit> {
        let mut counts = self.lock();
        let of_uid = counts.of_uid.entry(uid).or_insert(0);
        if *of_uid >= most {
            return None;
        }
        *of_uid = of_uid.saturating_add(1);
        counts.all = counts.all.saturating_add(1);
        Some(Permit {
            quota: Arc::clone(self),
            uid,
        })
    }
}

/// One counted connection; dropped, it is not counted any more.
#[derive(Debug)]
pub struct Permit {
    quota: Arc<Quota>,
    uid: Option<u32>,
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut counts = self.quota.lock();
        counts.all = counts.all.saturating_sub(1);
        if let Some(of_uid) = counts.of_uid.get_mut(&self.uid) {
            *of_uid = of_uid.saturating_sub(1);
            if *of_uid == 0 {
                counts.of_uid.remove(&self.uid);
            }
        }
        drop(counts);
        self.quota.freed.notify_one();
    }
}
