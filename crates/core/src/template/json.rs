//! A template's values as JSON: owns the bounds of it, and refusing at any depth what is not there. A value
//! may hold another many times over, so what counts is how much is written.

use minijinja::value::{Value, ValueKind};
use minijinja::{ErrorKind, State};
use serde_json::{Map, Number, Value as Json};

use super::error::Problem;
use super::table::Notes;
use crate::config::MAX_DELIVERED;

/// How deep.
const DEPTH: usize = 128;
/// How many values.
const VALUES: usize = 100_000;
/// What the engine charges a unit of fuel for.
pub(super) const BYTES_PER_FUEL: usize = 64;

struct Bound {
    values: usize,
    bytes: usize,
}

/// `value` as JSON, charged to the rendering.
///
/// # Errors
/// It is not there, or something in it; it is too large or too deep; it is nothing that JSON can hold.
pub(super) fn of(state: &State<'_, '_>, value: &Value, notes: &Notes) -> Result<Json, minijinja::Error> {
    let mut bound = Bound {
        values: VALUES,
        bytes: MAX_DELIVERED,
    };
    let json = bound.under(value, DEPTH).map_err(|problem| match problem {
        // whose key it is was noted when it was missed
        Problem::Undefined(_) => ErrorKind::UndefinedError.into(),
        problem => notes.fail(problem),
    })?;
    let values = VALUES.saturating_sub(bound.values);
    let bytes = MAX_DELIVERED.saturating_sub(bound.bytes);
    let fuel = values.saturating_add(bytes / BYTES_PER_FUEL);
    state.consume_fuel(u64::try_from(fuel).unwrap_or(u64::MAX))?;
    Ok(json)
}

impl Bound {
    fn text(&mut self, text: &str) -> Result<String, Problem> {
        self.bytes = self.bytes.checked_sub(text.len()).ok_or(Problem::TooMuch)?;
        Ok(text.to_owned())
    }

    fn under(&mut self, value: &Value, depth: usize) -> Result<Json, Problem> {
        self.values = self.values.checked_sub(1).ok_or(Problem::TooMuch)?;
        match value.kind() {
            ValueKind::Undefined => Err(Problem::Undefined(None)),
            ValueKind::None => Ok(Json::Null),
            ValueKind::Bool => Ok(Json::Bool(value.is_true())),
            ValueKind::Number => number(value).map(Json::Number).ok_or(Problem::NotJson),
            ValueKind::String => self
                .text(value.as_str().ok_or(Problem::NotJson)?)
                .map(Json::String),
            ValueKind::Seq | ValueKind::Iterable => {
                let depth = depth.checked_sub(1).ok_or(Problem::TooDeep)?;
                let items = value.try_iter().map_err(|_| Problem::NotJson)?;
                items
                    .map(|item| self.under(&item, depth))
                    .collect::<Result<_, _>>()
                    .map(Json::Array)
            }
            ValueKind::Map => {
                let depth = depth.checked_sub(1).ok_or(Problem::TooDeep)?;
                let mut table = Map::new();
                for key in value.try_iter().map_err(|_| Problem::NotJson)? {
                    let name = match key.kind() {
                        ValueKind::String => self.text(key.as_str().ok_or(Problem::NotJson)?)?,
                        ValueKind::Number | ValueKind::Bool => self.text(&key.to_string())?,
                        _ => return Err(Problem::NotJson),
                    };
                    let inner = value.get_item(&key).map_err(|_| Problem::NotJson)?;
                    table.insert(name, self.under(&inner, depth)?);
                }
                Ok(Json::Object(table))
            }
            // an iteration that ran out of fuel ends with one
            ValueKind::Invalid => Err(Problem::TooMuch),
            _ => Err(Problem::NotJson),
        }
    }
}

fn number(value: &Value) -> Option<Number> {
    if value.is_integer() {
        let signed = i64::try_from(value.clone()).map(Number::from).ok();
        return signed.or_else(|| u64::try_from(value.clone()).map(Number::from).ok());
    }
    f64::try_from(value.clone()).ok().and_then(Number::from_f64)
}
