//! Where a schema lets a document refer to a secret: owns making a validator take a reference for the
//! text that it stands for, and finding references where no secret may be. What the secret itself is like
//! nobody can say before it is delivered.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::super::key::Key;
use super::super::reference::SECRET;
use super::super::unset::Tree as _;
use super::fault::Fault;
use super::field::{faces, marked, types};
use super::form::{DATA, NAMED};
use super::{MAX_FAULTS, Schema, part};

/// `schema` with every part that is marked `"secret": true` taking a reference too.
pub(super) fn accepting(schema: &Value) -> Cow<'_, Value> {
    if has_mark(schema) {
        Cow::Owned(accept(schema, schema, None, false))
    } else {
        Cow::Borrowed(schema)
    }
}

fn has_mark(value: &Value) -> bool {
    match value {
        Value::Object(fields) => {
            fields.get(SECRET) == Some(&Value::Bool(true)) || fields.values().any(has_mark)
        }
        Value::Array(items) => items.iter().any(has_mark),
        _ => false,
    }
}

/// Whether the part, or one that holds where it does, is marked.
fn is_marked(root: &Value, part: &Value) -> bool {
    part.is_object() && marked(&faces(root, [part]), SECRET)
}

/// What stands under `name`, `None` at the root; `names` is whether it has names of keys and no keywords.
fn accept(root: &Value, value: &Value, name: Option<&str>, names: bool) -> Value {
    match value {
        Value::Object(fields) => {
            let below = |(field, value): (&String, &Value)| {
                let kept = !names && DATA.contains(&field.as_str());
                let text = value.as_str().filter(|_| !names && field == "$ref");
                let value = match text {
                    Some(pointer) => redirected(root, pointer).into(),
                    None if kept => value.clone(),
                    None => accept(root, value, Some(field), !names && is_named(field)),
                };
                (field.clone(), value)
            };
            let whole = Value::Object(fields.iter().map(below).collect());
            // the document itself is no secret
            if names || name.is_none() || !is_marked(root, value) {
                return whole;
            }
            let reference = json!({
                "type": "object",
                "properties": { SECRET: { "type": "string" } },
                "required": [SECRET],
                "maxProperties": 1,
            });
            let parts = [("if", reference), ("then", Value::Bool(true)), ("else", whole)];
            Value::Object(
                parts
                    .map(|(name, part)| (name.to_owned(), part))
                    .into_iter()
                    .collect::<Map<_, _>>(),
            )
        }
        Value::Array(items) => items.iter().map(|item| accept(root, item, name, false)).collect(),
        other => other.clone(),
    }
}

fn is_named(keyword: &str) -> bool {
    NAMED.iter().any(|named| named.strip_prefix('/') == Some(keyword))
}

/// A pointer into what is made of `root`.
fn redirected(root: &Value, pointer: &str) -> String {
    let mut to = "#".to_owned();
    let (mut at, mut names, mut is_root) = (root, false, true);
    for token in pointer.trim_start_matches('#').split('/').skip(1) {
        if !names && !is_root && is_marked(root, at) {
            to.push_str("/else");
        }
        to.push('/');
        to.push_str(token);
        names = !names && is_named(token);
        is_root = false;
        let below = part(at, &format!("#/{token}"));
        at = below.unwrap_or(&Value::Null);
    }
    to
}

impl Schema {
    /// References where no part of the schema that holds in any case is marked.
    pub(super) fn misplaced(&self, document: &Value) -> Vec<Fault> {
        let mut faults = Vec::new();
        let whole = faces(&self.document, [&self.document]);
        self.look(&whole, document, &mut Vec::new(), &mut faults);
        faults
    }

    fn look(&self, said: &[&Value], value: &Value, names: &mut Vec<String>, faults: &mut Vec<Fault>) {
        if value.refers_to().is_some() {
            let types = types(said);
            let (rule, mend) = if !marked(said, SECRET) {
                (
                    "refers to a secret, and the schema allows none there",
                    "mark the key `\"secret\": true` in the schema, or set a value",
                )
            } else if !types.is_empty() && !types.iter().any(|name| name == "string") {
                (
                    "refers to a secret, which is a text, and the schema asks for another type",
                    "take a text there, or set a value",
                )
            } else {
                return;
            };
            if faults.len() >= MAX_FAULTS {
                return;
            }
            faults.push(Fault {
                key: Key::of(names.clone()),
                rule: rule.to_owned(),
                mend: mend.to_owned(),
            });
            return;
        }
        for (name, below) in value.as_object().into_iter().flatten() {
            let said: Vec<_> = said.iter().filter_map(|face| of_key(face, name)).collect();
            names.push(name.clone());
            self.look(&faces(&self.document, said), below, names, faults);
            names.pop();
        }
        for (index, below) in value.as_array().into_iter().flatten().enumerate() {
            let said: Vec<_> = said.iter().filter_map(|face| of_item(face, index)).collect();
            names.push(index.to_string());
            self.look(&faces(&self.document, said), below, names, faults);
            names.pop();
        }
    }
}

/// What a part says of a key. Where patterns of keys are told apart, what holds for the others is not
/// known here.
fn of_key<'a>(face: &'a Value, name: &str) -> Option<&'a Value> {
    let named = face.get("properties").and_then(|named| named.get(name));
    named.or_else(|| {
        let others = face.get("additionalProperties");
        others.filter(|_| face.get("patternProperties").is_none())
    })
}

fn of_item(face: &Value, index: usize) -> Option<&Value> {
    let first = face.get("prefixItems").and_then(Value::as_array);
    match first.and_then(|first| first.get(index)) {
        Some(own) => Some(own),
        None => face.get("items"),
    }
}
