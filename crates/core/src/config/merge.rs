//! Merging layers into one document. It must not know where a layer comes from.

use super::read::{json, toml};
use super::{DocumentError, Format};

/// Merges `layers`, nearest first, into one document of the nearest layer's format: tables merge
/// key by key, anything else replaces what is farther away. A single layer is returned as it is.
///
/// # Errors
/// [`DocumentError`].
pub fn merge(layers: &[(Format, &[u8])]) -> Result<Vec<u8>, DocumentError> {
    let count = merged_layers(layers.iter().map(|(format, _)| *format));
    let merged = layers.get(..count).unwrap_or(layers);
    match merged {
        [] => Ok(Vec::new()),
        [(_, only)] => Ok(only.to_vec()),
        [(Format::Toml, _), ..] => {
            let mut whole = toml::Table::new();
            for (format, bytes) in merged.iter().rev() {
                let layer = match format {
                    Format::Json => toml::Table::try_from(json(bytes)?).map_err(|_| DocumentError::Null)?,
                    _ => toml(bytes)?,
                };
                merge_toml(&mut whole, layer);
            }
            toml::to_string(&whole)
                .map(String::into_bytes)
                .map_err(|_| DocumentError::Null)
        }
        _ => {
            let mut whole = serde_json::Value::Object(serde_json::Map::new());
            for (format, bytes) in merged.iter().rev() {
                let layer = match format {
                    Format::Toml => toml_to_json(toml::Value::Table(toml(bytes)?)),
                    _ => json(bytes)?,
                };
                merge_json(&mut whole, layer);
            }
            Ok(whole.to_string().into_bytes())
        }
    }
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

fn merge_toml(into: &mut toml::Table, layer: toml::Table) {
    for (key, value) in layer {
        match (into.get_mut(&key), value) {
            (Some(toml::Value::Table(below)), toml::Value::Table(above)) => merge_toml(below, above),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

fn merge_json(into: &mut serde_json::Value, layer: serde_json::Value) {
    match (into, layer) {
        (serde_json::Value::Object(below), serde_json::Value::Object(above)) => {
            for (key, value) in above {
                merge_json(below.entry(key).or_insert(serde_json::Value::Null), value);
            }
        }
        (into, layer) => *into = layer,
    }
}

/// TOML's dates become strings in JSON, as in every other tool.
fn toml_to_json(value: toml::Value) -> serde_json::Value {
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
