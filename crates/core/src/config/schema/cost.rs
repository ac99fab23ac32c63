//! How long checking may take: owns an upper bound of it, from the schema alone for each depth of a
//! document, and from how many values the document has there.
//!
//! A value is checked by every part of the schema that leads to it, so that a few hundred bytes of
//! schema can ask for more checks than there is time for. The parts are the vertices of a graph. An
//! edge either stays at the same value (`allOf`, `$ref`, ...) or goes to the values in it. For each
//! depth below a part this counts how often parts are asked about one value there at most.

use std::collections::{HashMap, VecDeque};

use serde_json::Value;

use super::super::key::Key;
use super::SchemaError;
use super::fault::Fault;

/// Deepest document that is checked.
const MAX_DEPTH: usize = 64;
/// Most references one within the other at one value.
const MAX_CHAIN: usize = 64;
/// Most parts.
const MAX_PARTS: usize = 20_000;
/// Most checks of one document; each takes well below a microsecond.
const MAX_CHECKS: u64 = 10_000_000;

/// Checks at one value, by the depth of the value.
#[derive(Debug)]
pub(super) struct Cost(Vec<u64>);

#[derive(Default)]
struct Part {
    /// What it asks of a value itself.
    own: u64,
    /// Parts that are asked about the same value.
    here: Vec<usize>,
    /// Parts that may be asked about every value in it.
    below: Vec<usize>,
    /// Parts that are asked about one value in it alone, each about another one.
    named: Vec<usize>,
}

impl Cost {
    pub(super) fn of(schema: &Value) -> Result<Self, SchemaError> {
        let parts = parts(schema)?;
        let order = innermost_first(&parts)?;
        let mut deeper = vec![0_u64; parts.len()];
        let mut bounds = Vec::with_capacity(MAX_DEPTH + 1);
        for depth in 0..=MAX_DEPTH {
            let mut now = vec![0_u64; parts.len()];
            for &index in &order {
                let Some(part) = parts.get(index) else { continue };
                let of = |costs: &[u64], at: &usize| costs.get(*at).copied().unwrap_or(0);
                let mut cost = if depth == 0 {
                    part.own
                } else {
                    let below = part.below.iter().map(|at| of(&deeper, at));
                    let named = part.named.iter().map(|at| of(&deeper, at)).max();
                    below.fold(named.unwrap_or(0), u64::saturating_add)
                };
                for at in &part.here {
                    cost = cost.saturating_add(of(&now, at));
                }
                if let Some(slot) = now.get_mut(index) {
                    *slot = cost;
                }
            }
            bounds.push(now.first().copied().unwrap_or(0));
            deeper = now;
        }
        if bounds.first().is_some_and(|first| *first > MAX_CHECKS) {
            return Err(SchemaError::TooLarge {
                problem: "its parts refer to each other too often",
            });
        }
        Ok(Self(bounds))
    }

    /// A fault when checking `document` could take too long.
    pub(super) fn exceeded_by(&self, document: &Value) -> Option<Fault> {
        let mut level = vec![document];
        let mut total = 0_u64;
        for bound in &self.0 {
            let values = u64::try_from(level.len()).unwrap_or(u64::MAX);
            total = total.saturating_add(values.saturating_mul(*bound));
            level = level.into_iter().flat_map(values_in).collect();
            if level.is_empty() {
                break;
            }
        }
        if level.is_empty() && total <= MAX_CHECKS {
            return None;
        }
        Some(Fault {
            key: Key::default(),
            rule: "would take too long to check by its schema".to_owned(),
            mend: "nest less, or make the schema refer to itself in one place only".to_owned(),
        })
    }
}

fn values_in(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        Value::Object(fields) => fields.values().collect(),
        _ => Vec::new(),
    }
}

/// Everything that can be reached from the root, which is the first.
fn parts(root: &Value) -> Result<Vec<Part>, SchemaError> {
    let mut known: HashMap<*const Value, usize> = HashMap::from([(std::ptr::from_ref(root), 0)]);
    let mut todo = VecDeque::from([root]);
    let mut parts = Vec::new();
    while let Some(schema) = todo.pop_front() {
        let mut part = Part {
            own: 1,
            ..Part::default()
        };
        let mut index_of = |schema| {
            let next = known.len();
            *known.entry(std::ptr::from_ref(schema)).or_insert_with(|| {
                todo.push_back(schema);
                next
            })
        };
        for (name, value) in schema.as_object().into_iter().flatten() {
            match name.as_str() {
                "$ref" => {
                    let target = value.as_str().and_then(|text| super::part(root, text));
                    part.here.extend(target.map(&mut index_of));
                }
                "allOf" | "anyOf" | "oneOf" | "dependentSchemas" => {
                    part.here.extend(values_in(value).into_iter().map(&mut index_of));
                }
                "not" | "if" | "then" | "else" => part.here.push(index_of(value)),
                "properties" | "prefixItems" => {
                    part.named.extend(values_in(value).into_iter().map(&mut index_of));
                }
                "patternProperties" => {
                    part.below.extend(values_in(value).into_iter().map(&mut index_of));
                }
                "additionalProperties" | "propertyNames" | "items" | "contains" => {
                    part.below.push(index_of(value));
                }
                "unevaluatedProperties" | "unevaluatedItems" => {
                    part.below.push(index_of(value));
                    // It asks all the others once more which values they have seen.
                    part.own = part.own.saturating_add(1);
                }
                "$defs" | "definitions" => {}
                _ => part.own = part.own.saturating_add(size(value)),
            }
        }
        if schema
            .get("unevaluatedProperties")
            .or(schema.get("unevaluatedItems"))
            .is_some()
        {
            part.here.extend(part.here.clone());
        }
        parts.push(part);
        if parts.len() + todo.len() > MAX_PARTS {
            return Err(SchemaError::TooLarge {
                problem: "it has more than 20000 parts",
            });
        }
    }
    Ok(parts)
}

/// How many values there are in one, itself included.
fn size(value: &Value) -> u64 {
    values_in(value)
        .into_iter()
        .map(size)
        .fold(1, u64::saturating_add)
}

/// The order in which a part comes after those that it asks about the same value.
fn innermost_first(parts: &[Part]) -> Result<Vec<usize>, SchemaError> {
    let mut asked = vec![Vec::new(); parts.len()];
    let mut open: Vec<usize> = parts.iter().map(|part| part.here.len()).collect();
    for (index, part) in parts.iter().enumerate() {
        for at in &part.here {
            if let Some(by) = asked.get_mut(*at) {
                by.push(index);
            }
        }
    }
    let ready = |open: &[usize]| {
        (0..)
            .zip(open)
            .filter(|(_, open)| **open == 0)
            .map(|(at, _)| at)
            .collect()
    };
    let mut todo: VecDeque<usize> = ready(&open);
    let mut chain = vec![0_usize; parts.len()];
    let mut order = Vec::with_capacity(parts.len());
    while let Some(index) = todo.pop_front() {
        order.push(index);
        let length = chain.get(index).copied().unwrap_or(0) + 1;
        if length > MAX_CHAIN {
            return Err(SchemaError::TooLarge {
                problem: "more than 64 of its parts are one within the other for one value",
            });
        }
        for &by in asked.get(index).into_iter().flatten() {
            if let Some(slot) = chain.get_mut(by) {
                *slot = length.max(*slot);
            }
            if let Some(slot) = open.get_mut(by) {
                *slot = slot.saturating_sub(1);
                if *slot == 0 {
                    todo.push_back(by);
                }
            }
        }
    }
    if order.len() == parts.len() {
        Ok(order)
    } else {
        Err(SchemaError::Endless)
    }
}
