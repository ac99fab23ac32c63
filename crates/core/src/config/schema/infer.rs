//! A schema to begin with, from documents that are right: owns what is read out of them. No value of
//! them is in it.

use serde_json::{Map, Value, json};

use super::super::unset::Tree as _;

/// The strictest simple schema that all of `documents` fit: their keys and types, required what all
/// have, and no other keys.
#[must_use]
pub fn infer(documents: &[&Value]) -> Value {
    let mut schema = json!({"$schema": "https://json-schema.org/draft/2020-12/schema"});
    if let (Value::Object(schema), Value::Object(whole)) = (&mut schema, of(documents)) {
        schema.extend(whole);
    }
    schema
}

fn of(values: &[&Value]) -> Value {
    let mut types: Vec<&str> = Vec::new();
    for value in values {
        let name = type_of(value);
        if !types.contains(&name) {
            types.push(name);
        }
    }
    // A whole number is a number too.
    if types.contains(&"number") {
        types.retain(|name| *name != "integer");
    }
    let mut schema = Map::new();
    match types.as_slice() {
        [] => {}
        [one] => drop(schema.insert("type".into(), json!(one))),
        many => drop(schema.insert("type".into(), json!(many))),
    }
    if values.iter().any(|value| value.refers_to().is_some()) {
        schema.insert("secret".into(), true.into());
    }
    let tables = values.iter().filter(|value| value.is_table());
    let tables: Vec<_> = tables.filter_map(|value| value.as_object()).collect();
    if !tables.is_empty() {
        let mut properties = Map::new();
        for name in tables.iter().flat_map(|table| table.keys()) {
            if !properties.contains_key(name) {
                let below: Vec<_> = tables.iter().filter_map(|table| table.get(name)).collect();
                properties.insert(name.clone(), of(&below));
            }
        }
        let everywhere = |name: &&String| tables.iter().all(|table| table.contains_key(*name));
        let required: Vec<_> = properties.keys().filter(everywhere).cloned().collect();
        schema.insert("properties".into(), properties.into());
        if !required.is_empty() {
            schema.insert("required".into(), json!(required));
        }
        schema.insert("additionalProperties".into(), false.into());
    }
    let items: Vec<_> = values
        .iter()
        .filter_map(|value| value.as_array())
        .flatten()
        .collect();
    if !items.is_empty() {
        schema.insert("items".into(), of(&items));
    }
    schema.into()
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        // what it stands for is a text
        Value::Object(_) if value.refers_to().is_some() => "string",
        Value::Object(_) => "object",
    }
}
