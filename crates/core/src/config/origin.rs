//! Where each key of a merged document comes from: owns finding the layer that decided about it,
//! by the rules of `merge`. It must not know what a layer is called.

use std::collections::HashSet;

use serde_json::Value;

use super::key::Key;
use super::unset::Tree;

/// What decided about one key.
#[derive(Clone, Debug, PartialEq)]
pub struct Origin<'a> {
    /// The key of a value, of an empty table, or of what is unset.
    pub key: Key,
    /// The layer, counted from the nearest.
    pub layer: usize,
    /// Its value; `None` when it is unset.
    pub value: Option<&'a Value>,
    /// The layer behind it that has a value of another type under this key, or under a table that it
    /// stands in; it is replaced.
    pub retyped: Option<usize>,
}

/// The origins of all keys of `layers`, nearest first, as [`super::layer`] reads them. The order is
/// that of the merged document.
#[must_use]
pub fn origins<'a>(layers: &'a [Value]) -> Vec<Origin<'a>> {
    let said: Vec<_> = layers.iter().enumerate().collect();
    let mut found = Vec::new();
    visit(&mut Vec::new(), &said, None, &mut found);
    found
}

fn visit<'a>(
    names: &mut Vec<String>,
    said: &[(usize, &'a Value)],
    retyped: Option<usize>,
    found: &mut Vec<Origin<'a>>,
) {
    let Some((layer, value)) = said.first() else {
        return;
    };
    let tables: Vec<_> = said
        .iter()
        .take_while(|(_, value)| value.is_table())
        .filter_map(|(layer, value)| Some((*layer, value.as_object()?)))
        .collect();
    let behind = said
        .get(tables.len().max(1))
        .filter(|(_, behind)| !behind.is_unset() && !value.is_unset() && type_of(behind) != type_of(value));
    let retyped = retyped.or(behind.map(|(layer, _)| *layer));
    let mut seen = HashSet::new();
    for (_, table) in tables.iter().rev() {
        for name in table.keys() {
            if !seen.insert(name) {
                continue;
            }
            let below: Vec<_> = tables
                .iter()
                .filter_map(|(layer, table)| Some((*layer, table.get(name)?)))
                .collect();
            names.push(name.clone());
            visit(names, &below, retyped, found);
            names.pop();
        }
    }
    if seen.is_empty() {
        found.push(Origin {
            key: Key::of(names.clone()),
            layer: *layer,
            value: Some(*value).filter(|value| !value.is_unset()),
            retyped,
        });
    }
}

/// The type of a value in the words of JSON Schema, but for whole numbers.
fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        // what it stands for is a text
        Value::Object(_) if value.refers_to().is_some() => "string",
        Value::Object(_) => "object",
    }
}
