//! Subscripts: owns the methods that `guard` puts in their place. The engine counts the letters of a text up to the one
//! that is wanted, and goes through a list up to where a part of it begins whenever that part is used, and charges
//! for neither. A text is charged where a method is called on it.

use minijinja::value::{Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State};

use super::care::{charge, consume, length};
use super::table::Notes;

/// `a[1]` is `a._item(1)`.
pub(super) const ITEM: &str = "_item";
/// `a[1:2]` is `a._whole()[1:2]._part()`.
pub(super) const WHOLE: &str = "_whole";
pub(super) const PART: &str = "_part";

pub(super) fn add(environment: &mut Environment<'_>, notes: &Notes) {
    let notes = notes.clone();
    environment.set_unknown_method_callback(move |state, value, method, arguments| {
        let bytes = length(value, &notes)?;
        match (method, arguments) {
            (ITEM, [key]) => {
                charge(state, length(key, &notes)?)?;
                item(state, value, key)
            }
            (WHOLE, []) => {
                charge(state, bytes)?;
                walk(state, value, usize::MAX)?;
                Ok(value.clone())
            }
            (PART, []) => part(state, value),
            _ => Err(ErrorKind::UnknownMethod.into()),
        }
    });
}

fn item(state: &State<'_, '_>, value: &Value, key: &Value) -> Result<Value, Error> {
    // of a list the item is at hand; what is not made yet is made up to there
    if value.kind() == ValueKind::Iterable {
        walk(state, value, usize::try_from(key.clone()).unwrap_or(usize::MAX))?;
    }
    value.get_item(key)
}

/// Charges for so many of the items of a list.
fn walk(state: &State<'_, '_>, value: &Value, most: usize) -> Result<(), Error> {
    if !matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable) {
        return Ok(());
    }
    if let Some(items) = value.len() {
        return consume(state, items.min(most));
    }
    for _ in value.try_iter()?.take(most) {
        state.consume_fuel(1)?;
    }
    Ok(())
}

/// A list of its own, since the engine's is made again by each use.
fn part(state: &State<'_, '_>, value: &Value) -> Result<Value, Error> {
    if value.kind() != ValueKind::Iterable {
        return Ok(value.clone());
    }
    let mut items = Vec::new();
    for item in value.try_iter()? {
        state.consume_fuel(1)?;
        items.push(item);
    }
    Ok(Value::from(items))
}
