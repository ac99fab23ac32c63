//! The way through a rule: owns telling what each part of it that counts came to. It evaluates the parts one by one
//! and is for people, not for speed: what is too much to be read is not told.

use serde_json::{Value, json};

use super::coerce::{number, number_text, truth};
use super::parse::Reader;
use super::run::{MAX_WORK, Run, Stop};
use super::split::{Look, look};
use super::value::{Scope, Val};
use crate::flag::error::below;
use crate::flag::explain::Explained;
use crate::flag::set::Set;

/// Deepest part that is told of.
const MAX_DEPTH: usize = 100;
/// Most parts that are told of.
const MAX_TOLD: usize = 1000;
/// Most work of an explanation; each of its parts may do as much as an evaluation.
const MAX_ALL: u32 = 4 * MAX_WORK;

/// Tells what `rule` comes to, and what its parts do as far as they are looked at.
pub(in crate::flag) fn explain(rule: &Value, set: &Set, run: &Run<'_>) -> Vec<Explained> {
    let mut teller = Teller {
        set,
        run,
        left: MAX_ALL,
        told: Vec::new(),
    };
    teller.part(rule, "/targeting", 0);
    if teller.is_done()
        && let Some(last) = teller.told.last_mut()
    {
        let note = last.note.take().map(|note| note + "; ").unwrap_or_default();
        last.note = Some(note + "what follows is not told: it is too much");
    }
    teller.told
}

struct Teller<'r> {
    set: &'r Set,
    run: &'r Run<'r>,
    left: u32,
    told: Vec<Explained>,
}

impl Teller<'_> {
    fn is_done(&self) -> bool {
        self.left == 0 || self.told.len() >= MAX_TOLD
    }

    /// Does a piece of the work, which gives what of its own is left too; `None` when it takes too much.
    fn work<T>(&mut self, piece: impl FnOnce(&Set, Run<'_>) -> Result<(T, u32), Stop>) -> Option<T> {
        let granted = self.left.min(MAX_WORK);
        let run = Run {
            left: granted,
            ..*self.run
        };
        let (done, left) = piece(self.set, run).map_or((None, 0), |(done, left)| (Some(done), left));
        self.left -= granted.saturating_sub(left);
        done
    }

    /// What a part comes to, and whether that holds; what cannot be evaluated is null. `None` when it takes too much.
    fn value(&mut self, rule: &Value) -> Option<(Value, bool)> {
        self.work(|set, mut run| {
            written(rule, &mut run)?;
            let Ok(node) = Reader::new("", &set.evaluators).rule(rule) else {
                return Ok(((Value::Null, false), run.left));
            };
            let mut run = run;
            let value = node.eval(&Scope::Root, &mut run)?;
            Ok(((to_json(&value, &mut run)?, truth(&value)), run.left))
        })
    }

    /// Tells of a part, and whether it holds; `None` when that is not known.
    fn part(&mut self, rule: &Value, place: &str, depth: usize) -> Option<bool> {
        if self.is_done() {
            return None;
        }
        let Some((operator, arguments)) = operation(rule) else {
            return Some(truth(&rule.into()));
        };
        let value = self.value(rule);
        let truth = value.as_ref().map(|(_, truth)| *truth);
        if depth >= MAX_DEPTH {
            return truth;
        }
        let place = below(place, operator);
        let note = match operator {
            _ if value.is_none() => Some("it takes too much work".to_owned()),
            "fractional" => self.buckets(arguments),
            _ => None,
        };
        self.told.push(Explained {
            depth,
            position: place.clone(),
            result: value.map_or(Value::Null, |(value, _)| value),
            note,
        });
        let one = std::slice::from_ref(arguments);
        let (arguments, is_list) = match arguments.as_array() {
            Some(arguments) => (arguments.as_slice(), true),
            None => (one, false),
        };
        let place_of = |index: usize| match is_list {
            true => below(&place, &index.to_string()),
            false => place.clone(),
        };
        match operator {
            "if" | "?:" => self.branches(arguments, &place_of, depth),
            "and" | "or" => {
                for (index, argument) in arguments.iter().enumerate() {
                    let goes_on = Some(operator == "and");
                    if self.part(argument, &place_of(index), depth + 1) != goes_on {
                        break;
                    }
                }
            }
            "$ref" => {
                let name = arguments.first().and_then(Value::as_str).unwrap_or_default();
                let set = self.set;
                if let Some(rule) = set.evaluators().get(name) {
                    self.part(rule, &below("/$evaluators", name), depth + 1);
                }
            }
            // Their rules see one item after the other.
            "map" | "filter" | "reduce" | "all" | "some" | "none" => {
                if let Some(list) = arguments.first() {
                    self.part(list, &place_of(0), depth + 1);
                }
            }
            "var" => {}
            _ => {
                let is_bucket = |argument: &Value| operator == "fractional" && argument.is_array();
                for (index, argument) in arguments.iter().enumerate() {
                    if !is_bucket(argument) {
                        self.part(argument, &place_of(index), depth + 1);
                    }
                }
            }
        }
        truth
    }

    fn branches(&mut self, arguments: &[Value], place_of: &dyn Fn(usize) -> String, depth: usize) {
        let mut at = 0;
        let mut pairs = arguments.chunks_exact(2);
        for pair in &mut pairs {
            let [condition, then] = pair else { return };
            match self.part(condition, &place_of(at), depth + 1) {
                Some(false) => at += 2,
                Some(true) => {
                    self.part(then, &place_of(at + 1), depth + 1);
                    return;
                }
                // which way it goes on from here is not known
                None => return,
            }
        }
        if let [otherwise] = pairs.remainder() {
            self.part(otherwise, &place_of(at), depth + 1);
        }
    }

    /// The hash and the buckets of a `fractional`.
    fn buckets(&mut self, arguments: &Value) -> Option<String> {
        let text = self.work(|set, mut run| {
            written(arguments, &mut run)?;
            let Ok(args) = Reader::new("", &set.evaluators).args(arguments) else {
                return Ok((None, run.left));
            };
            let mut run = run;
            let values = args.all(&Scope::Root, &mut run)?;
            let text = match look(&values, &Scope::Root, &mut run)? {
                Some(look) => ranges(&look, &mut run)?,
                None => "no key to split by, or buckets that are not valid".to_owned(),
            };
            Ok((Some(text), run.left))
        });
        text.flatten()
    }
}

