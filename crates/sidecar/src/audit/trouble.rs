//! Outages: owns whether the log can be written, and that the beginning and the end of an outage
//! are told once. It must not write.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use strongroom_core::ambient::{Ambient, Timestamp};

/// An outage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Since when.
    pub since: Timestamp,
    /// What is wrong.
    pub problem: String,
}

#[derive(Debug)]
struct Since {
    told: Trouble,
    begun: Instant,
}

/// What is wrong now.
#[derive(Debug)]
pub(super) struct Troubles {
    ambient: Ambient,
    directory: String,
    now: Mutex<Option<Since>>,
    /// Whether there is one; changed only with `now`.
    is_any: AtomicBool,
    /// Answers without a record since the last outage,
    refused: AtomicU64,
    /// and ever.
    all_refused: AtomicU64,
}

impl Troubles {
    pub(super) fn new(ambient: Ambient, directory: String) -> Self {
        Self {
            ambient,
            directory,
            now: Mutex::default(),
            is_any: AtomicBool::new(false),
            refused: AtomicU64::new(0),
            all_refused: AtomicU64::new(0),
        }
    }

    fn now(&self) -> MutexGuard<'_, Option<Since>> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn current(&self) -> Option<Trouble> {
        self.now().as_ref().map(|since| since.told.clone())
    }

    pub(super) fn is_any(&self) -> bool {
        self.is_any.load(Ordering::Acquire)
    }

    /// A record was refused.
    pub(super) fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
        self.all_refused.fetch_add(1, Ordering::Relaxed);
    }

    /// A record was not written in time.
    pub(super) fn late(&self) {
        self.refused();
        self.begin("writes take too long");
    }

    /// Something is wrong; only the first problem of an outage is told.
    pub(super) fn begin(&self, problem: &str) {
        let mut now = self.now();
        if now.is_some() {
            return;
        }
        *now = Some(Since {
            told: Trouble {
                since: self.ambient.now(),
                problem: problem.to_owned(),
            },
            begun: Instant::now(),
        });
        self.is_any.store(true, Ordering::Release);
        // whoever reads the sidecar's log may be slow: nobody else waits for it
        drop(now);
        tracing::error!(
            directory = self.directory,
            problem,
            "the audit log cannot be written as it should: nothing is released without a record"
        );
    }

    /// How many records were refused since the last outage.
    pub(super) fn count(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// How many were refused since the start.
    pub(super) fn all_refused(&self) -> u64 {
        self.all_refused.load(Ordering::Relaxed)
    }

    /// Records are written again. Returns how many were refused.
    pub(super) fn end(&self) -> u64 {
        let mut now = self.now();
        let refused = self.refused.swap(0, Ordering::Relaxed);
        let since = now.take();
        // with the guard: an outage that begins meanwhile would be one that nobody sees
        self.is_any.store(false, Ordering::Release);
        drop(now);
        if let Some(since) = since {
            let seconds = since.begun.elapsed().as_secs_f32();
            tracing::warn!(
                directory = self.directory,
                refused,
                seconds,
                "the audit log is written again"
            );
        }
        refused
    }
}
