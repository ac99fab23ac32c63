//! How much may be spent on reports: owns a share that is saved up over a pause and spent at once. It
//! must not know on what.

use std::time::{Duration, Instant};

/// What may be spent. A second of it comes with each second that passes, and so much is saved.
#[derive(Debug)]
pub(super) struct Budget {
    saved: Duration,
    /// Until when everything is spent.
    spent: Instant,
}

impl Budget {
    pub(super) fn new(now: Instant, saved: Duration) -> Self {
        Self { saved, spent: now }
    }

    /// How long to wait until something is left.
    pub(super) fn pause(&self, now: Instant) -> Duration {
        self.used(now).saturating_sub(self.saved)
    }

    /// What has not come back yet.
    pub(super) fn used(&self, now: Instant) -> Duration {
        self.spent.saturating_duration_since(now)
    }

    /// Spends `cost`, be there so much left or not.
    pub(super) fn spend(&mut self, now: Instant, cost: Duration) {
        let from = self.spent.max(now);
        self.spent = from.checked_add(cost).unwrap_or(from);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_few_come_at_once_and_then_one_a_second() {
        let start = Instant::now();
        let mut budget = Budget::new(start, SECOND * 7);
        for number in 0..8 {
            assert_eq!(budget.pause(start), Duration::ZERO);
            assert_eq!(budget.used(start), SECOND * number);
            budget.spend(start, SECOND);
        }
        let mut now = start;
        for _ in 0..5 {
            assert_eq!(budget.pause(now), SECOND);
            now += SECOND;
            assert_eq!(budget.pause(now), Duration::ZERO);
            budget.spend(now, SECOND);
        }
        // a long pause saves no more than that
        now += SECOND * 80;
        for _ in 0..8 {
            assert_eq!(budget.pause(now), Duration::ZERO);
            budget.spend(now, SECOND);
        }
        assert_eq!(budget.pause(now), SECOND);
    }

    #[test]
    fn in_the_long_run_no_more_is_spent_than_comes() {
        let start = Instant::now();
        let mut budget = Budget::new(start, SECOND * 2);
        let (mut now, mut total) = (start, Duration::ZERO);
        for cost in [1, 300, 20, 4000, 7].into_iter().cycle().take(500) {
            now += budget.pause(now);
            let cost = Duration::from_millis(cost);
            budget.spend(now, cost);
            total += cost;
            assert!(total <= now - start + SECOND * 2 + cost);
        }
    }
}
