//! What is counted of requests: owns one set of numbers for each worker, which that worker alone
//! changes, and adding them up for who asks. Threads that counted in one place would wait for each
//! other's cache with every answer. It must not know what was asked for.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use strongroom_core::name::EntryPath;

use crate::evaluated::Evaluated;

/// Classes of status codes: 2xx to 5xx.
pub const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];
/// Addresses that are told apart, one of them for all that are none.
pub(crate) const PLACES: usize = 20;

/// The numbers of one worker, in cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Tally {
    answers: [[AtomicU64; CLASSES.len()]; PLACES],
    connections: AtomicU64,
    evaluated: Mutex<Evaluated>,
}

impl Tally {
    /// Counts an answer with `status` at the address number `place`.
    pub fn answered(&self, place: usize, status: u16) {
        let class = usize::from(status / 100).saturating_sub(2);
        if let Some(count) = self.answers.get(place).and_then(|place| place.get(class)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts an evaluation of a flag: the variant, empty for none, and why.
    pub fn evaluated(&self, key: &EntryPath, variant: &str, reason: &'static str) {
        // this worker's alone but while somebody adds up
        let mut evaluated = self.evaluated.lock().unwrap_or_else(PoisonError::into_inner);
        evaluated.count(key, variant, reason);
    }

    /// Counts a connection that was taken over.
    pub fn connected(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }
}

/// Those of all workers.
#[derive(Debug, Default)]
pub struct Tallies {
    workers: Mutex<Vec<(Arc<Tally>, Arc<AtomicUsize>)>>,
    /// Connections that no worker got.
    refused: AtomicU64,
}

impl Tallies {
    /// Numbers for one more worker, which has `load` connections.
    #[must_use]
    pub fn add(&self, load: &Arc<AtomicUsize>) -> Arc<Tally> {
        let tally: Arc<Tally> = Arc::default();
        self.lock().push((Arc::clone(&tally), Arc::clone(load)));
        tally
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(Arc<Tally>, Arc<AtomicUsize>)>> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a connection that is not served.
    pub fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// How many answers there were at the address number `place`, by class.
    #[must_use]
    pub fn answers(&self, place: usize) -> [u64; CLASSES.len()] {
        let mut sums = [0; CLASSES.len()];
        for (tally, _) in &*self.lock() {
            let counts = tally.answers.get(place).into_iter().flatten();
            for (sum, count) in sums.iter_mut().zip(counts) {
                *sum += count.load(Ordering::Relaxed);
            }
        }
        sums
    }

    /// How often flags were evaluated.
    #[must_use]
    pub fn evaluated(&self) -> Evaluated {
        let mut sum = Evaluated::default();
        for (tally, _) in &*self.lock() {
            sum.add(&tally.evaluated.lock().unwrap_or_else(PoisonError::into_inner));
        }
        sum
    }

    /// How many connections there are, were taken over, and were refused.
    #[must_use]
    pub fn connections(&self) -> (usize, u64, u64) {
        let workers = self.lock();
        let open = workers.iter().map(|(_, load)| load.load(Ordering::Relaxed));
        let taken = workers
            .iter()
            .map(|(tally, _)| tally.connections.load(Ordering::Relaxed));
        (open.sum(), taken.sum(), self.refused.load(Ordering::Relaxed))
    }
}
