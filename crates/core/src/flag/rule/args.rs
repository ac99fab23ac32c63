//! The arguments of an operator: owns that one argument need not stand in a list, and that a single rule
//! which gives a list stands for the arguments, as flagd has it. It must not know operators.

use super::node::Node;
use super::run::{Run, Stop};
use super::value::{Scope, Val};

/// What stands behind an operator.
#[derive(Debug)]
pub(in crate::flag) enum Args {
    /// A list, or one literal.
    Each(Box<[Node]>),
    /// One rule.
    One(Box<Node>),
}

/// Arguments of which a single rule was evaluated, and those of a list were not yet.
pub(super) enum Ready<'a> {
    Each(&'a [Node]),
    List(Val<'a>),
    One(Val<'a>),
}

impl Args {
    pub(super) fn ready<'a>(&'a self, scope: &Scope<'a>, run: &mut Run<'a>) -> Result<Ready<'a>, Stop> {
        match self {
            Self::Each(nodes) => Ok(Ready::Each(nodes)),
            Self::One(node) => {
                let value = node.eval(scope, run)?;
                Ok(if value.count().is_some() {
                    Ready::List(value)
                } else {
                    Ready::One(value)
                })
            }
        }
    }

    /// All of them.
    pub(super) fn all<'a>(&'a self, scope: &Scope<'a>, run: &mut Run<'a>) -> Result<Vec<Val<'a>>, Stop> {
        let ready = self.ready(scope, run)?;
        let mut all = Vec::with_capacity(ready.count());
        for at in 0..ready.count() {
            all.extend(ready.at(at, scope, run)?);
        }
        Ok(all)
    }
}

impl<'a> Ready<'a> {
    pub(super) fn count(&self) -> usize {
        match self {
            Self::Each(nodes) => nodes.len(),
            Self::List(list) => list.count().unwrap_or(0),
            Self::One(_) => 1,
        }
    }

    /// The argument at a place; `None` where there is none.
    pub(super) fn at(
        &self,
        at: usize,
        scope: &Scope<'a>,
        run: &mut Run<'a>,
    ) -> Result<Option<Val<'a>>, Stop> {
        match self {
            Self::Each(nodes) => nodes.get(at).map(|node| node.eval(scope, run)).transpose(),
            Self::List(list) => {
                run.spend()?;
                list.item(at).map(|item| run.take(item)).transpose()
            }
            Self::One(value) => Ok((at == 0).then(|| value.clone())),
        }
    }

    /// The same, null where there is none.
    pub(super) fn get(&self, at: usize, scope: &Scope<'a>, run: &mut Run<'a>) -> Result<Val<'a>, Stop> {
        Ok(self.at(at, scope, run)?.unwrap_or(Val::Null))
    }
}