/// A hash, and the buckets with the one it falls into.
fn ranges(look: &Look<'_>, run: &mut Run<'_>) -> Result<String, Stop> {
    let mut ranges = Vec::new();
    let mut from = 0;
    for (variant, weight) in &look.buckets {
        let end = from + weight;
        let mark = if (from..end).contains(&look.place) {
            "*"
        } else {
            ""
        };
        ranges.push(format!("{mark}{} {from}..{end}", to_json(variant, run)?));
        from = end;
    }
    let bucketing = run.bucketing.as_str();
    let (hash, place, ranges) = (look.hash, look.place, ranges.join(", "));
    Ok(format!(
        "{bucketing} hash {hash:#010x}, place {place} of {from}: {ranges}"
    ))
}

fn operation(rule: &Value) -> Option<(&str, &Value)> {
    let members = rule.as_object().filter(|members| members.len() == 1)?;
    members
        .iter()
        .next()
        .map(|(operator, arguments)| (operator.as_str(), arguments))
}

/// What it costs to read a value that is written out, or to write it.
fn written(value: &Value, run: &mut Run<'_>) -> Result<(), Stop> {
    run.spend()?;
    match value {
        Value::String(text) => run.spend_bytes(text.len()),
        Value::Array(items) => items.iter().try_for_each(|item| written(item, run)),
        Value::Object(members) => members.iter().try_for_each(|(name, value)| {
            run.spend_bytes(name.len())?;
            written(value, run)
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

fn to_json(value: &Val<'_>, run: &mut Run<'_>) -> Result<Value, Stop> {
    let json = match value {
        Val::Null => Value::Null,
        Val::Bool(bool) => json!(bool),
        Val::Num(_) => {
            let text = number_text(number(value));
            serde_json::from_str(&text).unwrap_or(Value::String(text))
        }
        Val::Number(number) => Value::Number((*number).clone()),
        Val::Str(text) => json!(text),
        Val::Text(text) => json!(&**text),
        Val::List(_) | Val::Items(..) => {
            let items = value.items().map(|item| to_json(&item, run));
            Value::Array(items.collect::<Result<_, _>>()?)
        }
        Val::Object(members) => {
            let member = |(name, value): (&String, &Value)| {
                run.spend_bytes(name.len())?;
                Ok((name.clone(), to_json(&value.into(), run)?))
            };
            Value::Object(members.iter().map(member).collect::<Result<_, _>>()?)
        }
        Val::Root => json!("the whole context"),
        Val::Flagd => json!("$flagd"),
    };
    match &json {
        Value::String(text) => run.spend_bytes(text.len())?,
        _ => run.spend()?,
    }
    Ok(json)
}
