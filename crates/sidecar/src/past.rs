//! Snapshots of past revisions: owns building them one at a time, off the serving threads, and
//! keeping the last few. It must not know HTTP.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use strongroom_core::Vault;
use strongroom_core::id::Revision;
use strongroom_core::snapshot::Snapshot;
use strongroom_core::vault::OpenError;
use tokio::sync::Semaphore;

/// Snapshots kept; they share most of their memory with the current one only while records do.
const KEPT: usize = 4;

/// The last few past snapshots.
#[derive(Debug)]
pub struct Past {
    kept: Arc<Kept>,
    /// Building one reads the store: a client must not make many at a time.
    one_at_a_time: Arc<Semaphore>,
}

impl Default for Past {
    fn default() -> Self {
        Self {
            kept: Arc::default(),
            one_at_a_time: Arc::new(Semaphore::new(1)),
        }
    }
}

impl Past {
    /// The verified state at `revision`; `None` when the sidecar is going down.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn at(
        &self,
        vault: Arc<Vault>,
        revision: Revision,
    ) -> Option<Result<Arc<Snapshot>, OpenError>> {
        if let Some(snapshot) = self.kept.get(revision) {
            return Some(Ok(snapshot));
        }
        let turn = Arc::clone(&self.one_at_a_time).acquire_owned().await.ok()?;
        if let Some(snapshot) = self.kept.get(revision) {
            return Some(Ok(snapshot));
        }
        let kept = Arc::clone(&self.kept);
        let built = tokio::task::spawn_blocking(move || {
            // a client that leaves does not end what it began: the turn is over when that is done
            let _turn = turn;
            let snapshot = vault.at(revision).map(Arc::new)?;
            kept.add(Arc::clone(&snapshot));
            Ok(snapshot)
        });
        built.await.ok()
    }

    /// Drops what is kept.
    pub fn forget(&self) {
        self.kept.lock().clear();
    }
}

/// Newest first.
#[derive(Debug, Default)]
struct Kept(Mutex<VecDeque<Arc<Snapshot>>>);

impl Kept {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<Snapshot>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, revision: Revision) -> Option<Arc<Snapshot>> {
        let kept = self.lock();
        kept.iter()
            .find(|snapshot| snapshot.revision() == revision)
            .cloned()
    }

    fn add(&self, snapshot: Arc<Snapshot>) {
        let mut kept = self.lock();
        kept.truncate(KEPT.saturating_sub(1));
        kept.push_front(snapshot);
    }
}
