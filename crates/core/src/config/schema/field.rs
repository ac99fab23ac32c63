//! What a schema says of keys for people: owns the walk over those it names. Only what holds for every
//! document counts: references and `allOf`, and no alternatives.

use std::collections::HashSet;

use serde_json::Value;

use super::super::key::Key;
use super::Schema;

/// Deepest key and most keys that are described.
const MAX_DEPTH: usize = 16;
const MAX_FIELDS: usize = 1000;

/// One key that a schema names.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// The key.
    pub key: Key,
    /// The types that it may have, as JSON Schema calls them; empty for any.
    pub types: Vec<String>,
    /// Whether the table it stands in must have it.
    pub required: bool,
    /// What holds when it is not there, as the schema has it.
    pub default: Option<Value>,
    /// What it is for.
    pub meaning: Option<String>,
    /// Whether it should be used no more.
    pub deprecated: bool,
    /// Whether it may hold a secret.
    pub secret: bool,
}

impl Schema {
    /// The keys that the schema names, in its order; at most 1000, and none deeper than 16.
    #[must_use]
    pub fn fields(&self) -> Vec<Field> {
        let mut fields = Vec::new();
        self.describe(
            &faces(&self.document, [&self.document]),
            &mut Vec::new(),
            &mut fields,
        );
        fields
    }

    fn describe(&self, table: &[&Value], names: &mut Vec<String>, fields: &mut Vec<Field>) {
        let mut seen = HashSet::new();
        let named = table
            .iter()
            .filter_map(|face| face.get("properties")?.as_object());
        for name in named.flat_map(|properties| properties.keys()) {
            if !seen.insert(name) || fields.len() >= MAX_FIELDS {
                continue;
            }
            let below = self.below(table, name);
            names.push(name.clone());
            let text = |word: &str| below.iter().find_map(|face| face.get(word)?.as_str());
            fields.push(Field {
                key: Key::of(names.clone()),
                types: types(&below),
                required: table.iter().any(|face| requires(face, name)),
                default: below.iter().find_map(|face| face.get("default")).cloned(),
                meaning: text("description").or(text("title")).map(str::to_owned),
                deprecated: marked(&below, "deprecated"),
                secret: marked(&below, "secret"),
            });
            if names.len() < MAX_DEPTH {
                self.describe(&below, names, fields);
            }
            names.pop();
        }
    }

    /// The keys of `document` that are deprecated, in its order.
    #[must_use]
    pub fn deprecated(&self, document: &Value) -> Vec<Key> {
        let mut found = Vec::new();
        self.find_deprecated(
            &faces(&self.document, [&self.document]),
            document,
            &mut Vec::new(),
            &mut found,
        );
        found
    }

    fn find_deprecated(
        &self,
        table: &[&Value],
        document: &Value,
        names: &mut Vec<String>,
        found: &mut Vec<Key>,
    ) {
        for (name, value) in document.as_object().into_iter().flatten() {
            let below = self.below(table, name);
            if below.is_empty() || names.len() >= MAX_DEPTH {
                continue;
            }
            names.push(name.clone());
            if marked(&below, "deprecated") {
                found.push(Key::of(names.clone()));
            }
            self.find_deprecated(&below, value, names, found);
            names.pop();
        }
    }

    /// All that is said of the key `name` of a table.
    fn below<'a>(&'a self, table: &[&'a Value], name: &str) -> Vec<&'a Value> {
        let named = table.iter().filter_map(|face| face.get("properties")?.get(name));
        faces(&self.document, named)
    }
}

/// The parts of a schema that hold for the same value in any case.
pub(super) fn faces<'a>(root: &'a Value, of: impl IntoIterator<Item = &'a Value>) -> Vec<&'a Value> {
    let mut known: HashSet<*const Value> = HashSet::new();
    let mut todo: Vec<_> = of.into_iter().collect();
    let mut faces = Vec::new();
    while let Some(face) = todo.pop() {
        if !known.insert(std::ptr::from_ref(face)) {
            continue;
        }
        faces.push(face);
        let target = face.get("$ref").and_then(Value::as_str);
        todo.extend(target.and_then(|target| super::part(root, target)));
        todo.extend(face.get("allOf").and_then(Value::as_array).into_iter().flatten());
    }
    faces
}

pub(super) fn types(faces: &[&Value]) -> Vec<String> {
    let stated = faces.iter().find_map(|face| face.get("type"));
    let text = |value: &Value| value.as_str().map(str::to_owned);
    match stated {
        Some(Value::Array(many)) => many.iter().filter_map(text).collect(),
        Some(one) => text(one).into_iter().collect(),
        None => Vec::new(),
    }
}

fn requires(face: &Value, name: &str) -> bool {
    let required = face.get("required").and_then(Value::as_array);
    required.is_some_and(|required| required.iter().any(|each| each == name))
}

pub(super) fn marked(faces: &[&Value], word: &str) -> bool {
    faces
        .iter()
        .any(|face| face.get(word) == Some(&Value::Bool(true)))
}
