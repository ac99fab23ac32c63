//! Explaining an evaluation to a person: owns what is told of each part of a rule. It must not decide anything: the
//! engine is asked.

use serde_json::Value;

use super::compiled::Context;
use super::definition::Definition;
use super::rule::{self, MAX_WORK, Run};
use super::set::Set;

/// What one part of a rule came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Explained {
    /// How deep it lies among the parts that are told of.
    pub depth: usize,
    /// Where it stands, as a JSON pointer that ends with its operator; `/$evaluators/NAME` is in the set.
    pub position: String,
    /// Its result. It can hold what the context has.
    pub result: Value,
    /// More of it: the hash and the buckets of a `fractional`, the one that was hit with a star, or that nothing
    /// more is told.
    pub note: Option<String>,
}

/// The way through the rule of a flag: every part that was looked at, in order; nothing for a flag without rule.
/// Of a rule that is too large or too heavy for it only the beginning is told.
#[must_use]
pub fn explain(key: &str, definition: &Definition, set: &Set, context: &Context, now: u64) -> Vec<Explained> {
    let Some(rule) = definition.targeting() else {
        return Vec::new();
    };
    let run = Run {
        context,
        peer: None,
        key,
        now,
        bucketing: set.bucketing(),
        left: MAX_WORK,
    };
    rule::explain(rule, set, &run)
}
