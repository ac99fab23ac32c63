//! The way through a rule: owns telling what each part of it that counts came to. It evaluates the parts one by one
//! and is for people, not for speed.

use serde_json::{Value, json};

use super::args::Args;
use super::coerce::{number, number_text, truth};
use super::parse::Reader;
use super::run::{MAX_WORK, Run};
use super::split::look;
use super::value::{Scope, Val};
use crate::flag::explain::Explained;
use crate::flag::set::Set;

/// Tells what `rule` comes to, and what its parts do as far as they are looked at.
pub(in crate::flag) fn explain(rule: &Value, set: &Set, run: &Run<'_>) -> Vec<Explained> {
    let mut teller = Teller {
        set,
        run,
        told: Vec::new(),
    };
    teller.part(rule, "/targeting", 0);
    teller.told
}

struct Teller<'r> {
    set: &'r Set,
    run: &'r Run<'r>,
    told: Vec<Explained>,
}

/// Deepest part that is told of.
const MAX_DEPTH: usize = 100;

impl Teller<'_> {
    /// What a part comes to; what cannot be evaluated is null.
    fn value(&self, rule: &Value) -> (Value, bool) {
        let Ok(node) = Reader::new("", &self.set.evaluators).rule(rule) else {
            return (Value::Null, false);
        };
        let mut run = Run {
            left: MAX_WORK,
            ..*self.run
        };
        let value = node.eval(&Scope::Root, &mut run).unwrap_or(Val::Null);
        (to_json(&value), truth(&value))
    }

    fn part(&mut self, rule: &Value, place: &str, depth: usize) -> bool {
        let (value, truth) = self.value(rule);
        let Some((operator, arguments)) = operation(rule).filter(|_| depth < MAX_DEPTH) else {
            return truth;
        };
        let at = self.told.len();
        self.told.push(Explained {
            depth,
            position: format!("{place}/{operator}"),
            result: value,
            note: None,
        });
        let one = std::slice::from_ref(arguments);
        let arguments = arguments.as_array().map_or(one, Vec::as_slice);
        let below = |place_of: usize| format!("{place}/{operator}/{place_of}");
        match operator {
            "if" | "?:" => self.branches(arguments, &below, depth),
            "and" | "or" => {
                for (index, argument) in arguments.iter().enumerate() {
                    if self.part(argument, &below(index), depth + 1) == (operator == "or") {
                        break;
                    }
                }
            }
            "$ref" => {
                let name = arguments.first().and_then(Value::as_str).unwrap_or_default();
                if let Some(rule) = self.set.evaluators().get(name).cloned() {
                    self.part(&rule, &format!("/$evaluators/{name}"), depth + 1);
                }
            }
            "fractional" => {
                let note = self.buckets(rule);
                if let Some(told) = self.told.get_mut(at) {
                    told.note = note;
                }
                for (index, argument) in arguments.iter().enumerate().filter(|(_, each)| each.is_object()) {
                    self.part(argument, &below(index), depth + 1);
                }
            }
            // Their rules see one item after the other.
            "map" | "filter" | "reduce" | "all" | "some" | "none" => {
                if let Some(list) = arguments.first() {
                    self.part(list, &below(0), depth + 1);
                }
            }
            "var" => {}
            _ => {
                for (index, argument) in arguments.iter().enumerate() {
                    self.part(argument, &below(index), depth + 1);
                }
            }
        }
        truth
    }

    fn branches(&mut self, arguments: &[Value], below: &dyn Fn(usize) -> String, depth: usize) {
        let mut at = 0;
        let mut pairs = arguments.chunks_exact(2);
        for pair in &mut pairs {
            if let [condition, then] = pair
                && self.part(condition, &below(at), depth + 1)
            {
                self.part(then, &below(at + 1), depth + 1);
                return;
            }
            at += 2;
        }
        if let [otherwise] = pairs.remainder() {
            self.part(otherwise, &below(at), depth + 1);
        }
    }

    /// The hash and the buckets of a `fractional`.
    fn buckets(&self, rule: &Value) -> Option<String> {
        let (_, arguments) = operation(rule)?;
        let mut reader = Reader::new("", &self.set.evaluators);
        let nodes = match arguments {
            Value::Array(items) => items
                .iter()
                .map(|item| reader.rule(item))
                .collect::<Result<Box<_>, _>>(),
            one => reader.rule(one).map(|node| [node].into()),
        };
        let args = Args::Each(nodes.ok()?);
        let mut run = Run {
            left: MAX_WORK,
            ..*self.run
        };
        let values = args.all(&Scope::Root, &mut run).ok()?;
        let Some(look) = look(&values, &Scope::Root, &mut run).ok()? else {
            return Some("no key to split by, or buckets that are not valid".to_owned());
        };
        let total: u64 = look.buckets.iter().map(|(_, weight)| weight).sum();
        let mut from = 0;
        let ranges = look.buckets.iter().map(|(variant, weight)| {
            let end = from + weight;
            let mark = if (from..end).contains(&look.place) {
                "*"
            } else {
                ""
            };
            let range = format!("{mark}{} {from}..{end}", to_json(variant));
            from = end;
            range
        });
        let ranges = ranges.collect::<Vec<_>>().join(", ");
        let bucketing = self.run.bucketing.as_str();
        let (hash, place) = (look.hash, look.place);
        Some(format!(
            "{bucketing} hash {hash:#010x}, place {place} of {total}: {ranges}"
        ))
    }
}

fn operation(rule: &Value) -> Option<(&str, &Value)> {
    let members = rule.as_object().filter(|members| members.len() == 1)?;
    members
        .iter()
        .next()
        .map(|(operator, arguments)| (operator.as_str(), arguments))
}

fn to_json(value: &Val<'_>) -> Value {
    match value {
        Val::Null => Value::Null,
        Val::Bool(bool) => json!(bool),
        Val::Num(_) => {
            let text = number_text(number(value));
            serde_json::from_str(&text).unwrap_or(Value::String(text))
        }
        Val::Number(number) => Value::Number((*number).clone()),
        Val::Str(text) => json!(text),
        Val::Text(text) => json!(&**text),
        Val::List(items) => Value::Array(items.to_vec()),
        Val::Items(..) => Value::Array(value.items().map(|item| to_json(&item)).collect()),
        Val::Object(members) => Value::Object((*members).clone()),
        Val::Root => json!("the whole context"),
        Val::Flagd => json!("$flagd"),
    }
}
