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
use super::form::FOREIGN;

/// Deepest document that is checked.
const MAX_DEPTH: usize = 32;
/// Most references one within the other at one value: as often as a document is deep, that is how deep the
/// stack becomes.
const MAX_CHAIN: usize = 16;
/// Most parts.
const MAX_PARTS: usize = 20_000;
/// Most checks of one document; each takes well below a microsecond.
const MAX_CHECKS: u64 = 10_000_000;
/// Most checks of a document of which all faults are told: they are found before they are counted.
const MAX_TOLD: u64 = 200_000;
/// Most bytes of patterns, and most of them times the bytes of a document.
const MAX_PATTERNS: u64 = 16 << 10;
const MAX_MATCHING: u64 = 1 << 30;

/// What a schema asks at most.
#[derive(Debug)]
pub(super) struct Cost {
    /// Checks at one value, by the depth of the value.
    checks: Vec<u64>,
    /// Bytes of all patterns.
    patterns: u64,
}

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
        let patterns = patterns(schema);
        if patterns > MAX_PATTERNS {
            return Err(SchemaError::TooLarge {
                problem: "its patterns have more than 16384 characters",
            });
        }
        Ok(Self {
            checks: bounds,
            patterns,
        })
    }

    /// How many checks `document` takes at most; none when it is too deep for any.
    fn checks(&self, document: &Value) -> Option<u64> {
        let mut level = vec![document];
        let mut total = 0_u64;
        for bound in &self.checks {
            let values = u64::try_from(level.len()).unwrap_or(u64::MAX);
            total = total.saturating_add(values.saturating_mul(*bound));
            level = level.into_iter().flat_map(values_in).collect();
            if level.is_empty() {
                return Some(total);
            }
        }
        None
    }

    /// Whether all faults of `document` may be asked for.
    pub(super) fn tells_all(&self, document: &Value) -> bool {
        self.checks(document).is_some_and(|checks| checks <= MAX_TOLD)
    }

    /// A fault when checking `document` could take too long.
    pub(super) fn exceeded_by(&self, document: &Value) -> Option<Fault> {
        let checks = self.checks(document).filter(|checks| *checks <= MAX_CHECKS);
        let matching = self.patterns.saturating_mul(texts(document));
        if checks.is_some() && matching <= MAX_MATCHING {
            return None;
        }
        Some(Fault {
            key: Key::default(),
            rule: "would take too long to check by its schema".to_owned(),
            mend: "nest less, make the schema refer to itself in one place only, or shorten its patterns"
                .to_owned(),
        })
    }
}

/// Bytes of everything in a schema that may be a pattern.
fn patterns(schema: &Value) -> u64 {
    let length = |text: &str| u64::try_from(text.len()).unwrap_or(u64::MAX);
    let mut total = 0_u64;
    let mut todo = vec![schema];
    while let Some(value) = todo.pop() {
        for (name, value) in value.as_object().into_iter().flatten() {
            let bytes = match (name.as_str(), value) {
                ("pattern", Value::String(pattern)) => length(pattern),
                ("patternProperties", Value::Object(patterns)) => {
                    patterns.keys().map(|pattern| length(pattern)).sum()
                }
                _ => 0,
            };
            total = total.saturating_add(bytes);
        }
        todo.extend(values_in(value));
    }
    total
}

/// Bytes of all keys and texts of a document.
fn texts(document: &Value) -> u64 {
    let mut total = 0_usize;
    let mut todo = vec![document];
    while let Some(value) = todo.pop() {
        total += match value {
            Value::String(text) => text.len(),
            Value::Object(fields) => fields.keys().map(String::len).sum(),
            _ => 0,
        };
        todo.extend(values_in(value));
    }
    u64::try_from(total).unwrap_or(u64::MAX)
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
                // Whatever leads here, nobody looked at it before if it stands in what else is data.
                foreign if FOREIGN.contains(&foreign) => return Err(reference()),
                "$ref" => {
                    let text = value.as_str().filter(|text| !text.contains('%'));
                    let target = text
                        .and_then(|text| super::part(root, text))
                        .ok_or_else(reference)?;
                    part.here.push(index_of(target));
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

fn reference() -> SchemaError {
    SchemaError::Form {
        at: "$ref".to_owned(),
        problem: "a part that is referred to leads elsewhere: refer to parts by `#/$defs/NAME`".to_owned(),
    }
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
                problem: "more than 16 of its parts are one within the other for one value",
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
