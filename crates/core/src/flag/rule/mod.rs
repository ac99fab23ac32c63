//! Targeting rules: owns JSONLogic with flagd's operators, compiled from JSON and evaluated on a context. It
//! must not know flags, variants or stores.
//!
//! A rule is compiled once and shared; an evaluation borrows from the rule and the context, and allocates
//! only for texts and lists that operators make. Nesting and work are bounded, nothing panics.

mod args;
mod coerce;
mod explain;
mod lists;
mod math;
mod node;
mod parse;
mod prepare;
mod run;
mod split;
mod value;
mod version;
mod words;

pub(super) use explain::explain;
pub(super) use node::Node;
pub(super) use parse::{Asks, Reader};
pub use run::MAX_WORK;
pub(super) use run::{Run, Stop};
use serde_json::{Map, Value};
use value::{Scope, Val};

use super::set::{Bucketing, Evaluators};

/// What a rule chose.
#[derive(Debug, PartialEq)]
pub(super) enum Choice<'a> {
    /// Null: the default holds.
    Nothing,
    /// A name that the rule or the context has.
    Name(&'a str),
    /// A name that was made.
    Made(String),
    /// A list or an object, which names nothing.
    Other,
}

/// Evaluates a rule and takes the result for a name, as flagd does: numbers and booleans by their text.
pub(super) fn choose<'a>(rule: &'a Node, run: &mut Run<'a>) -> Result<Choice<'a>, Stop> {
    Ok(match rule.eval(&Scope::Root, run)? {
        Val::Null => Choice::Nothing,
        Val::Str(name) => Choice::Name(name),
        Val::Text(name) => Choice::Made((*name).to_owned()),
        Val::Bool(true) => Choice::Name("true"),
        Val::Bool(false) => Choice::Name("false"),
        number @ (Val::Num(_) | Val::Number(_)) => Choice::Made(coerce::number_text(coerce::number(&number))),
        Val::List(_) | Val::Items(..) | Val::Object(_) | Val::Root | Val::Flagd => Choice::Other,
    })
}

/// Whether a rule holds that asks for nothing; `None` for any other, and for what cannot be evaluated with the work
/// that is left.
pub(super) fn constant(rule: &Value, evaluators: &Evaluators, left: &mut u32) -> Option<bool> {
    let mut reader = Reader::new("", evaluators);
    let node = reader.rule(rule).ok().filter(|_| !reader.asks.any)?;
    let granted = (*left).min(MAX_WORK);
    let mut run = Run {
        context: &Map::new(),
        peer: None,
        key: "",
        now: 0,
        bucketing: Bucketing::default(),
        left: granted,
    };
    let value = node.eval(&Scope::Root, &mut run);
    *left -= granted - run.left;
    value.ok().map(|value| coerce::truth(&value))
}
