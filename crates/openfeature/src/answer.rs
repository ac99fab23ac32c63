//! What an evaluation gave in the SDK's words: owns reasons, metadata, objects and errors. It must not know who
//! evaluated.

use open_feature::provider::ResolutionDetails;
use open_feature::{
    EvaluationError, EvaluationErrorCode, EvaluationReason, EvaluationResult, FlagMetadata,
    FlagMetadataValue, StructValue, Value as OfValue,
};
use serde_json::{Map, Number, Value};

/// A value that was found with what is known of it.
pub(crate) fn details<T>(
    value: Option<T>,
    variant: Option<&str>,
    reason: &str,
    metadata: &Map<String, Value>,
) -> EvaluationResult<ResolutionDetails<T>> {
    // the SDK hands no default to a provider that it could answer with
    let value = value.ok_or_else(|| failed(EvaluationErrorCode::FlagNotFound, left_to_caller(reason)))?;
    Ok(ResolutionDetails {
        value,
        variant: variant.map(str::to_owned),
        reason: Some(of_reason(reason)),
        flag_metadata: Some(of_metadata(metadata)),
    })
}

/// The same with an object as the SDK has it.
pub(crate) fn structured(
    details: ResolutionDetails<Map<String, Value>>,
) -> EvaluationResult<ResolutionDetails<StructValue>> {
    let value = of_object(details.value).ok_or_else(|| {
        failed(
            EvaluationErrorCode::TypeMismatch,
            "a list of the flag's value has null in it, which OpenFeature's values do not know",
        )
    })?;
    Ok(ResolutionDetails {
        value,
        variant: details.variant,
        reason: details.reason,
        flag_metadata: details.flag_metadata,
    })
}

pub(crate) fn failed(code: EvaluationErrorCode, message: impl Into<String>) -> EvaluationError {
    EvaluationError {
        code,
        message: Some(message.into()),
    }
}

pub(crate) fn general(message: impl Into<String>) -> EvaluationError {
    let message = message.into();
    failed(EvaluationErrorCode::General(message.clone()), message)
}

fn left_to_caller(reason: &str) -> &'static str {
    match reason {
        "DISABLED" => "the flag is switched off, which leaves its value to who asks",
        _ => "the flag leaves its value to who asks",
    }
}

fn of_reason(reason: &str) -> EvaluationReason {
    match reason {
        "STATIC" => EvaluationReason::Static,
        "DEFAULT" => EvaluationReason::Default,
        "TARGETING_MATCH" => EvaluationReason::TargetingMatch,
        "DISABLED" => EvaluationReason::Disabled,
        other => EvaluationReason::Other(other.to_owned()),
    }
}

/// Metadata are texts, numbers and booleans.
fn of_metadata(metadata: &Map<String, Value>) -> FlagMetadata {
    let values = metadata.iter().filter_map(|(name, value)| {
        let value = match value {
            Value::Bool(value) => FlagMetadataValue::Bool(*value),
            Value::String(value) => FlagMetadataValue::String(value.clone()),
            Value::Number(value) => match value.as_i64() {
                Some(value) => FlagMetadataValue::Int(value),
                None => FlagMetadataValue::Float(value.as_f64()?),
            },
            Value::Null | Value::Array(_) | Value::Object(_) => return None,
        };
        Some((name.clone(), value))
    });
    FlagMetadata {
        values: values.collect(),
    }
}

/// `None` for one with null in a list; a member that is null is left out.
fn of_object(object: Map<String, Value>) -> Option<StructValue> {
    let members = object.into_iter().filter(|(_, value)| !value.is_null());
    let fields = members.map(|(name, value)| Some((name, of_value(value)?)));
    Some(StructValue {
        fields: fields.collect::<Option<_>>()?,
    })
}

fn of_value(value: Value) -> Option<OfValue> {
    match value {
        Value::Null => None,
        Value::Bool(value) => Some(OfValue::Bool(value)),
        Value::Number(value) => of_number(&value),
        Value::String(value) => Some(OfValue::String(value)),
        Value::Array(values) => {
            let values = values.into_iter().map(of_value);
            values.collect::<Option<_>>().map(OfValue::Array)
        }
        Value::Object(object) => of_object(object).map(OfValue::Struct),
    }
}

/// As the definition writes it: `10` is a whole number and `10.0` is none.
fn of_number(number: &Number) -> Option<OfValue> {
    let whole = number.as_i64().map(OfValue::Int);
    whole.or_else(|| number.as_f64().map(OfValue::Float))
}
