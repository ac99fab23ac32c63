//! The stream of revisions to watchers: owns the ring that resumes are served from, and waking
//! everyone who waits. One feed belongs to one worker, so its lock is never contended. It must
//! not know HTTP.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use strongroom_core::name::EntryPath;

use super::event;
use crate::change::Change;

/// Updates kept for watchers that resume or are behind.
const KEPT: usize = 256;

/// One step from a revision to another; its event is written once and shared by every watcher.
#[derive(Debug)]
pub struct Update {
    /// The revision that is served since.
    pub revision: u64,
    /// The revision that was served before.
    pub from: u64,
    /// What changed; `None` when it is too much to list or not known.
    pub changes: Option<Vec<Change>>,
    whole: OnceLock<Bytes>,
    under: Mutex<HashMap<EntryPath, Bytes>>,
}

/// A list of changes longer than this is not sent: reading everything again is cheaper.
const MOST_CHANGES: usize = 1000;

impl Update {
    /// A step.
    #[must_use]
    pub fn new(revision: u64, from: u64, changes: Vec<Change>) -> Self {
        Self {
            revision,
            from,
            changes: (changes.len() <= MOST_CHANGES).then_some(changes),
            whole: OnceLock::new(),
            under: Mutex::default(),
        }
    }

    fn event(&self, prefix: Option<&EntryPath>) -> Bytes {
        let Some(prefix) = prefix else {
            return self.whole.get_or_init(|| event::step(self, None)).clone();
        };
        let mut under = self.under.lock().unwrap_or_else(PoisonError::into_inner);
        let made = under
            .entry(prefix.clone())
            .or_insert_with(|| event::step(self, Some(prefix)));
        made.clone()
    }
}

/// One worker's feed.
#[derive(Debug)]
pub struct Feed(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    /// The newest revision.
    revision: u64,
    /// The last updates, oldest first.
    ring: VecDeque<Arc<Update>>,
    /// The number of the update after the last one of the ring.
    next: u64,
    /// How many keep-alives there were.
    beats: u64,
    closed: bool,
    wakers: Vec<Option<Waker>>,
    free: Vec<usize>,
}

/// Where one watcher is.
#[derive(Debug)]
pub struct Cursor {
    feed: Arc<Feed>,
    prefix: Option<EntryPath>,
    next: u64,
    beats: u64,
    slot: Option<usize>,
    /// What is sent before anything else.
    first: Option<Bytes>,
}

impl Feed {
    /// A feed of a sidecar that serves `revision`.
    #[must_use]
    pub fn new(revision: u64) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Inner {
            revision,
            ring: VecDeque::new(),
            next: 0,
            beats: 0,
            closed: false,
            wakers: Vec::new(),
            free: Vec::new(),
        })))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends an update to everyone.
    pub fn push(&self, update: Arc<Update>) {
        let mut inner = self.lock();
        if inner.ring.len() >= KEPT {
            inner.ring.pop_front();
        }
        inner.revision = update.revision;
        inner.ring.push_back(update);
        inner.next = inner.next.wrapping_add(1);
        inner.wake();
    }

    /// Sends everyone a sign of life.
    pub fn beat(&self) {
        let mut inner = self.lock();
        inner.beats = inner.beats.wrapping_add(1);
        inner.wake();
    }

    /// Ends every stream.
    pub fn close(&self) {
        let mut inner = self.lock();
        inner.closed = true;
        inner.wake();
    }

    /// A new watcher, which saw `last` before and wants changes under `prefix`.
    #[must_use]
    pub fn watch(self: &Arc<Self>, prefix: Option<EntryPath>, last: Option<u64>) -> Cursor {
        let inner = self.lock();
        let oldest = inner.next.wrapping_sub(inner.ring.len() as u64);
        // the update that leads away from what was seen; one that covers it lists a little more
        let missed = last.and_then(|last| {
            inner
                .ring
                .iter()
                .position(|update| update.from <= last && last < update.revision)
        });
        let mut cursor = Cursor {
            feed: Arc::clone(self),
            prefix,
            next: inner.next,
            beats: inner.beats,
            slot: None,
            first: None,
        };
        match missed {
            Some(position) => cursor.next = oldest.wrapping_add(position as u64),
            None if last == Some(inner.revision) => cursor.first = Some(event::unchanged(inner.revision)),
            None => cursor.first = Some(event::resync(inner.revision)),
        }
        drop(inner);
        cursor
    }
}

impl Inner {
    fn wake(&self) {
        self.wakers.iter().flatten().for_each(Waker::wake_by_ref);
    }
}

impl Cursor {
    /// The next bytes of the stream; `None` when it has ended.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(first));
        }
        let mut inner = self.feed.lock();
        let behind = inner.next.wrapping_sub(self.next);
        let kept = inner.ring.len() as u64;
        if behind > kept {
            // too slow: what was dropped is told, then where things stand
            self.next = inner.next;
            return Poll::Ready(Some(event::lagged(behind, inner.revision)));
        }
        if behind > 0 {
            let position = usize::try_from(kept.wrapping_sub(behind)).unwrap_or(usize::MAX);
            if let Some(update) = inner.ring.get(position).cloned() {
                self.next = self.next.wrapping_add(1);
                self.beats = inner.beats;
                drop(inner);
                return Poll::Ready(Some(update.event(self.prefix.as_ref())));
            }
        }
        if inner.closed {
            return Poll::Ready(None);
        }
        if self.beats != inner.beats {
            self.beats = inner.beats;
            return Poll::Ready(Some(event::KEEP_ALIVE));
        }
        self.slot = Some(inner.register(self.slot, context.waker()));
        Poll::Pending
    }
}

impl Inner {
    /// Keeps the waker of one watcher until it leaves; a slot is reused.
    fn register(&mut self, slot: Option<usize>, waker: &Waker) -> usize {
        let slot = slot.or_else(|| self.free.pop()).unwrap_or(self.wakers.len());
        if slot >= self.wakers.len() {
            self.wakers.resize(slot.saturating_add(1), None);
        }
        if let Some(kept) = self.wakers.get_mut(slot) {
            match kept {
                Some(kept) if kept.will_wake(waker) => {}
                kept => *kept = Some(waker.clone()),
            }
        }
        slot
    }
}

impl Drop for Cursor {
    fn drop(&mut self) {
        let Some(slot) = self.slot else { return };
        let mut inner = self.feed.lock();
        if let Some(kept) = inner.wakers.get_mut(slot) {
            *kept = None;
        }
        inner.free.push(slot);
    }
}
