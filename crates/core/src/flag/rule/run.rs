//! Evaluating a rule: owns going through its nodes and what one evaluation may cost. It must not know
//! where the rule came from, nor variants.

use serde_json::{Map, Value};

use super::args::Args;
use super::coerce::{self, truth};
use super::node::{Node, Order};
use super::value::{Scope, Val};
use super::{lists, math, version, words};
use crate::flag::Bucketing;

/// Why an evaluation has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::flag) enum Stop {
    /// It took more than [`MAX_WORK`].
    Work,
}

/// Most operations of one evaluation; sixteen bytes of text that are read or made count as one.
pub const MAX_WORK: u32 = 1_000_000;

/// One evaluation: what a rule can ask of its surroundings, and what it has spent.
#[derive(Debug)]
pub(in crate::flag) struct Run<'a> {
    pub(in crate::flag) context: &'a Map<String, Value>,
    /// What is known of who asks, without their saying so; where there is nothing, `$peer` is the caller's own.
    pub(in crate::flag) peer: Option<&'a Value>,
    pub(in crate::flag) key: &'a str,
    /// Seconds since 1970.
    pub(in crate::flag) now: u64,
    pub(in crate::flag) bucketing: Bucketing,
    pub(in crate::flag) left: u32,
}

impl<'a> Run<'a> {
    /// What the context has under a name; `$flagd` is ours whatever the caller says, and so is `$peer` where it
    /// is known who asks.
    pub(super) fn member(&self, name: &str) -> Option<Val<'a>> {
        match name {
            "$flagd" => Some(Val::Flagd),
            _ => self.known(name).or_else(|| self.context.get(name).map(Val::from)),
        }
    }

    /// `$peer`, where it is known who asks: it is the same in every scope, for what items have callers may have said.
    pub(super) fn known(&self, name: &str) -> Option<Val<'a>> {
        self.peer.filter(|_| name == "$peer").map(Val::from)
    }

    pub(super) fn flagd(&self, name: &str) -> Option<Val<'a>> {
        match name {
            "flagKey" => Some(Val::Str(self.key)),
            #[allow(clippy::cast_precision_loss)] // exact until the year 285 million
            "timestamp" => Some(Val::Num(self.now as f64)),
            _ => None,
        }
    }

    /// The key that users are split by where a rule names none; there is none for items of lists.
    pub(super) fn targeting_key(&self, scope: &Scope<'a>) -> Option<&'a str> {
        let Scope::Root = scope else { return None };
        let key = self.context.get("targetingKey")?.as_str()?;
        (!key.is_empty()).then_some(key)
    }

    pub(super) fn spend(&mut self) -> Result<(), Stop> {
        self.left = self.left.checked_sub(1).ok_or(Stop::Work)?;
        Ok(())
    }

    /// Takes a value that a rule works with: it goes through a text, which costs by its length.
    pub(super) fn take(&mut self, value: Val<'a>) -> Result<Val<'a>, Stop> {
        if let Some(text) = value.as_str() {
            self.spend_bytes(text.len())?;
        }
        Ok(value)
    }

    pub(super) fn spend_bytes(&mut self, bytes: usize) -> Result<(), Stop> {
        let units = u32::try_from(bytes / 16).unwrap_or(u32::MAX);
        self.left = self.left.checked_sub(units).ok_or(Stop::Work)?;
        Ok(())
    }
}

impl Node {
    pub(in crate::flag) fn eval<'a>(&'a self, scope: &Scope<'a>, run: &mut Run<'a>) -> Result<Val<'a>, Stop> {
        run.spend()?;
        match self {
            Self::Literal(value) => run.take(value.into()),
            Self::List(items) => list(items, scope, run),
            Self::Shared(node) => node.eval(scope, run),
            Self::Var { path, default } => match (path.find(scope, run)?, default) {
                (Some(found), _) => run.take(found),
                (None, Some(default)) => default.eval(scope, run),
                (None, None) => Ok(Val::Null),
            },
            Self::VarOf(args) => lists::var(args, scope, run),
            Self::If(nodes) => choose(nodes, scope, run),
            Self::And(nodes) => first(nodes, false, scope, run),
            Self::Or(nodes) => first(nodes, true, scope, run),
            Self::Not { args, twice } => not(args, *twice, scope, run),
            Self::Equal {
                args,
                strict,
                negated,
            } => Ok(Val::Bool(equal(args, *strict, scope, run)? != *negated)),
            Self::Order(order, args) => ordered(*order, args, scope, run),
            Self::Math(math, args) => math::eval(*math, args, scope, run),
            Self::Cat(args) => words::cat(args, scope, run),
            Self::Substr(args) => words::substr(args, scope, run),
            Self::In(args) => words::contains(args, scope, run),
            Self::Affix { args, end } => words::affix(args, *end, scope, run),
            Self::SemVer(args) => version::eval(args, scope, run),
            Self::Merge(args) => lists::merge(args, scope, run),
            Self::Missing(args) => lists::missing(args, scope, run),
            Self::MissingSome(args) => lists::missing_some(args, scope, run),
            Self::Each { each, list, rule } => lists::each(*each, list, rule, scope, run),
            Self::Reduce { list, rule, start } => lists::reduce(list, rule, start, scope, run),
            Self::Split(split) => split.eval(scope, run),
        }
    }
}

