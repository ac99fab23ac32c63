//! Records that wait to be written: owns a bounded queue of them. It must not write.

use std::sync::atomic::{AtomicUsize, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::ticket::Ticket;

/// Bytes that may wait.
const MOST: usize = 4 << 20;

/// The bodies of the lines of one answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Bodies {
    pub(super) bytes: Vec<u8>,
    pub(super) ends: Vec<usize>,
}

impl Bodies {
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().map(move |end| {
            let body = self.bytes.get(start..*end).unwrap_or_default();
            start = *end;
            body
        })
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// Appends what `encode` writes as one body.
    pub(super) fn push(&mut self, encode: impl FnOnce(&mut Vec<u8>)) {
        encode(&mut self.bytes);
        self.ends.push(self.bytes.len());
    }
}

/// What one caller waits for.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) bodies: Bodies,
    pub(super) ticket: Arc<Ticket>,
}

/// The queue.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    count: AtomicUsize,
}

#[derive(Debug, Default)]
struct Waiting {
    items: Vec<Item>,
    bytes: usize,
}

impl Queue {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// False when there is no room.
    pub(super) fn push(&self, item: Item) -> bool {
        let mut waiting = self.waiting();
        let bytes = waiting.bytes.saturating_add(item.bodies.bytes.len());
        // one that is larger than the queue passes when it is alone
        if bytes > MOST && !waiting.items.is_empty() {
            return false;
        }
        waiting.bytes = bytes;
        waiting.items.push(item);
        self.count.store(waiting.items.len(), Ordering::SeqCst);
        drop(waiting);
        // before the writer's lock is tried: either its holder sees this item, or it is free
        fence(Ordering::SeqCst);
        true
    }

    /// True when nothing waits; asked after the writer's lock was given back.
    pub(super) fn is_empty(&self) -> bool {
        fence(Ordering::SeqCst);
        self.count.load(Ordering::SeqCst) == 0
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Everything that waits and is still wanted.
    pub(super) fn take(&self) -> Vec<Item> {
        let mut waiting = self.waiting();
        let mut items = std::mem::take(&mut waiting.items);
        waiting.bytes = 0;
        self.count.store(0, Ordering::SeqCst);
        drop(waiting);
        items.retain(|item| item.ticket.is_wanted());
        items
    }
}
