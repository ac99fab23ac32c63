//! The time by the kernel's last tick: owns a clock that is some milliseconds late and takes a
//! fifth of the time to read, for what is looked at with every record and need not be known better.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// A moment of the monotonic clock, at most ten milliseconds late.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tick(Duration);

impl Tick {
    /// The last one.
    pub(super) fn now() -> Self {
        let now = clock_gettime(ClockId::MonotonicCoarse);
        // this clock begins at 0 and its nanoseconds are less than a second
        let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
        let nanoseconds = u32::try_from(now.tv_nsec).unwrap_or_default();
        Self(Duration::new(seconds, nanoseconds))
    }

    /// The time since then.
    pub(super) fn elapsed(self) -> Duration {
        Self::now().since(self)
    }

    /// The time from `earlier` to this.
    pub(super) fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}
