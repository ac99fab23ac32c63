//! Reading a rule from JSON: owns which operators there are, what their arguments have to be, and that a rule is
//! not too deep. It must not know contexts. What can be evaluated is compiled, and where flagd's schema
//! forbids it, that is noted too: flagd evaluates it all the same, and a commit is refused.

use std::borrow::Cow;

use serde_json::Value;

use super::args::Args;
use super::coerce::number_text;
use super::node::{Each, Math, Node, Order};
use super::prepare;
use super::value::Path;
use crate::flag::error::{FlagError, below};
use crate::flag::set::Evaluators;

/// Deepest nesting of a rule.
pub(in crate::flag) const MAX_DEPTH: usize = 100;
/// Most faults that are listed.
const MAX_FAULTS: usize = 20;

/// What a rule asks its surroundings for.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::flag) struct Asks {
    /// For anything at all: what does not is always the same.
    pub(in crate::flag) any: bool,
    /// For the time, perhaps.
    pub(in crate::flag) time: bool,
    /// For a user's place: it has a `fractional`.
    pub(in crate::flag) split: bool,
}

/// One reading of a rule.
#[derive(Debug)]
pub(in crate::flag) struct Reader<'s> {
    evaluators: &'s Evaluators,
    /// Where the value at hand stands.
    position: String,
    /// How deep that is.
    depth: usize,
    /// What flagd's schema forbids.
    pub(in crate::flag) faults: Vec<FlagError>,
    pub(in crate::flag) asks: Asks,
}

impl<'s> Reader<'s> {
    /// Reads what stands at `root`, a JSON pointer.
    pub(in crate::flag) fn new(root: &str, evaluators: &'s Evaluators) -> Self {
        Self {
            evaluators,
            position: root.to_owned(),
            depth: 0,
            faults: Vec::new(),
            asks: Asks::default(),
        }
    }

    pub(in crate::flag) fn rule(&mut self, value: &Value) -> Result<Node, FlagError> {
        match value {
            Value::Object(members) => {
                let mut all = members.iter();
                match (all.next(), all.next()) {
                    (Some((operator, arguments)), None) => self.operation(operator, arguments),
                    (first, _) => {
                        if first.is_some() {
                            self.fault("an object with several members is no rule");
                        }
                        Ok(Node::Literal(value.clone()))
                    }
                }
            }
            Value::Array(items) => {
                let nodes = self.nodes(items)?;
                if nodes.iter().all(|node| matches!(node, Node::Literal(_))) {
                    Ok(Node::Literal(value.clone()))
                } else {
                    Ok(Node::List(nodes))
                }
            }
            _ => Ok(Node::Literal(value.clone())),
        }
    }

    fn within<T>(
        &mut self,
        step: &str,
        read: impl FnOnce(&mut Self) -> Result<T, FlagError>,
    ) -> Result<T, FlagError> {
        if self.depth >= MAX_DEPTH {
            return Err(self.error("it is nested too deep; 100 levels are the most"));
        }
        let inner = below(&self.position, step);
        let outer = std::mem::replace(&mut self.position, inner);
        self.depth += 1;
        let read = read(self);
        self.depth -= 1;
        self.position = outer;
        read
    }

    fn nodes(&mut self, items: &[Value]) -> Result<Box<[Node]>, FlagError> {
        let mut nodes = Vec::with_capacity(items.len());
        for (at, item) in items.iter().enumerate() {
            let node = match item {
                Value::Object(_) | Value::Array(_) => {
                    self.within(&at.to_string(), |reader| reader.rule(item))?
                }
                scalar => Node::Literal(scalar.clone()),
            };
            nodes.push(node);
        }
        Ok(nodes.into())
    }

    /// Several values, of which one need not stand in a list.
    fn several(&mut self, arguments: &Value) -> Result<Box<[Node]>, FlagError> {
        match arguments {
            Value::Array(items) => self.nodes(items),
            one => Ok([self.rule(one)?].into()),
        }
    }

    pub(super) fn args(&mut self, arguments: &Value) -> Result<Args, FlagError> {
        Ok(match arguments {
            Value::Array(items) => Args::Each(self.nodes(items)?),
            one => match self.rule(one)? {
                literal @ Node::Literal(_) => Args::Each([literal].into()),
                rule => Args::One(Box::new(rule)),
            },
        })
    }

    /// Arguments of which there must be so many.
    fn counted(&mut self, arguments: &Value, least: usize, most: usize) -> Result<Args, FlagError> {
        let args = self.args(arguments)?;
        if let Args::Each(nodes) = &args
            && !(least..=most).contains(&nodes.len())
        {
            self.fault(match (least, most) {
                (a, b) if a == b => format!("it takes {a} arguments"),
                (a, usize::MAX) => format!("it takes at least {a} arguments"),
                (a, b) => format!("it takes {a} to {b} arguments"),
            });
        }
        Ok(args)
    }

    fn operation(&mut self, operator: &str, arguments: &Value) -> Result<Node, FlagError> {
        if operator == "$ref" {
            let found = arguments.as_str().and_then(|name| self.evaluators.get(name));
            let Some(found) = found else {
                return Err(self.error("`$ref` names no evaluator of its set"));
            };
            self.asks.any |= found.asks.any;
            self.asks.time |= found.asks.time;
            self.asks.split |= found.asks.split;
            return Ok(Node::Shared(std::sync::Arc::clone(&found.node)));
        }
        let known = self.within(operator, |reader| reader.known(operator, arguments))?;
        // Told of where it stands: its name is not.
        known.ok_or_else(|| self.error("there is no such operator"))
    }

