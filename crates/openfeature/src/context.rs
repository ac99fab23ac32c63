//! The context of an evaluation as JSON: owns what each kind of the SDK's values becomes. It must not know flags.

use open_feature::{
    EvaluationContext, EvaluationContextFieldValue as Field, EvaluationError, EvaluationErrorCode,
    EvaluationResult, StructValue, Value as OfValue,
};
use serde_json::{Map, Number, Value};
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

/// Whom users are split by.
const TARGETING_KEY: &str = "targetingKey";

/// What rules find; the targeting key wins over a field of its name.
pub(crate) fn of(context: &EvaluationContext) -> EvaluationResult<Map<String, Value>> {
    let fields = context.custom_fields.iter();
    let fields = fields.map(|(name, field)| Ok((name.clone(), of_field(field)?)));
    let mut out = fields.collect::<EvaluationResult<Map<_, _>>>()?;
    if let Some(key) = &context.targeting_key {
        out.insert(TARGETING_KEY.to_owned(), Value::String(key.clone()));
    }
    Ok(out)
}

fn of_field(field: &Field) -> EvaluationResult<Value> {
    match field {
        Field::Bool(value) => Ok(Value::Bool(*value)),
        Field::Int(value) => Ok((*value).into()),
        Field::Float(value) => of_float(*value),
        Field::String(value) => Ok(Value::String(value.clone())),
        Field::DateTime(value) => of_time(*value),
        Field::Struct(value) => {
            let value = &**value;
            if let Some(value) = value.downcast_ref::<StructValue>() {
                of_struct(value)
            } else if let Some(value) = value.downcast_ref::<OfValue>() {
                of_value(value)
            } else if let Some(value) = value.downcast_ref::<Value>() {
                Ok(value.clone())
            } else if let Some(value) = value.downcast_ref::<Map<String, Value>>() {
                Ok(Value::Object(value.clone()))
            } else {
                Err(invalid(
                    "a struct of the context is of an unknown type: make it a StructValue or a serde_json::Value",
                ))
            }
        }
    }
}

fn of_value(value: &OfValue) -> EvaluationResult<Value> {
    match value {
        OfValue::Bool(value) => Ok(Value::Bool(*value)),
        OfValue::Int(value) => Ok((*value).into()),
        OfValue::Float(value) => of_float(*value),
        OfValue::String(value) => Ok(Value::String(value.clone())),
        OfValue::Array(values) => values.iter().map(of_value).collect(),
        OfValue::Struct(value) => of_struct(value),
    }
}

fn of_struct(value: &StructValue) -> EvaluationResult<Value> {
    let members = value.fields.iter();
    members
        .map(|(name, value)| Ok((name.clone(), of_value(value)?)))
        .collect()
}

fn of_float(value: f64) -> EvaluationResult<Value> {
    let number = Number::from_f64(value).map(Value::Number);
    number.ok_or_else(|| invalid("a number of the context is not finite"))
}

/// In UTC, so that texts of the same length compare as times do.
fn of_time(value: OffsetDateTime) -> EvaluationResult<Value> {
    let utc = value.checked_to_offset(UtcOffset::UTC);
    let text = utc.and_then(|utc| utc.format(&Rfc3339).ok()).map(Value::String);
    text.ok_or_else(|| invalid("a time of the context is not of the years 0 to 9999"))
}

fn invalid(message: &str) -> EvaluationError {
    EvaluationError {
        code: EvaluationErrorCode::InvalidContext,
        message: Some(message.to_owned()),
    }
}
