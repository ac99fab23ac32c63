//! Past revisions: owns building their snapshots one at a time, off the serving threads, keeping the
//! last few, and remembering what policies of now decide about them. It must not know HTTP.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use strongroom_core::Vault;
use strongroom_core::id::Revision;
use strongroom_core::policy::{Decisions, Policies};
use strongroom_core::snapshot::Snapshot;
use strongroom_core::vault::OpenError;
use tokio::sync::Semaphore;

use crate::timer;

/// Snapshots kept; they share most of their memory with the current one only while records do.
const KEPT: usize = 4;

/// Requests that wait for their turn; each holds its connection's memory meanwhile.
const WAITING: usize = 64;

/// How long one waits: the store may not answer at all.
const PATIENCE: Duration = Duration::from_secs(10);

/// The last few past revisions.
#[derive(Debug)]
pub struct Past {
    kept: Arc<Kept>,
    /// Building one reads the store: a client must not make many at a time.
    one_at_a_time: Arc<Semaphore>,
    waiting: Semaphore,
}

impl Default for Past {
    fn default() -> Self {
        Self {
            kept: Arc::default(),
            one_at_a_time: Arc::new(Semaphore::new(1)),
            waiting: Semaphore::new(WAITING),
        }
    }
}

/// Why there is no past revision now.
#[derive(Debug, thiserror::Error)]
pub enum PastError {
    /// It does not verify, or the store is away.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Others are first, or the store is slow.
    #[error("past revisions are read one after the other, and others wait: try again")]
    Busy,
    /// No more are read.
    #[error("the sidecar is going down")]
    Stopped,
}

/// A past revision.
#[derive(Debug)]
pub struct Then {
    /// Its verified state.
    pub snapshot: Arc<Snapshot>,
    decisions: Mutex<Option<Arc<Decisions>>>,
}

impl Then {
    fn of(snapshot: Arc<Snapshot>) -> Self {
        Self {
            snapshot,
            decisions: Mutex::default(),
        }
    }

    /// What `policies` decide about its entries, which have the ids of today's and may have other
    /// labels.
    #[must_use]
    pub fn decisions(&self, policies: &Arc<Policies>) -> Arc<Decisions> {
        let mut known = self.decisions.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |known: &&Arc<Decisions>| Arc::ptr_eq(known.policies(), policies);
        if let Some(known) = known.as_ref().filter(same) {
            return Arc::clone(known);
        }
        let decisions = Arc::new(Decisions::new(Arc::clone(policies)));
        *known = Some(Arc::clone(&decisions));
        decisions
    }
}

impl Past {
    /// The verified state at `revision`.
    ///
    /// # Errors
    /// [`PastError`].
    pub async fn at(&self, vault: Arc<Vault>, revision: Revision) -> Result<Arc<Then>, PastError> {
        if let Some(then) = self.kept.get(revision) {
            return Ok(then);
        }
        let _waits = self.waiting.try_acquire().map_err(|_| PastError::Busy)?;
        let built = self.build(vault, revision);
        timer::timeout(PATIENCE, built)
            .await
            .unwrap_or(Err(PastError::Busy))
    }

    async fn build(&self, vault: Arc<Vault>, revision: Revision) -> Result<Arc<Then>, PastError> {
        let turn = Arc::clone(&self.one_at_a_time).acquire_owned().await;
        let turn = turn.map_err(|_| PastError::Stopped)?;
        if let Some(then) = self.kept.get(revision) {
            return Ok(then);
        }
        let kept = Arc::clone(&self.kept);
        let built = tokio::task::spawn_blocking(move || {
            // a client that leaves does not end what it began: the turn is over when that is done
            let _turn = turn;
            let then = Arc::new(Then::of(vault.at(revision).map(Arc::new)?));
            kept.add(Arc::clone(&then));
            Ok(then)
        });
        built.await.map_err(|_| PastError::Stopped)?
    }

    /// Drops what is kept.
    pub fn forget(&self) {
        self.kept.lock().clear();
    }
}

/// Newest first.
#[derive(Debug, Default)]
struct Kept(Mutex<VecDeque<Arc<Then>>>);

impl Kept {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<Then>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, revision: Revision) -> Option<Arc<Then>> {
        let kept = self.lock();
        kept.iter()
            .find(|then| then.snapshot.revision() == revision)
            .cloned()
    }

    fn add(&self, then: Arc<Then>) {
        let mut kept = self.lock();
        kept.truncate(KEPT.saturating_sub(1));
        kept.push_front(then);
    }
}
