//! What the examples in Rust share: prints flags as OpenFeature's client gives them. Flags are given as KEY=DEFAULT; the
//! type of the default, which is JSON, is the type that is asked for.

use std::error::Error;

use open_feature::{
    Client, EvaluationContext, EvaluationContextFieldValue, EvaluationDetails, EvaluationErrorCode,
    EvaluationResult, StructValue, Value as OfValue,
};
use serde_json::{Map, Value};

/// Who is asked for, and which flags.
pub(crate) struct Asked {
    context: EvaluationContext,
    flags: Vec<(String, Value)>,
}

impl Asked {
    /// What is on the command line: CONTEXT KEY=DEFAULT...
    pub(crate) fn new(arguments: &[String]) -> Result<Self, Box<dyn Error>> {
        let (context, flags) = arguments.split_first().ok_or("no context is given")?;
        let mut asked = Self {
            context: EvaluationContext::default(),
            flags: Vec::new(),
        };
        for (name, value) in serde_json::from_str::<Map<String, Value>>(context)? {
            match value {
                Value::String(key) if name == "targetingKey" => asked.context.targeting_key = Some(key),
                Value::String(text) => asked.context.add_custom_field(name, text),
                Value::Bool(value) => asked.context.add_custom_field(name, value),
                Value::Number(number) => match number.as_i64() {
                    Some(whole) => asked.context.add_custom_field(name, whole),
                    None => asked
                        .context
                        .add_custom_field(name, number.as_f64().unwrap_or_default()),
                },
                other => {
                    let other = EvaluationContextFieldValue::new_struct(other);
                    asked.context.add_custom_field(name, other);
                }
            }
        }
        for flag in flags {
            let (key, default) = flag.split_once('=').ok_or("a flag is given as KEY=DEFAULT")?;
            asked.flags.push((key.to_owned(), serde_json::from_str(default)?));
        }
        Ok(asked)
    }

    /// Prints why, then what the flags are.
    #[allow(dead_code)] // not every example has it
    pub(crate) async fn show(&self, why: &str, client: &Client) {
        println!("{why}\n{}", self.look(client).await);
    }

    /// A line for each flag: its value, variant, and reason or error.
    pub(crate) async fn look(&self, client: &Client) -> String {
        let mut lines = String::new();
        for (key, default) in &self.flags {
            let context = Some(&self.context);
            let found = match default {
                Value::Bool(_) => found(client.get_bool_details(key, context, None).await, Value::Bool),
                Value::String(_) => found(client.get_string_details(key, context, None).await, Value::String),
                Value::Number(number) if number.is_i64() => {
                    found(client.get_int_details(key, context, None).await, Value::from)
                }
                Value::Number(_) => found(client.get_float_details(key, context, None).await, Value::from),
                _ => found(client.get_struct_details(key, context, None).await, of_struct),
            };
            // the SDK gives an error where others give the default
            let (value, variant, reason) = found.unwrap_or_else(|code| (default.clone(), None, code));
            let variant = variant.filter(|variant| !variant.is_empty());
            lines += &format!(
                "{key} = {value} ({}, {reason})\n",
                variant.as_deref().unwrap_or("-")
            );
        }
        lines
    }
}

/// Value, variant and reason; else the error's code.
type Found = Result<(Value, Option<String>, String), String>;

fn found<T>(result: EvaluationResult<EvaluationDetails<T>>, json: impl FnOnce(T) -> Value) -> Found {
    let details = result.map_err(|error| match error.code {
        // its text would be the message
        EvaluationErrorCode::General(_) => "GENERAL".to_owned(),
        code => code.to_string(),
    })?;
    let reason = details.reason.unwrap_or_default().to_string();
    Ok((json(details.value), details.variant, reason))
}

fn of_struct(value: StructValue) -> Value {
    let members = value.fields.into_iter();
    members.map(|(name, value)| (name, of_value(value))).collect()
}

fn of_value(value: OfValue) -> Value {
    match value {
        OfValue::Bool(value) => value.into(),
        OfValue::Int(value) => value.into(),
        OfValue::Float(value) => value.into(),
        OfValue::String(value) => value.into(),
        OfValue::Array(values) => values.into_iter().map(of_value).collect(),
        OfValue::Struct(value) => of_struct(value),
    }
}
