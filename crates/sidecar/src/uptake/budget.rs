//! How often is written: owns the limit of once a second, of which a few may come at once after a
//! pause. It must not know what is written.

use std::time::{Duration, Instant};

/// One write takes so much time,
const COST: Duration = Duration::from_secs(1);
/// and so much may be saved for later.
const SAVED: Duration = Duration::from_secs(8);

/// What may be spent.
#[derive(Debug)]
pub(super) struct Budget {
    /// Until when everything is spent.
    spent: Instant,
}

impl Budget {
    pub(super) fn new(now: Instant) -> Self {
        Self { spent: now }
    }

    /// How long the next write has to wait.
    pub(super) fn pause(&self, now: Instant) -> Duration {
        (self.spent + COST).saturating_duration_since(now + SAVED)
    }

    /// One was made.
    pub(super) fn spend(&mut self, now: Instant) {
        self.spent = self.spent.max(now) + COST;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_come_at_once_and_then_one_a_second() {
        let start = Instant::now();
        let mut budget = Budget::new(start);
        for _ in 0..8 {
            assert_eq!(budget.pause(start), Duration::ZERO);
            budget.spend(start);
        }
        let mut now = start;
        for _ in 0..5 {
            assert_eq!(budget.pause(now), COST);
            now += COST;
            assert_eq!(budget.pause(now), Duration::ZERO);
            budget.spend(now);
        }
        now += SAVED * 10;
        for _ in 0..8 {
            assert_eq!(budget.pause(now), Duration::ZERO);
            budget.spend(now);
        }
        assert_eq!(budget.pause(now), COST);
    }
}
