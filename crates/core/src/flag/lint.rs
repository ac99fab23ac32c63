//! What is odd about a flag: owns finding parts of rules that never count, and users that clients with another way
//! to split would put elsewhere. It must not refuse anything: faults are the compiler's.

use serde_json::Value;

use super::compiled::{Context, Flag};
use super::definition::Definition;
use super::error::below;
use super::rule;
use super::set::{Bucketing, Set};

/// One odd thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// A word for its kind: `fault`, `constant`, `unreachable`, `bucketing` or `non-ascii`.
    pub kind: &'static str,
    /// Where in the definition, as a JSON pointer; empty for the whole.
    pub position: String,
    /// What is odd, and what follows.
    pub text: String,
}

/// How many users are tried.
const SAMPLE: u32 = 1000;

/// What is odd about a flag of `set`, evaluated at `now`.
#[must_use]
pub fn lint(key: &str, definition: &Definition, set: &Set, now: u64) -> Vec<Finding> {
    let flag = Flag::compile(key, definition.clone(), set);
    let mut found: Vec<_> = flag
        .faults()
        .iter()
        .map(|fault| Finding {
            kind: "fault",
            position: fault.position().to_owned(),
            text: fault.problem().to_owned(),
        })
        .collect();
    if let Some(rule) = definition.targeting() {
        branches(rule, "/targeting", set, &mut found);
        if flag.splits() {
            bucketing(&flag, definition, set, now, &mut found);
        }
    }
    found
}

/// Branches that are always or never taken.
fn branches(rule: &Value, place: &str, set: &Set, found: &mut Vec<Finding>) {
    match rule {
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                branches(item, &below(place, &at.to_string()), set, found);
            }
        }
        Value::Object(members) => {
            for (operator, arguments) in members {
                let place = below(place, operator);
                if let ("if" | "?:", Some(items)) = (operator.as_str(), arguments.as_array()) {
                    conditions(items, &place, set, found);
                }
                branches(arguments, &place, set, found);
            }
        }
        _ => {}
    }
}

fn conditions(items: &[Value], place: &str, set: &Set, found: &mut Vec<Finding>) {
    let conditions = items
        .iter()
        .enumerate()
        .step_by(2)
        .filter(|(at, _)| at + 1 < items.len());
    for (at, condition) in conditions {
        let Some(holds) = rule::constant(condition, &set.evaluators) else {
            continue;
        };
        let text = if holds { "always holds" } else { "never holds" };
        found.push(Finding {
            kind: "constant",
            position: below(place, &at.to_string()),
            text: format!("this condition {text}: it asks for nothing of the context"),
        });
        let unreachable = if holds { at + 2 } else { at + 1 };
        if unreachable < items.len() {
            found.push(Finding {
                kind: "unreachable",
                position: below(place, &unreachable.to_string()),
                text: "this is never reached".to_owned(),
            });
        }
        if holds {
            break;
        }
    }
}

/// Users that clients of the other generation, or with another idea of a text's bytes, put elsewhere.
fn bucketing(flag: &Flag, definition: &Definition, set: &Set, now: u64, found: &mut Vec<Finding>) {
    let other = match set.bucketing() {
        Bucketing::V2 => Bucketing::V3,
        Bucketing::V3 => Bucketing::V2,
    };
    let other = Flag::compile(flag.key(), definition.clone(), set).splitting_by(other);
    let mut moved = 0;
    for user in 0..SAMPLE {
        let context: Context = [("targetingKey".to_owned(), Value::from(format!("user-{user}")))]
            .into_iter()
            .collect();
        let variant = |flag: &Flag| {
            let found = flag.evaluate(&context, now).ok()?;
            found.chosen.map(|chosen| chosen.variant.to_owned())
        };
        moved += u32::from(variant(flag) != variant(&other));
    }
    if moved > 0 {
        let here = set.bucketing().as_str();
        found.push(Finding {
            kind: "bucketing",
            position: "/targeting".to_owned(),
            text: format!(
                "users are split as {here} here; clients that evaluate by themselves in the other way give {moved} \
                 of {SAMPLE} sample users another variant"
            ),
        });
    }
    let is_ascii = |rule: &Value| rule.to_string().is_ascii();
    if !(flag.key().is_ascii() && definition.targeting().is_none_or(is_ascii)) {
        found.push(Finding {
            kind: "non-ascii",
            position: "/targeting".to_owned(),
            text: "the key of the flag or a text of its rule is not ASCII: npm's flagd-core hashes other bytes then \
                   and splits these users differently"
                .to_owned(),
        });
    }
}
