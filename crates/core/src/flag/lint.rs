//! What is odd about a flag: owns finding parts of rules that never count, and users that clients with another way
//! to split would put elsewhere. It must not refuse anything: faults are the compiler's.

use serde_json::Value;

use super::compiled::{Context, Flag};
use super::definition::Definition;
use super::error::below;
use super::rule::{self, MAX_WORK};
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
/// Most work of all that is evaluated: rules in use take a hundredth of it.
const MAX_ALL: u32 = 10 * MAX_WORK;

/// What is odd about a flag of `set`, evaluated at `now`.
#[must_use]
pub fn lint(key: &str, definition: &Definition, set: &Set, now: u64) -> Vec<Finding> {
    let flag = Flag::compile(key, definition.clone(), set);
    let mut finder = Finder {
        set,
        left: MAX_ALL,
        found: Vec::new(),
    };
    for fault in flag.faults() {
        finder.add("fault", fault.position().to_owned(), fault.problem());
    }
    if let Some(rule) = definition.targeting() {
        finder.branches(rule, "/targeting");
        if flag.splits() {
            finder.bucketing(&flag, definition, now);
            if !(key.is_ascii() && rule.to_string().is_ascii()) {
                finder.add(
                    "non-ascii",
                    "/targeting".to_owned(),
                    "the key of the flag or a text of its rule is not ASCII: npm's flagd-core hashes other bytes \
                     then and splits these users differently",
                );
            }
        }
    }
    finder.found
}

struct Finder<'a> {
    set: &'a Set,
    left: u32,
    found: Vec<Finding>,
}

impl Finder<'_> {
    fn add(&mut self, kind: &'static str, position: String, text: impl Into<String>) {
        let text = text.into();
        self.found.push(Finding { kind, position, text });
    }

    /// Branches that are always or never taken.
    fn branches(&mut self, rule: &Value, place: &str) {
        match rule {
            Value::Array(items) => {
                for (at, item) in items.iter().enumerate() {
                    self.branches(item, &below(place, &at.to_string()));
                }
            }
            Value::Object(members) => {
                for (operator, arguments) in members {
                    let place = below(place, operator);
                    if let ("if" | "?:", Some(items)) = (operator.as_str(), arguments.as_array()) {
                        self.conditions(items, &place);
                    }
                    self.branches(arguments, &place);
                }
            }
            _ => {}
        }
    }

    fn conditions(&mut self, items: &[Value], place: &str) {
        let conditions = items
            .iter()
            .enumerate()
            .step_by(2)
            .filter(|(at, _)| at + 1 < items.len());
        for (at, condition) in conditions {
            let Some(holds) = rule::constant(condition, &self.set.evaluators, &mut self.left) else {
                continue;
            };
            let text = if holds { "always holds" } else { "never holds" };
            let text = format!("this condition {text}: it asks for nothing of the context");
            self.add("constant", below(place, &at.to_string()), text);
            let unreachable = if holds { at + 2 } else { at + 1 };
            if unreachable < items.len() {
                let position = below(place, &unreachable.to_string());
                self.add("unreachable", position, "this is never reached");
            }
            if holds {
                break;
            }
        }
    }

    /// Users that clients of the other generation put elsewhere.
    fn bucketing(&mut self, flag: &Flag, definition: &Definition, now: u64) {
        let other = match self.set.bucketing() {
            Bucketing::V2 => Bucketing::V3,
            Bucketing::V3 => Bucketing::V2,
        };
        let other = Flag::compile(flag.key(), definition.clone(), self.set).splitting_by(other);
        let (mut moved, mut tried) = (0, 0);
        while tried < SAMPLE && self.left > 0 {
            let user = Value::from(format!("user-{tried}"));
            let context: Context = [("targetingKey".to_owned(), user)].into_iter().collect();
            let mut variant = |flag: &Flag| {
                let found = flag.evaluate_within(&context, None, now, &mut self.left).ok()?;
                found.chosen.map(|chosen| chosen.variant.to_owned())
            };
            let (here, there) = (variant(flag), variant(&other));
            // who has no work left evaluates to nothing, which is no other variant
            if self.left == 0 {
                break;
            }
            moved += u32::from(here != there);
            tried += 1;
        }
        if moved > 0 {
            let here = self.set.bucketing().as_str();
            let text = format!(
                "users are split as {here} here; clients that evaluate by themselves in the other way give {moved} \
                 of {tried} sample users another variant"
            );
            self.add("bucketing", "/targeting".to_owned(), text);
        }
    }
}
