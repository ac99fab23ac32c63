//! Filters that make texts: owns charging for what they make before they make it, and that nothing is written as a text
//! which has none.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io::Write as _;

use minijinja::value::{Kwargs, Rest, StringInput, Value, ValueKind, ValueOrKwargs, from_args};
use minijinja::{Error, ErrorKind, State, filters};

use super::care::charge;
use super::error::{FilterError, Problem};
use super::table::Notes;
use crate::config::MAX_DELIVERED;
use crate::secret::{Filling, Secret};

/// `value` as an expression is written.
pub(super) fn of(value: &Value, notes: &Notes) -> Result<String, Error> {
    match value.kind() {
        ValueKind::String | ValueKind::Number => Ok(value.to_string()),
        // Jinja would write `True`, which few formats know
        ValueKind::Bool => Ok(value.is_true().to_string()),
        ValueKind::Undefined => Err(ErrorKind::UndefinedError.into()),
        ValueKind::None => Err(notes.fail(Problem::Null)),
        ValueKind::Invalid => Err(notes.fail(Problem::TooMuch)),
        _ => Err(notes.fail(Problem::Table)),
    }
}

/// What was written, for the engine, which keeps what it is given.
pub(super) fn of_secret(secret: &Secret) -> Result<String, FilterError> {
    secret.expose(|bytes| {
        let text = std::str::from_utf8(bytes).map_err(|_| FilterError::NotText)?;
        Ok(text.to_owned())
    })
}

/// As the engine has it, of what has a text.
pub(super) fn join(
    state: &State<'_, '_>,
    items: &Value,
    between: Option<&str>,
    named: &Kwargs,
    notes: &Notes,
) -> Result<String, Error> {
    let between = between.map_or_else(|| named.get::<Option<&str>>("d"), |text| Ok(Some(text)))?;
    let attribute = named.get::<Option<&str>>("attribute")?;
    named.assert_all_used()?;
    let mut out = Filling::new(MAX_DELIVERED);
    let mut put = |text: &str| {
        out.write_all(text.as_bytes())
            .map_err(|_| notes.fail(Problem::TooMuch))
    };
    for (at, item) in items.try_iter()?.enumerate() {
        let item = match attribute {
            Some(name) => item.get_attr(name)?,
            None => item,
        };
        let item = of(&item, notes)?;
        state.consume_fuel(1)?;
        if let (1.., Some(between)) = (at, between) {
            put(between)?;
        }
        put(&item)?;
    }
    of_secret(&out.finish()).map_err(|why| notes.fail(Problem::Filter { filter: "join", why }))
}

/// As the engine has it; charged before.
pub(super) fn replace(state: &State<'_, '_>, arguments: Rest<ValueOrKwargs>) -> Result<String, Error> {
    let arguments = arguments.into_values();
    type Texts<'a> = (StringInput<'a>, StringInput<'a>, StringInput<'a>);
    let ((text, from, to), (count, named)): (Texts<'_>, (Option<i64>, Kwargs)) = {
        let texts = arguments.get(..3).unwrap_or(&arguments);
        (
            from_args(texts)?,
            from_args(arguments.get(3..).unwrap_or_default())?,
        )
    };
    let (text, from, to) = (text.as_str(), from.as_str(), to.as_str());
    let count = count.map_or_else(|| named.get::<Option<i64>>("count"), |count| Ok(Some(count)))?;
    named.assert_all_used()?;
    let count = count
        .and_then(|count| usize::try_from(count).ok())
        .unwrap_or(usize::MAX);
    let times = text.matches(from).take(count).count();
    charge(state, times.saturating_mul(to.len()).saturating_add(text.len()))?;
    Ok(text.replacen(from, to, count))
}

/// As the engine has it; charged before.
pub(super) fn indent(state: &State<'_, '_>, arguments: Rest<ValueOrKwargs>) -> Result<Value, Error> {
    let arguments = arguments.into_values();
    let (text, width, first, blank, named) = from_args(&arguments)?;
    let (text, width): (StringInput<'_>, Option<usize>) = (text, width);
    let width = width
        .map_or_else(|| named_width(&named), |width| Ok(Some(width)))?
        .unwrap_or(4);
    let lines = text.as_str().matches('\n').count().saturating_add(1);
    charge(
        state,
        width.saturating_mul(lines).saturating_add(text.as_str().len()),
    )?;
    filters::indent(text, Some(width), first, blank, named)
}

fn named_width(named: &Kwargs) -> Result<Option<usize>, Error> {
    named.get("width")
}

/// As the engine has it, whose work is the product of the two.
pub(super) fn trim(text: StringInput<'_>, letters: Option<Cow<'_, str>>) -> String {
    let text = text.as_str();
    let trimmed = match letters {
        Some(letters) => {
            let letters: BTreeSet<char> = letters.chars().collect();
            text.trim_matches(|letter| letters.contains(&letter))
        }
        None => text.trim(),
    };
    trimmed.to_owned()
}