    /// `None` when there is no such operator.
    fn known(&mut self, operator: &str, arguments: &Value) -> Result<Option<Node>, FlagError> {
        const MANY: usize = usize::MAX;
        let equal = |args, strict, negated| Node::Equal {
            args,
            strict,
            negated,
        };
        if let "var" | "missing" | "missing_some" | "fractional" = operator {
            self.asks.any = true;
        }
        Ok(Some(match operator {
            "var" => self.var(arguments)?,
            "if" | "?:" => Node::If(self.several(arguments)?),
            "and" => Node::And(self.several(arguments)?),
            "or" => Node::Or(self.several(arguments)?),
            "!" | "!!" => Node::Not {
                args: self.counted(arguments, 1, 1)?,
                twice: operator == "!!",
            },
            "==" => equal(self.counted(arguments, 2, 2)?, false, false),
            "!=" => equal(self.counted(arguments, 2, 2)?, false, true),
            "===" => equal(self.counted(arguments, 2, 2)?, true, false),
            "!==" => equal(self.counted(arguments, 2, 2)?, true, true),
            "<" => Node::Order(Order::Less, self.counted(arguments, 2, 3)?),
            "<=" => Node::Order(Order::AtMost, self.counted(arguments, 2, 3)?),
            ">" => Node::Order(Order::More, self.counted(arguments, 2, 3)?),
            ">=" => Node::Order(Order::AtLeast, self.counted(arguments, 2, 3)?),
            "+" => Node::Math(Math::Add, self.counted(arguments, 1, MANY)?),
            "-" => Node::Math(Math::Subtract, self.counted(arguments, 1, MANY)?),
            "*" => Node::Math(Math::Multiply, self.counted(arguments, 1, MANY)?),
            "/" => Node::Math(Math::Divide, self.counted(arguments, 1, MANY)?),
            "%" => Node::Math(Math::Remainder, self.counted(arguments, 2, 2)?),
            "min" => Node::Math(Math::Min, self.counted(arguments, 1, MANY)?),
            "max" => Node::Math(Math::Max, self.counted(arguments, 1, MANY)?),
            "cat" => Node::Cat(self.args(arguments)?),
            "substr" => Node::Substr(self.counted(arguments, 2, 3)?),
            "in" => Node::In(self.counted(arguments, 2, 2)?),
            "merge" => Node::Merge(self.args(arguments)?),
            "missing" => Node::Missing(self.args(arguments)?),
            "missing_some" => Node::MissingSome(self.counted(arguments, 2, 2)?),
            "map" => self.each(Each::Map, arguments)?,
            "filter" => self.each(Each::Filter, arguments)?,
            "all" => self.each(Each::All, arguments)?,
            "some" => self.each(Each::Some, arguments)?,
            "none" => self.each(Each::None, arguments)?,
            "reduce" => {
                let [list, rule, start] = self.taken(arguments)?;
                Node::Reduce { list, rule, start }
            }
            "starts_with" | "ends_with" => Node::Affix {
                args: self.counted(arguments, 2, 2)?,
                end: operator == "ends_with",
            },
            "sem_ver" => {
                let args = self.counted(arguments, 3, 3)?;
                prepare::version(&args, self);
                Node::SemVer(args)
            }
            "fractional" => {
                self.asks.split = true;
                let args = self.args(arguments)?;
                Node::Split(Box::new(prepare::split(args, self)))
            }
            _ => return Ok(None),
        }))
    }

    fn var(&mut self, arguments: &Value) -> Result<Node, FlagError> {
        let (path, default) = match arguments {
            Value::Array(items) => (items.first().unwrap_or(&Value::Null), items.get(1)),
            one => (one, None),
        };
        let path = match path {
            Value::String(path) => Cow::Borrowed(path.as_str()),
            Value::Number(number) => Cow::Owned(number_text(number.as_f64().unwrap_or(f64::NAN))),
            Value::Null => Cow::Borrowed(""),
            Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
                self.asks.time = true;
                return Ok(Node::VarOf(self.args(arguments)?));
            }
        };
        let path = Path::new(&path);
        self.asks.time |= path.may_tell_time();
        let default = default
            .map(|default| self.within("1", |reader| reader.rule(default)))
            .transpose()?;
        let default = default.map(Box::new);
        Ok(Node::Var { path, default })
    }

    fn each(&mut self, each: Each, arguments: &Value) -> Result<Node, FlagError> {
        let [list, rule] = self.taken(arguments)?;
        Ok(Node::Each { each, list, rule })
    }

    /// Exactly so many rules; what is not there is null.
    fn taken<const N: usize>(&mut self, arguments: &Value) -> Result<[Box<Node>; N], FlagError> {
        let nodes = self.several(arguments)?;
        if nodes.len() != N {
            self.fault(format!("it takes {N} arguments"));
        }
        let mut nodes = nodes.into_iter();
        Ok(std::array::from_fn(|_| {
            Box::new(nodes.next().unwrap_or(Node::Literal(Value::Null)))
        }))
    }

    /// Notes what flagd's schema forbids here.
    pub(super) fn fault(&mut self, problem: impl Into<String>) {
        if self.faults.len() < MAX_FAULTS {
            let fault = self.error(problem);
            self.faults.push(fault);
        }
    }

    fn error(&self, problem: impl Into<String>) -> FlagError {
        FlagError {
            position: self.position.clone(),
            problem: problem.into(),
        }
    }
}
