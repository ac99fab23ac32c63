//! Who asks on one connection: owns finding it out once, and looking again whether it still holds.
//! It must not know what is asked.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::answer::Refusal;
use crate::asker::{Asker, Askers};
use crate::caller::Caller;
use crate::peer::NotAttested;

/// How long a process is taken for the program that it was.
const LOOK: Duration = Duration::from_secs(1);

/// How long a process is taken to live while its connection is busy. Its end also ends the
/// connection, as soon as the worker looks at what has happened; and whoever has the connection
/// after it could have asked so much earlier.
const LIFE: Duration = Duration::from_millis(1);

/// Who asks on one connection.
#[derive(Debug)]
pub(super) struct Identity {
    /// As the gate knows it, once that was found out.
    asker: OnceLock<Arc<Asker>>,
    accepted: Instant,
    /// Microseconds from then to the last look at what it runs,
    looked: AtomicU64,
    /// and to the last look at whether it lives.
    lived: AtomicU64,
}

/// Whether who asked is still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is.
    Holds,
    /// What it runs has to be looked at again.
    Due,
    /// It has ended.
    Ended,
}

/// Why it is not known who asks.
pub(super) struct Unknown {
    /// For the audit log.
    pub(super) reason: &'static str,
    pub(super) refusal: Refusal,
}

impl From<NotAttested> for Unknown {
    fn from(error: NotAttested) -> Self {
        Self {
            reason: error.reason(),
            refusal: error.into(),
        }
    }
}

impl Default for Identity {
    fn default() -> Self {
        Self {
            asker: OnceLock::new(),
            accepted: Instant::now(),
            looked: AtomicU64::new(0),
            lived: AtomicU64::new(0),
        }
    }
}

impl Identity {
    /// Who asks, when that is known.
    pub(super) fn asker(&self) -> Option<&Arc<Asker>> {
        self.asker.get()
    }

    /// The last look before a value is opened.
    pub(super) fn standing(&self, caller: &Caller) -> Standing {
        let Caller::Process(peer) = caller else {
            return Standing::Holds;
        };
        let now = self.elapsed();
        let since = |then: &AtomicU64| u128::from(now.saturating_sub(then.load(Ordering::Relaxed)));
        if since(&self.looked) > LOOK.as_micros() {
            return Standing::Due;
        }
        if since(&self.lived) > LIFE.as_micros() {
            if !peer.is_alive() {
                return Standing::Ended;
            }
            self.lived.store(now, Ordering::Relaxed);
        }
        Standing::Holds
    }

    /// Finds out who asks; remembered for the connection when nothing of it is missing.
    pub(super) async fn attest(&self, caller: &Caller, askers: &Askers) -> Result<Arc<Asker>, Unknown> {
        let peer = match caller {
            Caller::Process(peer) => peer,
            Caller::Guest(guest) => {
                let _ = self.asker.set(Arc::clone(guest.asker()));
                return Ok(Arc::clone(guest.asker()));
            }
        };
        let workload = peer.workload().await?;
        // it may be known for long: whoami asks too
        peer.recheck().await?;
        let asker = askers.workload(&workload).map_err(|error| Unknown {
            reason: "policies cannot be asked about its process",
            refusal: Refusal::internal(error.to_string()),
        });
        let asker = Arc::new(asker?);
        if peer.workload_now().is_some() {
            let _ = self.asker.set(Arc::clone(&asker));
        }
        self.look();
        Ok(asker)
    }

    /// Looks again at what it runs.
    pub(super) async fn recheck(&self, caller: &Caller) -> Result<(), NotAttested> {
        caller.recheck().await?;
        self.look();
        Ok(())
    }

    fn elapsed(&self) -> u64 {
        u64::try_from(self.accepted.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn look(&self) {
        self.looked.store(self.elapsed(), Ordering::Relaxed);
    }
}
