//! JSON of flags: owns reading bytes into an object within bounds, the numbers
//! that clients read, and the shape of metadata. Errors never
//! hold any of the bytes.

use serde_json::{Map, Value};

use super::error::FlagError;

/// The most bytes of a definition, a set or a flagd file.
const MAX_BYTES: usize = 16 << 20;

/// One JSON object; nesting of more than 127 levels is refused.
pub(super) fn object(bytes: &[u8]) -> Result<Map<String, Value>, FlagError> {
    if bytes.len() > MAX_BYTES {
        return Err(FlagError::new("it has more than 16 MiB"));
    }
    let value: Value = serde_json::from_slice(bytes).map_err(|error| {
        FlagError::new(format!(
            "not JSON, or nested too deep, at line {}, column {}",
            error.line(),
            error.column()
        ))
    })?;
    match value {
        Value::Object(fields) => Ok(fields),
        _ => Err(FlagError::new("it is not a JSON object")),
    }
}

/// Metadata: strings, numbers and booleans by name.
pub(super) fn metadata(value: Option<Value>) -> Result<Map<String, Value>, FlagError> {
    let is_scalar = |value: &Value| matches!(value, Value::Bool(_) | Value::String(_) | Value::Number(_));
    match value {
        None => Ok(Map::new()),
        Some(Value::Object(metadata)) if metadata.values().all(is_scalar) => Ok(metadata),
        Some(_) => Err(FlagError::new(
            "`metadata` must be an object of strings, numbers and booleans",
        )),
    }
}
