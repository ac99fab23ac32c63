//! Filters and tests of lists and numbers that are other than the engine has them. What the engine would make again
//! by each use is made once, and charged.

use std::collections::BTreeMap;

use minijinja::value::{Kwargs, Rest, Tuple, Value, ValueKind};
use minijinja::{Error, ErrorKind, State, filters, tests};

use super::care::charge;
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

/// Lists behind one another, or tables over one another: a later one's key goes before an earlier one's.
pub(super) fn chain(state: &State<'_, '_>, first: Value, others: Rest<Value>) -> Result<Value, Error> {
    let all = || std::iter::once(&first).chain(others.iter());
    if all().all(|table| table.kind() == ValueKind::Map) {
        let mut merged = BTreeMap::new();
        for table in all() {
            for key in table.try_iter()? {
                charge(state, key.as_str().map_or(0, str::len))?;
                state.consume_fuel(2)?;
                let value = table.get_item(&key)?;
                merged.insert(key, value);
            }
        }
        return Ok(Value::from(merged));
    }
    let mut chained = Vec::new();
    for list in all() {
        for item in list.try_iter()? {
            state.consume_fuel(1)?;
            chained.push(item);
        }
    }
    Ok(Value::from(chained))
}

/// The first items of all, the second, and so on, while all have one.
pub(super) fn zip(state: &State<'_, '_>, first: Value, others: Rest<Value>) -> Result<Value, Error> {
    let lists = std::iter::once(&first).chain(others.iter());
    let mut lists = lists.map(Value::try_iter).collect::<Result<Vec<_>, _>>()?;
    let mut zipped = Vec::new();
    while let Some(row) = lists.iter_mut().map(Iterator::next).collect::<Option<Vec<_>>>() {
        state.consume_fuel(u64::try_from(row.len()).unwrap_or(u64::MAX))?;
        zipped.push(Value::from(Tuple::from(row)));
    }
    Ok(Value::from(zipped))
}
