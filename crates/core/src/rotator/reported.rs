//! Consumers as sidecars report them: owns how long a rotator waits for whom. It must not know how
//! reports are verified, nor who counts as having a version ([`crate::uptake`]).

use std::time::{Duration, Instant};

use super::{Delivered, Uptake, Waiting};
use crate::Vault;
use crate::ambient::Ambient;
use crate::id::Revision;
use crate::store::StoreWatch;
use crate::uptake::Lag;

/// What is reported of consumers; whoever is not reported of is given time.
pub struct Reports<'a> {
    vault: &'a Vault,
    ambient: &'a Ambient,
    settle: Duration,
    within: Duration,
    began: Option<(Revision, Instant)>,
    watch: Option<Box<dyn StoreWatch>>,
}

impl std::fmt::Debug for Reports<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reports")
            .field("settle", &self.settle)
            .field("within", &self.within)
            .finish_non_exhaustive()
    }
}

impl<'a> Reports<'a> {
    /// Waits for those who used the entry in the time `within` before now, and at least `settle` after it
    /// was delivered: for consumers that nobody reports of, and for what a sidecar has not said yet.
    #[must_use]
    pub fn new(vault: &'a Vault, ambient: &'a Ambient, settle: Duration, within: Duration) -> Self {
        Self {
            vault,
            ambient,
            settle,
            within,
            began: None,
            watch: None,
        }
    }

    /// What is left of the time that consumers have of whom nothing is reported.
    fn left(&mut self, revision: Revision) -> Duration {
        let now = Instant::now();
        let began = match self.began {
            Some((of, began)) if of == revision => began,
            _ => now,
        };
        self.began = Some((revision, began));
        self.settle.saturating_sub(now.duration_since(began))
    }
}

impl Uptake for Reports<'_> {
    fn waiting(&mut self, delivered: &Delivered<'_>) -> Result<Vec<Waiting>, String> {
        // There is nothing to watch before the first report. Before the look, so that what comes after it
        // wakes.
        if self.watch.is_none() {
            self.watch = self.vault.watch_uptake().ok();
        }
        // Sidecars of members that are new report too.
        self.vault.refresh().map_err(|error| error.to_string())?;
        let uptake = self.vault.uptake().map_err(|error| error.to_string())?;
        let lags = uptake.waiting(
            delivered.entry,
            delivered.version,
            delivered.revision,
            self.ambient.now(),
            self.within,
        );
        let mut waiting: Vec<_> = lags.iter().map(|lag| told(lag, delivered)).collect();
        if !self.left(delivered.revision).is_zero() {
            waiting.push(Waiting {
                consumer: "whoever does not report".into(),
                since: delivered.since,
            });
        }
        Ok(waiting)
    }

    fn pause(&mut self, at_most: Duration) {
        let left = self.began.map_or(at_most, |(_, began)| {
            match self.settle.saturating_sub(began.elapsed()) {
                Duration::ZERO => at_most,
                left => left.min(at_most),
            }
        });
        let woken = match &mut self.watch {
            Some(watch) => watch.wait(left).is_ok(),
            None => false,
        };
        if !woken {
            self.watch = None;
            std::thread::sleep(left);
        }
    }
}

fn told(lag: &Lag<'_>, delivered: &Delivered<'_>) -> Waiting {
    let consumer = &lag.reported.consumer;
    let mut text = format!(
        "{} {} at {} ({}",
        consumer.kind.as_str(),
        consumer.name,
        consumer.host,
        lag.missing.as_str()
    );
    if !consumer.problem.is_empty() {
        text.push_str(": ");
        text.push_str(&consumer.problem);
    }
    text.push(')');
    Waiting {
        consumer: text,
        since: delivered.since,
    }
}
