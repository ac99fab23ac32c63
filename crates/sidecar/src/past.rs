//! Snapshots of past revisions: owns building them one at a time, off the serving threads, and
//! keeping the last few. It must not know HTTP.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

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
    kept: Mutex<VecDeque<Arc<Snapshot>>>,
    /// Building one reads the store: a client must not make many at a time.
    one_at_a_time: Semaphore,
}

impl Default for Past {
    fn default() -> Self {
        Self {
            kept: Mutex::default(),
            one_at_a_time: Semaphore::new(1),
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
        if let Some(snapshot) = self.kept(revision) {
            return Some(Ok(snapshot));
        }
        let _turn = self.one_at_a_time.acquire().await.ok()?;
        if let Some(snapshot) = self.kept(revision) {
            return Some(Ok(snapshot));
        }
        let built = tokio::task::spawn_blocking(move || vault.at(revision))
            .await
            .ok()?;
        Some(built.map(|snapshot| self.keep(Arc::new(snapshot))))
    }

    /// Drops what is kept.
    pub fn forget(&self) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn kept(&self, revision: Revision) -> Option<Arc<Snapshot>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter()
            .find(|snapshot| snapshot.revision() == revision)
            .cloned()
    }

    fn keep(&self, snapshot: Arc<Snapshot>) -> Arc<Snapshot> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.truncate(KEPT.saturating_sub(1));
        kept.push_front(Arc::clone(&snapshot));
        snapshot
    }
}
