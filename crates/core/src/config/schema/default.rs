//! What holds where a document says nothing: owns finding the defaults of a schema that are missing in
//! a document. Only tables are filled, not the items of arrays, and only by what holds for every
//! document.

use std::collections::HashSet;

use serde_json::Value;

use super::super::key::Key;
use super::field::faces;

/// Most values that are filled in, and how deep: a default may be a table whose keys have defaults.
const MAX_FILLED: usize = 1000;
const MAX_DEPTH: usize = 16;

/// Fills `document` with the defaults of `schema`; the keys that were missing, each with its value.
pub(super) fn fill(schema: &Value, document: &mut Value) -> Vec<(Key, Value)> {
    let mut filled = Vec::new();
    let mut left = MAX_FILLED;
    fill_table(
        schema,
        &faces(schema, [schema]),
        document,
        &mut Vec::new(),
        &mut left,
        &mut filled,
    );
    filled
}

fn fill_table(
    root: &Value,
    table: &[&Value],
    document: &mut Value,
    names: &mut Vec<String>,
    left: &mut usize,
    filled: &mut Vec<(Key, Value)>,
) {
    let Some(fields) = document.as_object_mut().filter(|_| names.len() < MAX_DEPTH) else {
        return;
    };
    let mut seen = HashSet::new();
    let named = table
        .iter()
        .filter_map(|face| face.get("properties")?.as_object());
    for name in named.flat_map(|properties| properties.keys()) {
        if !seen.insert(name) || *left == 0 {
            continue;
        }
        let of_name = table.iter().filter_map(|face| face.get("properties")?.get(name));
        let below = faces(root, of_name);
        names.push(name.clone());
        if let Some(value) = fields.get_mut(name) {
            fill_table(root, &below, value, names, left, filled);
        } else if let Some(default) = below.iter().find_map(|face| face.get("default")) {
            *left = left.saturating_sub(1);
            let mut value = default.clone();
            // What is filled into a default is part of it.
            fill_table(root, &below, &mut value, names, left, &mut Vec::new());
            fields.insert(name.clone(), value.clone());
            filled.push((Key::of(names.clone()), value));
        }
        names.pop();
    }
}
