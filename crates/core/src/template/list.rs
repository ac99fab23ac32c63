//! Filters and tests of lists and numbers that are other than the engine has them.

use minijinja::value::{Kwargs, Value, ValueKind};
use minijinja::{Error, ErrorKind, State, filters, tests};

use super::error::Problem;
use super::table::Notes;

/// Of numbers alone: what begins with a text or a list would be one more such at every step.
pub(super) fn sum(
    state: &State<'_, '_>,
    items: Value,
    attribute: Option<&str>,
    start: Option<Value>,
    named: Kwargs,
    notes: &Notes,
) -> Result<Value, Error> {
    let start = start.map_or_else(|| named.get::<Option<Value>>("start"), |start| Ok(Some(start)))?;
    match start.as_ref().map_or(ValueKind::Number, Value::kind) {
        ValueKind::Number | ValueKind::Bool => filters::sum(state, items, attribute, start, named),
        _ => Err(notes.fail(Problem::Operand)),
    }
}

/// As the engine has it in a template: by nothing is nothing divided.
pub(super) fn is_divisible(value: &Value, by: &Value) -> Result<bool, Error> {
    let is_number = |value: &Value| matches!(value.kind(), ValueKind::Number | ValueKind::Bool);
    if is_number(value) && is_number(by) && !by.is_true() {
        return Err(ErrorKind::InvalidOperation.into());
    }
    Ok(tests::is_divisibleby(value, by))
}
