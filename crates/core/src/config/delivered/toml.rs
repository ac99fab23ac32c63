//! Documents and values as TOML: owns what TOML cannot hold, by key.

use serde_json::Value;
use zeroize::Zeroizing;

use super::{DeliverError, Key};

pub(super) fn document(document: &Value) -> Result<Zeroizing<String>, DeliverError> {
    if !document.is_object() {
        return Err(DeliverError::NotTable);
    }
    check(document, &mut Vec::new())?;
    // what it refuses was found above
    let text = toml::to_string(document).map_err(|_| DeliverError::NotTable)?;
    Ok(Zeroizing::new(text))
}

/// One value as it stands after a `=`.
pub(crate) fn inline(value: &Value) -> Result<Zeroizing<String>, DeliverError> {
    check(value, &mut Vec::new())?;
    let value = toml::Value::try_from(value).map_err(|_| DeliverError::NotTable)?;
    Ok(Zeroizing::new(value.to_string()))
}

fn check(value: &Value, at: &mut Vec<String>) -> Result<(), DeliverError> {
    match value {
        Value::Null => Err(DeliverError::Null(Key::of(at.clone()))),
        Value::Number(number) if number.as_i64().is_none() && number.is_u64() => {
            Err(DeliverError::Number(Key::of(at.clone())))
        }
        Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
        Value::Array(items) => items.iter().try_for_each(|item| check(item, at)),
        Value::Object(table) => table.iter().try_for_each(|(name, value)| {
            at.push(name.clone());
            check(value, at)?;
            at.pop();
            Ok(())
        }),
    }
}
