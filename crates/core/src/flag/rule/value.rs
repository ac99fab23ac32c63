//! What a rule works with: owns the values of a running evaluation, borrowed from the context and the rule
//! where they can be, and looking into them. It must not know operators.

use std::rc::Rc;

use serde_json::{Map, Number, Value};

use super::run::{Run, Stop};

/// One value. Cloning it allocates nothing.
#[derive(Clone, Debug)]
pub(in crate::flag) enum Val<'a> {
    Null,
    Bool(bool),
    /// A number that was computed.
    Num(f64),
    /// A number as the context or the rule has it.
    Number(&'a Number),
    Str(&'a str),
    /// A text that was computed.
    Text(Rc<str>),
    List(&'a [Value]),
    /// A list that was computed, by [`Val::list`], and how deep such lists lie within each other in it.
    Items(Rc<[Val<'a>]>, u8),
    Object(&'a Map<String, Value>),
    /// The whole context, `$flagd` included.
    Root,
    /// `$flagd`.
    Flagd,
}

impl<'a> From<&'a Value> for Val<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(bool) => Self::Bool(*bool),
            Value::Number(number) => Self::Number(number),
            Value::String(text) => Self::Str(text),
            Value::Array(items) => Self::List(items),
            Value::Object(members) => Self::Object(members),
        }
    }
}

impl From<String> for Val<'_> {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

/// Deepest list within lists.
pub(super) const MAX_LISTS: u8 = 128;

impl<'a> Val<'a> {
    /// A list that was computed. It is not too deep within others: to drop one takes stack.
    pub(super) fn list(items: Vec<Self>) -> Result<Self, Stop> {
        let depth = |item: &Self| match item {
            Self::Items(_, depth) => *depth,
            _ => 0,
        };
        match items.iter().map(depth).max().unwrap_or(0) {
            MAX_LISTS.. => Err(Stop::Work),
            deepest => Ok(Self::Items(items.into(), deepest + 1)),
        }
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// A text as it is, nothing converted.
    pub(super) fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) => Some(text),
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// How many items a list has; `None` for what is no list.
    pub(super) fn count(&self) -> Option<usize> {
        match self {
            Self::List(items) => Some(items.len()),
            Self::Items(items, _) => Some(items.len()),
            _ => None,
        }
    }

    /// One item of a list.
    pub(super) fn item(&self, at: usize) -> Option<Self> {
        match self {
            Self::List(items) => items.get(at).map(Self::from),
            Self::Items(items, _) => items.get(at).cloned(),
            _ => None,
        }
    }

    /// The items of a list; none of what is no list.
    pub(super) fn items(&self) -> impl Iterator<Item = Self> + use<'a> {
        let list = self.clone();
        (0..list.count().unwrap_or(0)).filter_map(move |at| list.item(at))
    }

    /// What a value has under one part of a path.
    fn member(&self, part: &Part, run: &Run<'a>) -> Option<Self> {
        match self {
            Self::Object(members) => members.get(&*part.name).map(Self::from),
            Self::List(_) | Self::Items(..) => self.item(part.index?),
            Self::Root => run.member(&part.name),
            Self::Flagd => run.flagd(&part.name),
            Self::Null | Self::Bool(_) | Self::Num(_) | Self::Number(_) | Self::Str(_) | Self::Text(_) => {
                None
            }
        }
    }
}

/// What `var` looks into.
#[derive(Debug)]
pub(in crate::flag) enum Scope<'a> {
    /// The context.
    Root,
    /// The item at hand of `map`, `filter`, `all`, `some` and `none`.
    Item(Val<'a>),
    /// What `reduce` gives its rule.
    Reduce { current: Val<'a>, accumulator: Val<'a> },
}

/// One part of a path: `user` and `name` of `user.name`.
#[derive(Debug)]
struct Part {
    name: Box<str>,
    /// The same as the place in a list.
    index: Option<usize>,
}

/// A parsed path of `var`; without parts it is everything there is.
#[derive(Debug)]
pub(in crate::flag) struct Path {
    parts: Box<[Part]>,
    /// How long it is.
    bytes: usize,
}

impl Path {
    pub(super) fn new(text: &str) -> Self {
        let part = |name: &str| Part {
            name: name.into(),
            index: name
                .parse()
                .ok()
                .filter(|index: &usize| index.to_string() == name),
        };
        Self {
            parts: text.split('.').filter(|_| !text.is_empty()).map(part).collect(),
            bytes: text.len(),
        }
    }

    /// Whether it may lead to the time: `$flagd` itself, its timestamp or everything.
    pub(super) fn may_tell_time(&self) -> bool {
        let [first, rest @ ..] = &*self.parts else {
            return true;
        };
        let flag_key = |part: &Part| &*part.name == "flagKey";
        &*first.name == "$flagd" && !rest.first().is_some_and(flag_key)
    }

    /// What lies there; `None` where nothing or null does.
    pub(super) fn find<'a>(&self, scope: &Scope<'a>, run: &mut Run<'a>) -> Result<Option<Val<'a>>, Stop> {
        run.spend_bytes(self.bytes)?;
        Ok(self.look_up(scope, run))
    }

    fn look_up<'a>(&self, scope: &Scope<'a>, run: &Run<'a>) -> Option<Val<'a>> {
        let Some((first, rest)) = self.parts.split_first() else {
            return match scope {
                Scope::Root => Some(Val::Root),
                Scope::Item(item) => Some(item.clone()).filter(|item| !item.is_null()),
                Scope::Reduce { .. } => None,
            };
        };
        let mut found = match (run.known(&first.name), scope) {
            (Some(known), _) => known,
            (None, Scope::Root) => run.member(&first.name)?,
            (None, Scope::Item(item)) => item.member(first, run)?,
            (None, Scope::Reduce { current, accumulator }) => match &*first.name {
                "current" => current.clone(),
                "accumulator" => accumulator.clone(),
                _ => return None,
            },
        };
        for part in rest {
            found = found.member(part, run)?;
        }
        Some(found).filter(|found| !found.is_null())
    }
}
