//! How often flags were evaluated: owns one number for each variant and reason. It must not know who asked.

use std::collections::HashMap;

use strongroom_core::name::EntryPath;

/// Flags that are counted; what is beyond them is not.
const MOST_FLAGS: usize = 20_000;

/// Variants and reasons of one flag that are told apart, those that it has no more included.
const MOST_OUTCOMES: usize = 256;

/// Counts by key: what takes another one's place, as an override does, counts on.
#[derive(Debug, Default)]
pub struct Evaluated(HashMap<EntryPath, Vec<Outcome>>);

/// How often a flag came out in one way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The variant; empty when there was none.
    pub variant: Box<str>,
    /// Why, as the protocols have it; `ERROR` when there was no result.
    pub reason: &'static str,
    /// How often.
    pub count: u64,
}

impl Evaluated {
    /// Counts one evaluation.
    pub fn count(&mut self, key: &EntryPath, variant: &str, reason: &'static str) {
        self.add_to(key, variant, reason, 1);
    }

    /// Adds what others have counted.
    pub fn add(&mut self, other: &Self) {
        for (key, outcomes) in &other.0 {
            for outcome in outcomes {
                self.add_to(key, &outcome.variant, outcome.reason, outcome.count);
            }
        }
    }

    fn add_to(&mut self, key: &EntryPath, variant: &str, reason: &'static str, count: u64) {
        if !self.0.contains_key(key) {
            if self.0.len() >= MOST_FLAGS {
                return;
            }
            self.0.insert(key.clone(), Vec::new());
        }
        let Some(outcomes) = self.0.get_mut(key) else {
            return;
        };
        let same = |outcome: &&mut Outcome| outcome.reason == reason && *outcome.variant == *variant;
        if let Some(outcome) = outcomes.iter_mut().find(same) {
            outcome.count = outcome.count.saturating_add(count);
        } else if outcomes.len() < MOST_OUTCOMES {
            outcomes.push(Outcome {
                variant: variant.into(),
                reason,
                count,
            });
        }
    }

    /// The flags that `shown` holds for, in the order of their keys, with how they came out.
    pub fn of(&self, shown: impl Fn(&EntryPath) -> bool) -> Vec<(&EntryPath, &[Outcome])> {
        let flags = self.0.iter().filter(|(key, _)| shown(key));
        let mut out: Vec<_> = flags.map(|(key, outcomes)| (key, outcomes.as_slice())).collect();
        out.sort_by_key(|(key, _)| *key);
        out
    }
}
