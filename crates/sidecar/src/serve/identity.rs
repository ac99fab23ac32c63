//! Who asks on one connection: owns finding it out once, and looking again whether it still holds.
//! It must not know what is asked.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::answer::Refusal;
use crate::grant::Asker;
use crate::peer::Peer;

/// How long a process is taken for the program that it was: that it lives is looked at each time.
const LOOK: Duration = Duration::from_secs(1);

/// Who asks on one connection.
#[derive(Debug)]
pub(super) struct Identity {
    /// As the gate knows it, once that was found out.
    asker: OnceLock<Arc<Asker>>,
    accepted: Instant,
    /// Milliseconds from then to the last look at what it runs.
    looked: AtomicU64,
}

impl Identity {
    pub(super) fn new() -> Self {
        Self {
            asker: OnceLock::new(),
            accepted: Instant::now(),
            looked: AtomicU64::new(0),
        }
    }

    /// Who asks, when that is known.
    pub(super) fn asker(&self) -> Option<&Arc<Asker>> {
        self.asker.get()
    }

    /// True when it has to be looked at again.
    pub(super) fn is_due(&self) -> bool {
        let since = self.elapsed().saturating_sub(self.looked.load(Ordering::Relaxed));
        u128::from(since) > LOOK.as_millis()
    }

    /// Finds out who asks; remembered for the connection when nothing of it is missing.
    pub(super) async fn attest(&self, peer: &Peer) -> Result<Arc<Asker>, Refusal> {
        let workload = peer.workload().await?;
        // it may be known for long: whoami asks too
        peer.recheck().await?;
        let asker = Asker::workload(&workload).map_err(|error| Refusal::internal(error.to_string()))?;
        let asker = Arc::new(asker);
        if peer.workload_now().is_some() {
            let _ = self.asker.set(Arc::clone(&asker));
        }
        self.look();
        Ok(asker)
    }

    /// Looks again at what it runs.
    pub(super) async fn recheck(&self, peer: &Peer) -> Result<(), Refusal> {
        peer.recheck().await?;
        self.look();
        Ok(())
    }

    fn elapsed(&self) -> u64 {
        u64::try_from(self.accepted.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn look(&self) {
        self.looked.store(self.elapsed(), Ordering::Relaxed);
    }
}
