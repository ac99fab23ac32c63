//! Uptake: owns what is known of each consumer of this sidecar, which version it read and which it
//! confirmed, and handing that to the thread that reports it. Nobody who reads waits for a store. It
//! must not know HTTP.
//!
//! ```text
//! read, confirm ── Client ──┐
//! inject ───── consumers ───┴──> Table ── look ──> writer ── signed ──> store
//! ```

mod budget;
mod client;
mod found;
mod name;
mod noted;
mod reports;
mod writer;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use strongroom_core::uptake::Consumer;

pub use client::{Client, Took};
pub use noted::Noted;
pub use writer::Writer;

use crate::bell::Bell;
use crate::peer::Peer;
use name::Name;

/// Most names of clients, and most processes over all of them. Those beyond are served as everybody
/// else, and not reported.
const MOST_NAMES: usize = 1024;
const MOST_CLIENTS: usize = 4096;

/// What is known of all consumers.
#[derive(Debug, Default)]
pub struct Table {
    clients: Mutex<Clients>,
    injected: Mutex<Vec<Consumer>>,
    /// Counts the times at which reads are noted again though nothing is new.
    epoch: AtomicU64,
    bell: Bell<Sender<()>>,
    has_writer: AtomicBool,
    problem: Mutex<Option<String>>,
}

#[derive(Debug, Default)]
struct Clients {
    by_name: HashMap<String, Vec<Arc<Client>>>,
    count: usize,
    is_full: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Table {
    /// The process at the other end of a connection, which `peer` holds; nothing when there are too
    /// many already. Looked for once a connection.
    #[must_use]
    pub fn client(&self, peer: &Peer, identity: &strongroom_core::id::Hash) -> Option<Arc<Client>> {
        let workload = peer.workload_now()?;
        let name = Name::of(workload, identity).to_string();
        let mut clients = lock(&self.clients);
        let known = clients.by_name.get(&name);
        let same = known.and_then(|all| all.iter().find(|one| one.is_of(peer)));
        if let Some(same) = same {
            return Some(Arc::clone(same));
        }
        let is_new = known.is_none();
        let is_full = clients.count >= MOST_CLIENTS || (is_new && clients.by_name.len() >= MOST_NAMES);
        if is_full {
            if !std::mem::replace(&mut clients.is_full, true) {
                tracing::warn!("there are too many clients to report of all of them");
            }
            return None;
        }
        let client = Arc::new(Client::new(peer.clone()));
        clients.count += 1;
        clients.by_name.entry(name).or_default().push(Arc::clone(&client));
        Some(client)
    }

    /// Says that something is new.
    pub fn ring(&self) {
        self.bell.ring();
    }

    /// Reports for the last time, that this sidecar and what it runs ended; waits for it at most
    /// `patience`.
    pub fn stop(&self, patience: Duration) {
        if !self.has_writer.load(Ordering::Acquire) {
            return;
        }
        let (sender, receiver) = channel();
        self.bell.send(sender);
        let _ = receiver.recv_timeout(patience);
    }

    /// What is injected, as it is now.
    pub fn inject(&self, consumers: Vec<Consumer>) {
        let mut injected = lock(&self.injected);
        if *injected != consumers {
            *injected = consumers;
            drop(injected);
            self.ring();
        }
    }

    /// The number that [`Noted`] compares.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Relaxed)
    }

    fn next_epoch(&self) {
        self.epoch.fetch_add(1, Ordering::Relaxed);
    }

    /// Why nothing is reported, when it cannot be.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        lock(&self.problem).clone()
    }

    /// True when it is another one than before.
    fn set_problem(&self, problem: Option<String>) -> bool {
        let before = std::mem::replace(&mut *lock(&self.problem), problem.clone());
        before != problem
    }

    fn injected(&self) -> Vec<Consumer> {
        lock(&self.injected).clone()
    }

    /// The clients by name.
    fn clients(&self) -> Vec<(String, Vec<Arc<Client>>)> {
        let clients = lock(&self.clients);
        let all = clients.by_name.iter();
        all.map(|(name, all)| (name.clone(), all.clone())).collect()
    }

    /// Forgets those that ended: it was told, or need not be.
    fn forget(&self, ended: &[Arc<Client>]) {
        let mut clients = lock(&self.clients);
        let mut count = 0;
        clients.by_name.retain(|_, all| {
            all.retain(|one| !ended.iter().any(|other| Arc::ptr_eq(one, other)));
            count += all.len();
            !all.is_empty()
        });
        clients.count = count;
        clients.is_full = false;
    }
}
