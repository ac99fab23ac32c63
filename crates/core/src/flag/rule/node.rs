//! A compiled rule: owns its nodes. It must not know JSON rules are made from, nor contexts.

use std::sync::Arc;

use serde_json::Value;

use super::args::Args;
use super::split::Split;
use super::value::Path;

/// One operation, or a literal.
#[derive(Debug)]
pub(in crate::flag) enum Node {
    /// A literal: a scalar, a list without rules in it, or an object that is no rule.
    Literal(Value),
    /// A list of which some items are rules.
    List(Box<[Node]>),
    /// An evaluator of the flag's set.
    Shared(Arc<Node>),
    Var {
        path: Path,
        default: Option<Box<Node>>,
    },
    /// `var` of a path that a rule says.
    VarOf(Args),
    If(Box<[Node]>),
    And(Box<[Node]>),
    Or(Box<[Node]>),
    Not {
        args: Args,
        twice: bool,
    },
    Equal {
        args: Args,
        strict: bool,
        negated: bool,
    },
    Order(Order, Args),
    Math(Math, Args),
    Cat(Args),
    Substr(Args),
    In(Args),
    Affix {
        args: Args,
        end: bool,
    },
    SemVer(Args),
    Merge(Args),
    Missing(Args),
    MissingSome(Args),
    Each {
        each: Each,
        list: Box<Node>,
        rule: Box<Node>,
    },
    Reduce {
        list: Box<Node>,
        rule: Box<Node>,
        start: Box<Node>,
    },
    Split(Box<Split>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::flag) enum Order {
    Less,
    AtMost,
    More,
    AtLeast,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::flag) enum Math {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Min,
    Max,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::flag) enum Each {
    Map,
    Filter,
    All,
    Some,
    None,
}
