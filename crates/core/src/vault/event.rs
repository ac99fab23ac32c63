//! The watch: owns what is told to those who follow a vault.

use std::sync::Arc;

use tokio::sync::broadcast;

use crate::ambient::Timestamp;
use crate::id::Revision;
use crate::snapshot::Changed;

/// Events a slow watcher may fall behind before it misses some.
pub(super) const BACKLOG: usize = 256;

/// What a watch delivers.
#[derive(Clone, Debug)]
pub enum Event {
    /// A new snapshot is in place.
    Revised(Arc<Revised>),
    /// The store holds a revision that was refused; the last good one stays.
    Refused {
        /// Why.
        reason: Arc<str>,
    },
    /// The store is out of reach since this time; the last good snapshot stays.
    StoreLost {
        /// Since when.
        since: Timestamp,
        /// Why.
        reason: Arc<str>,
    },
    /// The store is back, or good again after a refusal.
    StoreBack,
    /// This watcher was too slow and missed events: compare with the current snapshot.
    Lagged,
}

/// One applied step, possibly of several commits.
#[derive(Clone, Debug)]
pub struct Revised {
    /// The snapshot that is in place now.
    pub revision: Revision,
    /// The revision before it.
    pub from: Revision,
    /// What changed between the two.
    pub changes: Vec<Changed>,
}

/// A stream of events; dropped, it ends.
#[derive(Debug)]
pub struct Watch(pub(super) broadcast::Receiver<Event>);

impl Watch {
    /// The next event; `None` when the vault is gone.
    pub async fn next(&mut self) -> Option<Event> {
        match self.0.recv().await {
            Ok(event) => Some(event),
            Err(broadcast::error::RecvError::Lagged(_)) => Some(Event::Lagged),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }

    /// The next event, blocking this thread; not for async contexts.
    pub fn next_blocking(&mut self) -> Option<Event> {
        match self.0.blocking_recv() {
            Ok(event) => Some(event),
            Err(broadcast::error::RecvError::Lagged(_)) => Some(Event::Lagged),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }

    /// The next event that is already there, without waiting.
    pub fn try_next(&mut self) -> Option<Event> {
        match self.0.try_recv() {
            Ok(event) => Some(event),
            Err(broadcast::error::TryRecvError::Lagged(_)) => Some(Event::Lagged),
            Err(_) => None,
        }
    }
}

/// How current the snapshot is.
#[derive(Clone, Debug, Default)]
pub struct Freshness {
    /// Since when the store is out of reach, if it is.
    pub stale_since: Option<Timestamp>,
    /// Why the store's newest revision was refused, if it was.
    pub refused: Option<Arc<str>>,
}
