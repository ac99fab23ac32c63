//! Care for what the engine does not charge for: owns the filters that `guard` puts into a text, and looking at what
//! filters and tests are given before they get it. The engine adds and repeats lists without charging for them,
//! writes a list of any length where a text is wanted, and charges a comparison for one level only.

use minijinja::value::{Rest, Value, ValueKind, ValueOrKwargs};
use minijinja::{Environment, Error, ErrorKind, State};

use super::error::Problem;
use super::json;
use super::table::Notes;

/// Of `+` and `*`: no list.
pub(super) const PLAIN: &str = "_plain";
/// Of `~`: what an expression writes.
pub(super) const WRITTEN: &str = "_written";
/// Of comparisons: anything, charged for all that is in it.
pub(super) const WEIGHED: &str = "_weighed";
/// Of a table's keys: no list and no table, which would be compared wherever the table is made or looked into.
pub(super) const KEY: &str = "_key";

type Look = fn(&State<'_, '_>, Value, &Notes) -> Result<Value, Error>;

/// What a filter or test takes of its arguments, those by name aside.
#[derive(Clone, Copy)]
pub(super) struct Care {
    look: Look,
    /// At how many of them; the others are there.
    most: usize,
}

impl Care {
    /// None: it may be given what is not there.
    pub(super) const ANY: Self = Self {
        look: any,
        most: usize::MAX,
    };
    /// They are there.
    pub(super) const THERE: Self = Self {
        look: there,
        most: usize::MAX,
    };
    /// They are texts, or what has one.
    pub(super) const WRITTEN: Self = Self {
        look: written,
        most: usize::MAX,
    };
    /// The same of the first.
    pub(super) const WRITTEN_FIRST: Self = Self {
        look: written,
        most: 1,
    };
    /// They are compared.
    pub(super) const WEIGHED: Self = Self {
        look: weighed,
        most: usize::MAX,
    };
    /// What is in the first is compared, which is charged for by itself but for what lies deeper.
    pub(super) const COMPARED_FIRST: Self = Self {
        look: compared,
        most: 1,
    };
    /// The same, and it is put in order.
    pub(super) const SORTED_FIRST: Self = Self {
        look: sorted,
        most: 1,
    };
    /// The first is gone through to its end.
    pub(super) const WALKED_FIRST: Self = Self {
        look: walked,
        most: 1,
    };
}

pub(super) fn add(environment: &mut Environment<'_>, notes: &Notes) {
    let operands: [(&str, Look); 4] = [(PLAIN, plain), (WRITTEN, written), (WEIGHED, weighed), (KEY, key)];
    for (name, look) in operands {
        let notes = notes.clone();
        environment.add_filter(name, move |state: &State<'_, '_>, value: Value| {
            look(state, value, &notes)
        });
    }
}

/// `function` with care for what it is given.
pub(super) fn careful(
    function: Value,
    care: Care,
    notes: &Notes,
) -> impl Fn(&mut State<'_, '_>, Rest<ValueOrKwargs>) -> Result<Value, Error> + Send + Sync + 'static {
    let notes = notes.clone();
    move |state, arguments| {
        let mut arguments = arguments.into_values();
        let arguments_by_place = arguments.iter_mut().filter(|argument| !argument.is_kwargs());
        for (at, argument) in arguments_by_place.enumerate() {
            let look = if at < care.most { care.look } else { there };
            *argument = look(state, std::mem::take(argument), &notes)?;
        }
        function.call(state, &arguments)
    }
}

/// Charges for so many bytes.
pub(super) fn charge(state: &State<'_, '_>, bytes: usize) -> Result<(), Error> {
    consume(state, bytes / json::BYTES_PER_FUEL)
}

fn consume(state: &State<'_, '_>, fuel: usize) -> Result<(), Error> {
    state.consume_fuel(u64::try_from(fuel).unwrap_or(u64::MAX))
}

fn any(_: &State<'_, '_>, value: Value, _: &Notes) -> Result<Value, Error> {
    Ok(value)
}

fn there(_: &State<'_, '_>, value: Value, _: &Notes) -> Result<Value, Error> {
    if value.is_undefined() {
        return Err(ErrorKind::UndefinedError.into());
    }
    Ok(value)
}

fn compared(state: &State<'_, '_>, value: Value, notes: &Notes) -> Result<Value, Error> {
    weighed(state, there(state, value, notes)?, notes)
}

fn sorted(state: &State<'_, '_>, value: Value, notes: &Notes) -> Result<Value, Error> {
    let value = compared(state, value, notes)?;
    let items = value.len().unwrap_or_default();
    let times = items.checked_ilog2().unwrap_or_default() as usize;
    consume(state, items.saturating_mul(times))?;
    Ok(value)
}

/// What is not made yet is made to get at its end; of a list the end is at hand.
fn walked(state: &State<'_, '_>, value: Value, notes: &Notes) -> Result<Value, Error> {
    if let ValueKind::Iterable | ValueKind::Map = value.kind() {
        for _ in value.try_iter()? {
            state.consume_fuel(1)?;
        }
    }
    there(state, value, notes)
}

/// A list is refused; what else has no sum or product is refused by the engine.
fn plain(_: &State<'_, '_>, value: Value, notes: &Notes) -> Result<Value, Error> {
    match value.kind() {
        ValueKind::Seq | ValueKind::Iterable => Err(notes.fail(Problem::Operand)),
        _ => Ok(value),
    }
}

/// What a table's key may be.
fn key(_: &State<'_, '_>, value: Value, notes: &Notes) -> Result<Value, Error> {
    match value.kind() {
        ValueKind::String | ValueKind::Number | ValueKind::Bool => Ok(value),
        ValueKind::Undefined => Err(ErrorKind::UndefinedError.into()),
        ValueKind::Invalid => Err(notes.fail(Problem::TooMuch)),
        _ => Err(notes.fail(Problem::Key)),
    }
}

/// What has a text, with the text that an expression writes.
fn written(_: &State<'_, '_>, value: Value, notes: &Notes) -> Result<Value, Error> {
    match value.kind() {
        ValueKind::String | ValueKind::Number => Ok(value),
        ValueKind::Undefined => Err(ErrorKind::UndefinedError.into()),
        ValueKind::Bool => Ok(Value::from(value.is_true().to_string())),
        ValueKind::None => Err(notes.fail(Problem::Null)),
        ValueKind::Invalid => Err(notes.fail(Problem::TooMuch)),
        _ => Err(notes.fail(Problem::Operand)),
    }
}

/// Charges for all that is in `value`, as often as it is in it.
fn weighed(state: &State<'_, '_>, value: Value, _: &Notes) -> Result<Value, Error> {
    let mut rest = vec![value.clone()];
    while let Some(next) = rest.pop() {
        let is_table = match next.kind() {
            ValueKind::Seq | ValueKind::Iterable => false,
            ValueKind::Map => true,
            _ => {
                charge(state, next.as_str().map_or(0, str::len))?;
                continue;
            }
        };
        for item in next.try_iter()? {
            state.consume_fuel(1)?;
            rest.push(if is_table { next.get_item(&item)? } else { item });
        }
    }
    Ok(value)
}
