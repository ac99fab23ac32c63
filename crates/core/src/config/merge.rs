//! Merging layers into one document. It must not know where a layer comes from.
//!
//! The rules, which `docs/config.md` has for users: the nearest layer that says something of a key
//! decides. Two tables merge key by key; anything else, an array too, replaces what is farther
//! away, whatever type that has. An unset takes the key away with all that is farther away, so that
//! a nearer table begins anew.

use serde_json::Value;

use super::read::{json, toml};
use super::unset::{self, Tree};
use super::{DocumentError, Format};

/// Merges `layers`, nearest first, into one document of `wanted`; text is whatever the nearest is. A
/// single layer of that format that unsets nothing is returned as it is.
///
/// # Errors
/// [`DocumentError`].
pub fn merge(wanted: Format, layers: &[(Format, &[u8])]) -> Result<Vec<u8>, DocumentError> {
    let count = merged_layers(layers.iter().map(|(format, _)| *format));
    let merged = layers.get(..count).unwrap_or(layers);
    match merged {
        [] => Ok(Vec::new()),
        [(format, only)] if *format == Format::Text || *format == wanted && !unsets(*format, only)? => {
            Ok(only.to_vec())
        }
        _ if wanted == Format::Toml => {
            let mut whole = toml::Table::new();
            for (format, bytes) in merged.iter().rev() {
                let layer = match format {
                    Format::Json => toml::Value::try_from(checked(json(bytes)?)?),
                    _ => Ok(checked(toml::Value::Table(toml(bytes)?))?),
                };
                let Ok(toml::Value::Table(layer)) = layer else {
                    return Err(DocumentError::Null);
                };
                merge_toml(&mut whole, layer);
            }
            clear_toml(&mut whole);
            toml::to_string(&whole)
                .map(String::into_bytes)
                .map_err(|_| DocumentError::Null)
        }
        _ => Ok(merge_values(merged)?.to_string().into_bytes()),
    }
}

/// The merged document as JSON has it, whatever its format: what schemas see.
///
/// # Errors
/// [`DocumentError`]; [`DocumentError::Unstructured`] when the nearest layer is text.
pub fn merge_values(layers: &[(Format, &[u8])]) -> Result<Value, DocumentError> {
    let count = merged_layers(layers.iter().map(|(format, _)| *format));
    let mut whole = Value::Object(serde_json::Map::new());
    for (format, bytes) in layers.get(..count).unwrap_or(layers).iter().rev() {
        merge_json(&mut whole, layer(*format, bytes)?);
    }
    clear_json(&mut whole);
    Ok(whole)
}

/// One layer as JSON has it; what it unsets is still in it.
///
/// # Errors
/// [`DocumentError`].
pub fn layer(format: Format, bytes: &[u8]) -> Result<Value, DocumentError> {
    match format {
        Format::Text => Err(DocumentError::Unstructured),
        Format::Json => checked(json(bytes)?),
        Format::Toml => checked(toml_to_json(toml::Value::Table(toml(bytes)?))),
    }
}

/// A document as it was delivered, as JSON has it. Nothing in it is reserved any more: a secret may have
/// made a table look so.
///
/// # Errors
/// [`DocumentError`].
pub fn delivered(format: Format, bytes: &[u8]) -> Result<Value, DocumentError> {
    match format {
        Format::Text => Err(DocumentError::Unstructured),
        Format::Json => json(bytes),
        Format::Toml => Ok(toml_to_json(toml::Value::Table(toml(bytes)?))),
    }
}

fn checked<T: Tree>(document: T) -> Result<T, DocumentError> {
    unset::check(&document)?;
    Ok(document)
}

/// How many of the layers, nearest first, become part of the merged document: text has no keys to
/// merge, so that it is the whole document when it is the nearest, and otherwise hides itself and
/// all that is farther away.
pub(crate) fn merged_layers(formats: impl ExactSizeIterator<Item = Format>) -> usize {
    let all = formats.len();
    let mut formats = formats;
    let text = formats.position(|format| format == Format::Text);
    text.map_or(all, |text| text.max(1))
}

fn unsets(format: Format, bytes: &[u8]) -> Result<bool, DocumentError> {
    if !unset::may_stand_in(bytes) {
        return Ok(false);
    }
    match format {
        Format::Text => Ok(false),
        Format::Json => unset::check(&json(bytes)?),
        Format::Toml => unset::check(&toml::Value::Table(toml(bytes)?)),
    }
}

/// Whether `above` is merged into `below`, or replaces it.
fn merges<T: Tree>(below: Option<&T>, above: &T) -> bool {
    below.is_some_and(T::is_table) && above.is_table()
}

fn merge_toml(into: &mut toml::Table, layer: toml::Table) {
    for (key, value) in layer {
        let merges = merges(into.get(&key), &value);
        match (into.get_mut(&key), value) {
            (Some(toml::Value::Table(below)), toml::Value::Table(above)) if merges => {
                merge_toml(below, above);
            }
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

fn merge_json(into: &mut Value, layer: Value) {
    if !merges(Some(into), &layer) {
        *into = layer;
        return;
    }
    let (Value::Object(below), Value::Object(above)) = (into, layer) else {
        return;
    };
    for (key, value) in above {
        match below.get_mut(&key) {
            Some(below) => merge_json(below, value),
            None => {
                below.insert(key, value);
            }
        }
    }
}

/// Takes out what is unset: the last word about a key may be that there is none.
fn clear_toml(table: &mut toml::Table) {
    table.retain(|_, value| !value.is_unset());
    for (_, value) in table.iter_mut() {
        if let toml::Value::Table(below) = value {
            clear_toml(below);
        }
    }
}

fn clear_json(value: &mut Value) {
    if let Value::Object(table) = value {
        table.retain(|_, value| !value.is_unset());
        table.values_mut().for_each(clear_json);
    }
}

/// TOML's dates become strings in JSON, as in every other tool.
fn toml_to_json(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(flag) => flag.into(),
        toml::Value::Datetime(date) => date.to_string().into(),
        toml::Value::Array(items) => items.into_iter().map(toml_to_json).collect(),
        toml::Value::Table(table) => table
            .into_iter()
            .map(|(key, value)| (key, toml_to_json(value)))
            .collect(),
    }
}
