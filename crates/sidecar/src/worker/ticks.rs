//! When workers have to look: owns the clock that wakes them, which stands still while nobody is
//! connected. It must not know what they look at.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::{Message, Workers};
use crate::settings::Limits;
use crate::state::State;

/// Watchers hear something at least this often.
const BEAT: Duration = Duration::from_secs(15);

/// How often workers that drain look whether they are done.
const SOON: Duration = Duration::from_millis(10);

/// How often connections are looked at that may come to rest.
const WARM: Duration = Duration::from_millis(50);

/// What changes how often workers look.
#[derive(Debug, Default)]
pub(super) struct Ticks {
    woken: Notify,
    is_draining: AtomicBool,
    /// Connections with buffers.
    warm: AtomicUsize,
}

impl Ticks {
    /// There is something to look at.
    pub(super) fn are_needed(&self) {
        self.woken.notify_one();
    }

    /// The end is waited for.
    pub(super) fn drain(&self) {
        self.is_draining.store(true, Ordering::Release);
        self.woken.notify_one();
    }

    /// How long workers need not look; `None` with nothing to look at, for then a machine that
    /// rests is not woken.
    fn pause(&self, is_idle: bool, limits: &Limits) -> Option<Duration> {
        if self.is_draining.load(Ordering::Acquire) {
            return Some(SOON);
        }
        let is_warm = self.warm.load(Ordering::Relaxed) > 0;
        let period = period(limits);
        (!is_idle).then_some(if is_warm { period.min(WARM) } else { period })
    }
}

/// Counts a connection that has buffers while it has them.
#[derive(Debug)]
pub(super) struct Warm(Arc<Ticks>);

impl Warm {
    pub(super) fn new(ticks: &Arc<Ticks>) -> Self {
        if ticks.warm.fetch_add(1, Ordering::Relaxed) == 0 {
            ticks.are_needed();
        }
        Self(Arc::clone(ticks))
    }
}

impl Drop for Warm {
    fn drop(&mut self) {
        self.0.warm.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Tells the workers when it is time, for as long as there are any.
pub(super) async fn run(ticks: Arc<Ticks>, workers: Weak<Workers>, state: Arc<State>) {
    let (mut looked, mut beat) = (Instant::now(), Instant::now());
    loop {
        let Some(is_idle) = workers.upgrade().map(|workers| workers.is_idle()) else {
            return;
        };
        let pause = ticks.pause(is_idle, &state.rules().limits);
        tokio::select! {
            () = ticks.woken.notified() => continue,
            () = tokio::time::sleep_until(looked + pause.unwrap_or_default()), if pause.is_some() => {}
        }
        let Some(workers) = workers.upgrade() else {
            return;
        };
        looked = Instant::now();
        workers.tell(|| Message::Look);
        if looked.duration_since(beat) >= BEAT {
            beat = looked;
            workers.tell(|| Message::Beat);
        }
    }
}

/// How often deadlines are looked at: often enough to keep them within a quarter.
fn period(limits: &Limits) -> Duration {
    let shortest = limits
        .header_timeout
        .min(limits.idle_timeout)
        .min(limits.write_timeout);
    (shortest / 4).clamp(Duration::from_millis(20), Duration::from_secs(1))
}
