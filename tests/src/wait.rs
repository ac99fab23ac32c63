//! Waiting: owns the one loop by which a test waits for what happens elsewhere. Bounds are generous:
//! they tell "never" from "late", and are no measurement.

use std::time::{Duration, Instant};

/// How long anything may take to arrive at all.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Asks `probe` every few milliseconds until it gives something, at most [`PATIENCE`].
///
/// # Panics
/// When nothing came; `what` says what was waited for.
pub fn until<T>(what: &str, probe: impl FnMut() -> Option<T>) -> T {
    until_or(probe, || format!("waited {PATIENCE:?} in vain: {what}"))
}

/// The same, where more is known once it was in vain.
///
/// # Panics
/// When nothing came, with what `said` says then.
pub fn until_or<T>(mut probe: impl FnMut() -> Option<T>, said: impl FnOnce() -> String) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = probe() {
            return found;
        }
        if start.elapsed() >= PATIENCE {
            panic!("{}", said());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
