//! Feature flags: owns the shape of one flag definition (flagd's flag format: `state`, `variants`,
//! `defaultVariant`, `targeting`, `metadata`) and its default. It must not know contexts:
//! evaluating a targeting rule is another file's subject.

use serde_json::{Map, Value};

use super::error::FlagError;
use super::{json, set};
use crate::config::references;
use crate::number::MAX_WHOLE;

/// A flag definition whose shape was checked; its rule was not.
#[derive(Debug, Clone, PartialEq)]
pub struct Definition {
    pub(super) enabled: bool,
    pub(super) variants: Map<String, Value>,
    pub(super) default: Option<String>,
    /// The rule; `None` when there is none, or an empty one.
    pub(super) targeting: Option<Value>,
    pub(super) metadata: Map<String, Value>,
}

impl Definition {
    /// Parses one flag and checks its shape: a JSON object such as
    /// `{"state":"ENABLED","variants":{"on":true,"off":false},"defaultVariant":"off"}`.
    ///
    /// # Errors
    /// [`FlagError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, FlagError> {
        Self::take(json::object(bytes)?)
    }

    /// The same of JSON that was parsed.
    pub(super) fn take(mut fields: Map<String, Value>) -> Result<Self, FlagError> {
        let enabled = match fields.remove("state").as_ref().and_then(Value::as_str) {
            Some("ENABLED") => true,
            Some("DISABLED") => false,
            _ => return Err(FlagError::new("`state` must be \"ENABLED\" or \"DISABLED\"")),
        };
        let variants = variants(fields.remove("variants"))?;
        let default = match fields.remove("defaultVariant") {
            None | Some(Value::Null) => None,
            // As flagd has it: no default, whatever the variants are called.
            Some(Value::String(name)) if name.is_empty() => None,
            Some(Value::String(name)) if variants.contains_key(&name) => Some(name),
            Some(_) => return Err(FlagError::new("`defaultVariant` must name one of the variants")),
        };
        let targeting = match fields.remove("targeting") {
            None => None,
            Some(Value::Object(rule)) => Some(rule).filter(|rule| !rule.is_empty()).map(Value::Object),
            Some(_) => return Err(FlagError::new("`targeting` must be an object")),
        };
        let metadata = json::metadata(fields.remove("metadata"))?;
        if !fields.is_empty() {
            return Err(FlagError::new(format!(
                "{} unknown key(s); known are state, variants, defaultVariant, targeting, metadata",
                fields.len()
            )));
        }
        Ok(Self {
            enabled,
            variants,
            default,
            targeting,
            metadata,
        })
    }

    /// Whether it is switched on.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// The values it may have, by the names of its variants.
    #[must_use]
    pub fn variants(&self) -> &Map<String, Value> {
        &self.variants
    }

    /// The variant that holds where no rule chooses one.
    #[must_use]
    pub fn default_variant(&self) -> Option<&str> {
        self.default.as_deref()
    }

    /// Its targeting rule, as it is written.
    #[must_use]
    pub fn targeting(&self) -> Option<&Value> {
        self.targeting.as_ref()
    }

    /// Its own metadata, without that of its set.
    #[must_use]
    pub fn metadata(&self) -> &Map<String, Value> {
        &self.metadata
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

/// See [`Definition::default_text`]; `None` for a set too, which is no flag.
///
/// # Errors
/// [`FlagError`].
pub fn default_text(definition: &[u8]) -> Result<Option<String>, FlagError> {
    let fields = json::object(definition)?;
    if set::is_set(&fields) {
        return Ok(None);
    }
    Definition::take(fields).map(|flag| flag.default_text())
}

fn variants(value: Option<Value>) -> Result<Map<String, Value>, FlagError> {
    let variants = match value {
        Some(Value::Object(variants)) if !variants.is_empty() => variants,
        _ => {
            return Err(FlagError::new(
                "`variants` must be an object with at least one variant",
            ));
        }
    };
    let mut types = variants.values().map(type_of);
    let first = types.next().flatten();
    if first.is_none() || !types.all(|each| each == first) {
        return Err(FlagError::new(
            "`variants` must all be of one type: booleans, strings, numbers or objects",
        ));
    }
    let fits = |value: &Value| value.as_f64().is_none_or(|number| number.abs() <= MAX_WHOLE);
    if !variants.values().all(fits) {
        return Err(FlagError::new(
            "`variants` have a number over 9007199254740991, which clients read with a loss",
        ));
    }
    // what cannot be a reference is told as one that can
    let refers = |value: &Value| references(value).map_or(true, |found| !found.is_empty());
    if variants.values().any(refers) {
        return Err(FlagError::new(
            "`variants` refer to a secret: what a flag says is for everyone who may evaluate it. Let a config document \
             refer to it, and let the flag say which document holds",
        ));
    }
    Ok(variants)
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
        let float = r#"{"state":"ENABLED","variants":{"a":10.0,"b":10},"defaultVariant":"a"}"#;
        assert_eq!(text(float).as_deref(), Some("10.0"));
        assert_eq!(text(r#"{"$evaluators":{},"metadata":{"flagSetId":"web"}}"#), None);
    }

    #[test]
    fn what_only_looks_like_a_reference_to_a_secret_is_none() {
        for good in [
            r#"{"state":"ENABLED","variants":{"secret":"web/a"}}"#,
            r#"{"state":"ENABLED","variants":{"a":{"secret":"web/a","other":1}}}"#,
            r#"{"state":"ENABLED","variants":{"a":{"secret":true}}}"#,
        ] {
            Definition::parse(good.as_bytes()).unwrap();
        }
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
            r#"{"state":"ENABLED","variants":{"canary":9007199254740992}}"#,
            r#"{"state":"ENABLED","variants":{"canary":-1e16}}"#,
            r#"{"state":"ENABLED","variants":{"a":1},"metadata":{"a":["canary"]}}"#,
            r#"{"state":"ENABLED","variants":{"a":{"secret":"canary"}}}"#,
            r#"{"state":"ENABLED","variants":{"a":{"list":[{"secret":"canary//"}]}}}"#,
        ] {
            let error = Definition::parse(bad.as_bytes()).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
        }
    }
}
