//! The stream of revisions to watchers: owns where each watcher is, and telling everyone who
//! waits. One feed belongs to one worker, so its lock is never contended. It must not know HTTP.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use super::event::{self, Event};
use super::ring::{Begin, Form, Place, Ring, Update, View};
use super::stream;

/// Watchers that are told before other tasks of the worker have a turn.
const BATCH: usize = 64;

/// One worker's feed.
#[derive(Debug)]
pub struct Feed(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    ring: Ring,
    slots: Vec<Option<Slot>>,
    free: Vec<usize>,
}

/// One watcher.
#[derive(Debug)]
struct Slot {
    place: Place,
    /// Its task, while it waits.
    waiting: Option<Waker>,
    /// Where events are written at once while it waits, without its task.
    socket: Option<Arc<OwnedFd>>,
    /// What the socket did not take.
    rest: Bytes,
}

/// One watcher's end of the feed.
#[derive(Debug)]
pub struct Cursor {
    feed: Arc<Feed>,
    slot: usize,
    /// What is sent before anything else.
    first: Option<Event>,
}

impl Feed {
    /// A feed of a sidecar that serves `revision`, of which its machine says something if `is_overridden`.
    #[must_use]
    pub fn new(revision: u64, is_overridden: bool) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Inner {
            ring: Ring::new(revision, is_overridden),
            slots: Vec::new(),
            free: Vec::new(),
        })))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an update; [`Self::announce`] it.
    pub fn push(&self, update: Arc<Update>) {
        self.lock().ring.push(update);
    }

    /// Adds a sign of life; [`Self::announce`] it.
    pub fn beat(&self) {
        self.lock().ring.beat();
    }

    /// Ends every stream; [`Self::announce`] it.
    pub fn close(&self) {
        self.lock().ring.close();
    }

    /// Tells every watcher what it does not know, and lets other tasks run meanwhile.
    pub async fn announce(&self) {
        let mut from = 0;
        while self.tell(from) {
            from = from.saturating_add(BATCH);
            tokio::task::yield_now().await;
        }
    }

    /// Tells a batch of watchers; false when there are no more.
    fn tell(&self, from: usize) -> bool {
        let mut inner = self.lock();
        let Inner { ring, slots, .. } = &mut *inner;
        let batch = slots.iter_mut().skip(from).take(BATCH);
        batch.flatten().for_each(|slot| slot.tell(ring));
        from.saturating_add(BATCH) < slots.len()
    }

    /// A new watcher with its view, which saw `last` before.
    #[must_use]
    pub fn watch(self: &Arc<Self>, view: View, last: Option<u64>) -> Cursor {
        let mut inner = self.lock();
        let form = view.form;
        let (place, begin) = inner.ring.place(view, last);
        let revision = inner.ring.revision();
        let first = match (form, begin) {
            (_, Begin::Resumed) => None,
            (Form::Changes, Begin::Unchanged) => Some(event::unchanged(revision)),
            (Form::Changes, Begin::Resync) => Some(event::resync(revision)),
            // who connects evaluates by itself
            (Form::Refetch, _) if last.is_none() => None,
            (Form::Refetch, Begin::Unchanged) => None,
            (Form::Refetch, Begin::Resync) => Some(event::refetch(revision)),
        };
        let new = Some(Slot {
            place,
            waiting: None,
            socket: None,
            rest: Bytes::new(),
        });
        let slot = match inner.free.pop() {
            Some(free) => {
                if let Some(slot) = inner.slots.get_mut(free) {
                    *slot = new;
                }
                free
            }
            None => {
                inner.slots.push(new);
                inner.slots.len().saturating_sub(1)
            }
        };
        drop(inner);
        Cursor {
            feed: Arc::clone(self),
            slot,
            first,
        }
    }
}

impl Slot {
    /// Writes what is new, or wakes the task to do it. A watcher that does not wait asks by itself.
    fn tell(&mut self, ring: &Ring) {
        let Some(task) = self.waiting.take() else { return };
        let Some(socket) = &self.socket else {
            return task.wake();
        };
        while let Poll::Ready(next) = ring.next(&mut self.place) {
            let Some(event) = next else {
                return task.wake();
            };
            let chunk = event.into_chunk();
            let sent = stream::send(socket, &chunk).unwrap_or(0);
            if sent < chunk.len() {
                // the task finds out why, and waits for the socket
                self.rest = chunk.slice(sent..);
                return task.wake();
            }
        }
        self.waiting = Some(task);
    }
}

impl Cursor {
    /// The next event; `None` when the stream has ended.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Event>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(first));
        }
        let mut inner = self.feed.lock();
        let Inner { ring, slots, .. } = &mut *inner;
        let Some(Some(slot)) = slots.get_mut(self.slot) else {
            return Poll::Ready(None);
        };
        if !slot.rest.is_empty() {
            let rest = std::mem::take(&mut slot.rest);
            return Poll::Ready(Some(Event::rest(rest)));
        }
        let next = ring.next(&mut slot.place);
        match &slot.waiting {
            _ if next.is_ready() => slot.waiting = None,
            Some(task) if task.will_wake(context.waker()) => {}
            _ => slot.waiting = Some(context.waker().clone()),
        }
        next
    }

    /// Lets events be written to `socket`, as chunks, whenever the watcher waits for one: its task
    /// gets only what the socket does not take at once.
    pub(super) fn write_to(&mut self, socket: Arc<OwnedFd>) {
        if let Some(Some(slot)) = self.feed.lock().slots.get_mut(self.slot) {
            slot.socket = Some(socket);
        }
    }
}

impl Drop for Cursor {
    fn drop(&mut self) {
        let mut inner = self.feed.lock();
        if let Some(slot) = inner.slots.get_mut(self.slot) {
            *slot = None;
        }
        inner.free.push(self.slot);
    }
}
