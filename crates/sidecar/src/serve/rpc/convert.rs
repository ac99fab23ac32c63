//! JSON as messages of protobuf have it, and back: owns both ways. It must not know flags.

use buffa::{Inline, MessageField};
use buffa_types::google::protobuf::value::Kind;
use buffa_types::google::protobuf::{ListValue, NullValue, Struct, Value as Proto};
use serde_json::{Map, Number, Value};

/// The members of a struct; none of an absent one.
pub(super) fn members(fields: MessageField<Struct, Inline<Struct>>) -> Map<String, Value> {
    let Some(fields) = fields.into_option() else {
        return Map::new();
    };
    let fields = fields.fields.into_iter();
    fields.map(|(name, value)| (name, json(value))).collect()
}

fn json(value: Proto) -> Value {
    match value.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::BoolValue(value)) => Value::Bool(value),
        Some(Kind::NumberValue(number)) => self::number(number),
        Some(Kind::StringValue(text)) => Value::String(text),
        Some(Kind::ListValue(list)) => Value::Array(list.values.into_iter().map(json).collect()),
        Some(Kind::StructValue(fields)) => {
            let fields = fields.fields.into_iter();
            Value::Object(fields.map(|(name, value)| (name, json(value))).collect())
        }
    }
}

/// Whole numbers are whole again: messages have only one kind of number.
fn number(number: f64) -> Value {
    const SAFE: f64 = 9_007_199_254_740_991.0;
    #[allow(clippy::cast_possible_truncation, reason = "whole and in range")]
    if number.trunc() == number && number.abs() <= SAFE {
        return Value::from(number as i64);
    }
    Number::from_f64(number).map_or(Value::Null, Value::Number)
}

/// Members as a struct.
pub(super) fn fields(members: &Map<String, Value>) -> Struct {
    let mut out = Struct::new();
    for (name, value) in members {
        out.insert(name.as_str(), proto(value));
    }
    out
}

fn proto(value: &Value) -> Proto {
    let kind = match value {
        Value::Null => Kind::NullValue(NullValue::NULL_VALUE.into()),
        Value::Bool(value) => Kind::BoolValue(*value),
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        Value::String(text) => Kind::StringValue(text.clone()),
        Value::Array(items) => Kind::ListValue(Box::new(ListValue {
            values: items.iter().map(proto).collect(),
            ..ListValue::default()
        })),
        Value::Object(members) => Kind::StructValue(Box::new(fields(members))),
    };
    Proto {
        kind: Some(kind),
        ..Proto::default()
    }
}
