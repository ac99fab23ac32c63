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
mod clients;
mod earlier;
mod found;
mod name;
mod noted;
mod reports;
mod writer;

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
use clients::Clients;
use name::Name;

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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Table {
    /// What is noted of the process at the other end of a connection, which `peer` holds, alone or with
    /// others ([`Client::is_one`]). Looked for once a connection when it is noted alone.
    #[must_use]
    pub fn client(&self, peer: &Peer, identity: &strongroom_core::id::Hash) -> Arc<Client> {
        let workload = peer.workload_now();
        let name = workload.map(|workload| Name::of(workload, identity).to_string());
        lock(&self.clients).of(peer, name)
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
}
