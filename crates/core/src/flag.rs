//! Feature flags: owns the shape of one flag definition (flagd's flag format: `state`, `variants`,
//! `defaultVariant`, `targeting`, `metadata`) and its default. It must not know contexts:
//! evaluating a targeting rule is another module's subject.

use serde_json::{Map, Value};

/// Why a text is not a flag definition. Never holds any of it but the names of known keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the flag definition is not valid: {problem}")]
pub struct FlagError {
    problem: String,
}

fn problem(text: impl Into<String>) -> FlagError {
    FlagError { problem: text.into() }
}

/// A flag definition that was checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Definition {
    enabled: bool,
    variants: Map<String, Value>,
    default: Option<String>,
}

impl Definition {
    /// Parses and checks one flag: a JSON object such as
    /// `{"state":"ENABLED","variants":{"on":true,"off":false},"defaultVariant":"off"}`.
    ///
    /// # Errors
    /// [`FlagError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, FlagError> {
        let value: Value = serde_json::from_slice(bytes).map_err(|error| {
            problem(format!(
                "not JSON at line {}, column {}",
                error.line(),
                error.column()
            ))
        })?;
        let Value::Object(mut fields) = value else {
            return Err(problem("it is not a JSON object"));
        };
        let enabled = match fields.remove("state").as_ref().and_then(Value::as_str) {
            Some("ENABLED") => true,
            Some("DISABLED") => false,
            _ => return Err(problem("`state` must be \"ENABLED\" or \"DISABLED\"")),
        };
        let variants = match fields.remove("variants") {
            Some(Value::Object(variants)) if !variants.is_empty() => variants,
            _ => return Err(problem("`variants` must be an object with at least one variant")),
        };
        let mut types = variants.values().map(type_of);
        let first = types.next().flatten();
        if first.is_none() || !types.all(|each| each == first) {
            return Err(problem(
                "`variants` must all be of one type: booleans, strings, numbers or objects",
            ));
        }
        let default = match fields.remove("defaultVariant") {
            None | Some(Value::Null) => None,
            Some(Value::String(name)) if variants.contains_key(&name) => Some(name),
            Some(_) => return Err(problem("`defaultVariant` must name one of the variants")),
        };
        match fields.remove("targeting") {
            None | Some(Value::Object(_)) => {}
            Some(_) => return Err(problem("`targeting` must be an object")),
        }
        match fields.remove("metadata") {
            None => {}
            Some(Value::Object(metadata)) if metadata.values().all(is_scalar) => {}
            Some(_) => {
                return Err(problem(
                    "`metadata` must be an object of strings, numbers and booleans",
                ));
            }
        }
        if !fields.is_empty() {
            return Err(problem(format!(
                "{} unknown key(s); known are state, variants, defaultVariant, targeting, metadata",
                fields.len()
            )));
        }
        Ok(Self {
            enabled,
            variants,
            default,
        })
    }

    /// The text of the default variant, as files and environment variables carry it: strings
    /// bare, everything else as JSON. `None` when the flag is disabled or has no default: the
    /// consumer's own default holds then.
    #[must_use]
    pub fn default_text(&self) -> Option<String> {
        let name = self.default.as_ref().filter(|_| self.enabled)?;
        Some(match self.variants.get(name)? {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        })
    }
}

/// See [`Definition::default_text`].
///
/// # Errors
/// [`FlagError`].
pub fn default_text(definition: &[u8]) -> Result<Option<String>, FlagError> {
    Definition::parse(definition).map(|flag| flag.default_text())
}

fn type_of(value: &Value) -> Option<u8> {
    match value {
        Value::Bool(_) => Some(1),
        Value::String(_) => Some(2),
        Value::Number(_) => Some(3),
        Value::Object(_) => Some(4),
        Value::Null | Value::Array(_) => None,
    }
}

fn is_scalar(value: &Value) -> bool {
    matches!(value, Value::Bool(_) | Value::String(_) | Value::Number(_))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn defaults_are_delivered_as_text() {
        let text = |json: &str| default_text(json.as_bytes()).unwrap();
        let flag = r#"{"state":"ENABLED","variants":{"on":true,"off":false},"defaultVariant":"on"}"#;
        assert_eq!(text(flag).as_deref(), Some("true"));
        assert_eq!(text(&flag.replace("ENABLED", "DISABLED")), None);
        let words = r#"{"state":"ENABLED","variants":{"a":"x y"},"defaultVariant":"a"}"#;
        assert_eq!(text(words).as_deref(), Some("x y"));
        assert_eq!(text(r#"{"state":"ENABLED","variants":{"a":1}}"#), None);
    }

    #[test]
    fn bad_definitions_are_refused_without_their_content() {
        for bad in [
            "",
            "[]",
            "{}",
            r#"{"state":"enabled","variants":{"a":1}}"#,
            r#"{"state":"ENABLED","variants":{}}"#,
            r#"{"state":"ENABLED","variants":{"a":1,"b":"canary"}}"#,
            r#"{"state":"ENABLED","variants":{"a":1},"defaultVariant":"canary"}"#,
            r#"{"state":"ENABLED","variants":{"a":1},"canary":1}"#,
            r#"{"state":"ENABLED","variants":{"a":1},"targeting":"canary"}"#,
            r#"{"state":"ENABLED","variants":{"a":1},"metadata":{"a":["canary"]}}"#,
        ] {
            let error = Definition::parse(bad.as_bytes()).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
        }
    }
}
