//! A document as its keys and their texts: owns what is a key and which text a value is. It must not
//! know formats.

use serde_json::Value;
use zeroize::Zeroizing;

use super::{DeliverError, Key};
use crate::secret::Secret;

/// Every key of `document` that holds no table, in order. Tables without keys are nothing.
pub(super) fn leaves(document: &Value) -> Result<Vec<(Vec<&str>, &Value)>, DeliverError> {
    let mut found = Vec::new();
    let Value::Object(table) = document else {
        return Err(DeliverError::NotTable);
    };
    collect(table, &mut Vec::new(), &mut found);
    Ok(found)
}

fn collect<'a>(
    table: &'a serde_json::Map<String, Value>,
    at: &mut Vec<&'a str>,
    found: &mut Vec<(Vec<&'a str>, &'a Value)>,
) {
    for (name, value) in table {
        at.push(name);
        match value {
            Value::Object(inner) => collect(inner, at, found),
            value => found.push((at.clone(), value)),
        }
        at.pop();
    }
}

pub(super) fn key(names: &[&str]) -> Key {
    Key::of(names.iter().map(|name| (*name).to_owned()).collect())
}

/// The text of a value where there are no types: a text as it is, arrays and tables as JSON. `None` for
/// null.
#[must_use]
pub fn text(value: &Value) -> Option<Zeroizing<String>> {
    let text = match value {
        Value::Null => return None,
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    };
    Some(Zeroizing::new(text))
}

/// The text of each key of a document, by key.
///
/// # Errors
/// [`DeliverError::Null`], [`DeliverError::NotTable`].
pub fn by_key(document: &Value) -> Result<Vec<(Key, Secret)>, DeliverError> {
    let mut texts = Vec::new();
    for (names, value) in leaves(document)? {
        let key = key(&names);
        let Some(text) = text(value) else {
            return Err(DeliverError::Null(key));
        };
        texts.push((key, Secret::from(text)));
    }
    Ok(texts)
}
