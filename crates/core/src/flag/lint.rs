//! What is odd about a flag: owns finding parts of rules that never count, and users that clients with another way
//! to split would put elsewhere. It must not refuse anything: faults are the compiler's.

use serde_json::Value;

use super::compiled::{Context, Flag};
use super::definition::Definition;
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
        bucketing(key, definition, set, now, &mut found);
    }
    found
}

/// Whether a rule asks for nothing: neither the context, nor the time, nor a user's place.
fn is_constant(rule: &Value, set: &Set) -> bool {
    match rule {
        Value::Array(items) => items.iter().all(|item| is_constant(item, set)),
        Value::Object(members) => members
            .iter()
            .all(|(operator, arguments)| match operator.as_str() {
                "var" | "missing" | "missing_some" | "fractional" => false,
                "$ref" => {
                    let rule = arguments.as_str().and_then(|name| set.evaluators().get(name));
                    rule.is_some_and(|rule| is_constant(rule, set))
                }
                _ => is_constant(arguments, set),
            }),
        _ => true,
    }
}

/// Branches that are always or never taken.
fn branches(rule: &Value, place: &str, set: &Set, found: &mut Vec<Finding>) {
    match rule {
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                branches(item, &format!("{place}/{at}"), set, found);
            }
        }
        Value::Object(members) => {
            for (operator, arguments) in members {
                let place = format!("{place}/{}", operator.replace('/', "~1"));
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
        if !is_constant(condition, set) {
            continue;
        }
        let holds = is_true(condition, set);
        let text = if holds { "always holds" } else { "never holds" };
        found.push(Finding {
            kind: "constant",
            position: format!("{place}/{at}"),
            text: format!("this condition {text}: it asks for nothing of the context"),
        });
        let unreachable = if holds { at + 2 } else { at + 1 };
        if unreachable < items.len() {
            found.push(Finding {
                kind: "unreachable",
                position: format!("{place}/{unreachable}"),
                text: "this is never reached".to_owned(),
            });
        }
        if holds {
            break;
        }
    }
}

/// Whether a constant condition holds, asked of the engine.
fn is_true(condition: &Value, set: &Set) -> bool {
    let probe = serde_json::json!({
        "state": "ENABLED",
        "variants": {"true": true, "false": false},
        "targeting": {"!!": [condition]},
    });
    let none = Context::new();
    let flag = Flag::parse("", probe.to_string().as_bytes(), set);
    flag.is_ok_and(|flag| {
        flag.evaluate(&none, 0)
            .is_ok_and(|found| found.bool().is_ok_and(|is| is.value == Some(true)))
    })
}

fn has_fractional(rule: &Value, set: &Set) -> bool {
    match rule {
        Value::Array(items) => items.iter().any(|item| has_fractional(item, set)),
        Value::Object(members) => members
            .iter()
            .any(|(operator, arguments)| match operator.as_str() {
                "fractional" => true,
                "$ref" => {
                    let rule = arguments.as_str().and_then(|name| set.evaluators().get(name));
                    rule.is_some_and(|rule| has_fractional(rule, set))
                }
                _ => has_fractional(arguments, set),
            }),
        _ => false,
    }
}

/// Users that clients of the other generation, or with another idea of a text's bytes, put elsewhere.
fn bucketing(key: &str, definition: &Definition, set: &Set, now: u64, found: &mut Vec<Finding>) {
    let Some(rule) = definition.targeting().filter(|rule| has_fractional(rule, set)) else {
        return;
    };
    let with = |bucketing| Flag::compile(key, definition.clone(), &set.splitting_by(bucketing));
    let (v2, v3) = (with(Bucketing::V2), with(Bucketing::V3));
    let mut moved = 0;
    for user in 0..SAMPLE {
        let context: Context = [("targetingKey".to_owned(), Value::from(format!("user-{user}")))]
            .into_iter()
            .collect();
        let variant = |flag: &Flag| {
            let found = flag.evaluate(&context, now).ok()?;
            found.chosen.map(|chosen| chosen.variant.to_owned())
        };
        moved += u32::from(variant(&v2) != variant(&v3));
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
    if !key.is_ascii() || !rule.to_string().is_ascii() {
        found.push(Finding {
            kind: "non-ascii",
            position: "/targeting".to_owned(),
            text: "the key of the flag or a text of its rule is not ASCII: npm's flagd-core hashes other bytes then \
                   and splits these users differently"
                .to_owned(),
        });
    }
}