impl Order {
    fn holds(self, a: &Val<'_>, b: &Val<'_>) -> bool {
        let Some(order) = coerce::order(a, b) else {
            return false;
        };
        match self {
            Self::Less => order.is_lt(),
            Self::AtMost => order.is_le(),
            Self::More => order.is_gt(),
            Self::AtLeast => order.is_ge(),
        }
    }
}

// Each operator is a function of its own that is not made part of `eval`: that one calls itself, and is to need little
// stack and to begin quickly.

#[inline(never)]
fn list<'a>(items: &'a [Node], scope: &Scope<'a>, run: &mut Run<'a>) -> Result<Val<'a>, Stop> {
    let items: Result<_, _> = items.iter().map(|item| item.eval(scope, run)).collect();
    Val::list(items?)
}

#[inline(never)]
fn not<'a>(args: &'a Args, twice: bool, scope: &Scope<'a>, run: &mut Run<'a>) -> Result<Val<'a>, Stop> {
    let args = args.ready(scope, run)?;
    Ok(Val::Bool(truth(&args.get(0, scope, run)?) == twice))
}

#[inline(never)]
fn equal<'a>(args: &'a Args, strict: bool, scope: &Scope<'a>, run: &mut Run<'a>) -> Result<bool, Stop> {
    let compare = if strict { coerce::same } else { coerce::equal };
    // The usual case without a detour.
    if let Args::Each(nodes) = args
        && let [a, b] = &**nodes
    {
        return Ok(compare(&a.eval(scope, run)?, &b.eval(scope, run)?));
    }
    let args = args.ready(scope, run)?;
    Ok(match (args.at(0, scope, run)?, args.at(1, scope, run)?) {
        (Some(a), Some(b)) => compare(&a, &b),
        _ => false,
    })
}

#[inline(never)]
fn ordered<'a>(order: Order, args: &'a Args, scope: &Scope<'a>, run: &mut Run<'a>) -> Result<Val<'a>, Stop> {
    let args = args.ready(scope, run)?;
    let (Some(a), Some(b)) = (args.at(0, scope, run)?, args.at(1, scope, run)?) else {
        return Ok(Val::Bool(false));
    };
    let holds = order.holds(&a, &b);
    let between = match args.at(2, scope, run)? {
        Some(c) => order.holds(&b, &c),
        None => true,
    };
    Ok(Val::Bool(holds && between))
}

/// `if`: pairs of a condition and what it gives, and at last what is given else.
#[inline(never)]
fn choose<'a>(nodes: &'a [Node], scope: &Scope<'a>, run: &mut Run<'a>) -> Result<Val<'a>, Stop> {
    let mut pairs = nodes.chunks_exact(2);
    for pair in &mut pairs {
        if let [condition, then] = pair
            && truth(&condition.eval(scope, run)?)
        {
            return then.eval(scope, run);
        }
    }
    match pairs.remainder() {
        [otherwise] => otherwise.eval(scope, run),
        _ => Ok(Val::Null),
    }
}

/// `or` and `and`: the first value whose truth is `wanted`, else the last one.
#[inline(never)]
fn first<'a>(nodes: &'a [Node], wanted: bool, scope: &Scope<'a>, run: &mut Run<'a>) -> Result<Val<'a>, Stop> {
    let mut last = Val::Null;
    for node in nodes {
        last = node.eval(scope, run)?;
        if truth(&last) == wanted {
            break;
        }
    }
    Ok(last)
}
