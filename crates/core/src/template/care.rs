//! Care for what the engine does not charge for: owns the filters that `guard` puts beside operators, and looking at what
//! filters and tests are given before they get it. The engine adds and repeats lists without charging for them,
//! writes a list of any length where a text is wanted, and charges a comparison for one level only; of a filter's
//! texts it charges the first alone, and none of a test's.

use minijinja::value::{Rest, Value, ValueKind, ValueOrKwargs};
use minijinja::{Environment, Error, ErrorKind, State};

use super::error::Problem;
use super::json;
use super::table::Notes;
use crate::config::MAX_DELIVERED;

/// Of `+` and `*`: no list.
pub(super) const PLAIN: &str = "_plain";
/// Of `~`: what an expression writes.
pub(super) const WRITTEN: &str = "_written";
/// Of comparisons: anything, charged for all that is in it.
pub(super) const WEIGHED: &str = "_weighed";
/// Of a table's keys: no list and no table, which would be compared wherever the table is made or looked into.
pub(super) const KEY: &str = "_key";

type Look = fn(&State<'_, '_>, Value, &Notes) -> Result<Value, Error>;

/// How long a path may be that each item of a list is asked for, in bytes.
const MAX_PATH: usize = 256;
/// How far it may count into a list or text.
const MAX_STEP: u64 = 1000;

/// What a filter or test takes of its arguments, those by name aside.
#[derive(Clone, Copy)]
pub(super) struct Care {
    look: Look,
    /// At how many of them; the others are there.
    most: usize,
    /// Which is the path that each item is asked for. One by name is called `attribute`.
    path: Option<usize>,
}

impl Care {
    /// None: it may be given what is not there.
    pub(super) const ANY: Self = Self::of(any, usize::MAX);
    /// They are there.
    pub(super) const THERE: Self = Self::of(there, usize::MAX);
    /// They are texts, or what has one.
    pub(super) const WRITTEN: Self = Self::of(written, usize::MAX);
    /// The same of the first.
    pub(super) const WRITTEN_FIRST: Self = Self::of(written, 1);
    /// They are compared.
    pub(super) const WEIGHED: Self = Self::of(weighed, usize::MAX);
    /// What is in the first is compared.
    pub(super) const COMPARED_FIRST: Self = Self::of(compared, 1);
    /// The same, for a function that does not charge for putting it in order.
    pub(super) const SORTED_FIRST: Self = Self::of(sorted, 1);
    /// The first is gone through to its end.
    pub(super) const WALKED_FIRST: Self = Self::of(walked, 1);

    const fn of(look: Look, most: usize) -> Self {
        let path = None;
        Self { look, most, path }
    }

    /// The second is a path that each item is asked for.
    pub(super) const fn with_path(self) -> Self {
        let Self { look, most, .. } = self;
        let path = Some(1);
        Self { look, most, path }
    }
}

pub(super) fn add(environment: &mut Environment<'_>, notes: &Notes) {
    let operands: [(&str, Look); 4] = [(PLAIN, plain), (WRITTEN, written), (WEIGHED, weighed), (KEY, key)];
    for (name, look) in operands {
        let notes = notes.clone();
        environment.add_filter(name, move |state: &State<'_, '_>, value: Value| {
            length(&value, &notes)?;
            look(state, value, &notes)
        });
    }
}

/// What the engine charges for itself.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Charged {
    /// A filter's first argument.
    First,
    Nothing,
}

/// `function` with care for what it is given.
pub(super) fn careful(
    function: Value,
    care: Care,
    charged: Charged,
    notes: &Notes,
) -> impl Fn(&mut State<'_, '_>, Rest<ValueOrKwargs>) -> Result<Value, Error> + Send + Sync + 'static {
    let notes = notes.clone();
    move |state, arguments| {
        let mut arguments = arguments.into_values();
        for (at, argument) in arguments.iter_mut().enumerate() {
            if argument.is_kwargs() {
                for name in argument.try_iter()? {
                    let value = argument.get_item(&name)?;
                    charge(state, length(&value, &notes)?)?;
                    if name.as_str() == Some("attribute") {
                        short(&value)?;
                    }
                }
                continue;
            }
            let look = if at < care.most { care.look } else { there };
            *argument = look(state, std::mem::take(argument), &notes)?;
            let bytes = length(argument, &notes)?;
            if (at, charged) != (0, Charged::First) {
                charge(state, bytes)?;
            }
            if care.path == Some(at) {
                short(argument)?;
            }
        }
        function.call(state, &arguments)
    }
}

/// Refuses what is no short path, nor the place of an item: each item of a list pays for one step alone.
fn short(path: &Value) -> Result<(), Error> {
    let is_short = match path.as_str() {
        Some(path) => {
            let mut steps = path.split('.').map(str::parse);
            path.len() <= MAX_PATH && steps.all(|step| step.map_or(true, |step: u64| step <= MAX_STEP))
        }
        None => u64::try_from(path.clone()).map_or(path.is_none(), |step| step <= MAX_STEP),
    };
    if is_short {
        Ok(())
    } else {
        Err(ErrorKind::InvalidOperation.into())
    }
}

/// How long a text is, in bytes. One that is longer than a template may write is nothing that it may work on either.
pub(super) fn length(value: &Value, notes: &Notes) -> Result<usize, Error> {
    match value.as_str().map_or(0, str::len) {
        length @ ..=MAX_DELIVERED => Ok(length),
        _ => Err(notes.fail(Problem::TooMuch)),
    }
}

/// Charges for so many bytes.
pub(super) fn charge(state: &State<'_, '_>, bytes: usize) -> Result<(), Error> {
    consume(state, bytes / json::BYTES_PER_FUEL)
}

pub(super) fn consume(state: &State<'_, '_>, fuel: usize) -> Result<(), Error> {
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

/// A comparison is charged for by what lies in its two sides. What is put in order is compared more than once.
fn compared(state: &State<'_, '_>, value: Value, notes: &Notes) -> Result<Value, Error> {
    let value = there(state, value, notes)?;
    let weight = weigh(state, &value)?;
    consume(state, weight.texts.saturating_mul(weight.times()))?;
    Ok(value)
}

fn sorted(state: &State<'_, '_>, value: Value, notes: &Notes) -> Result<Value, Error> {
    let value = there(state, value, notes)?;
    let weight = weigh(state, &value)?;
    let each = weight.texts.saturating_add(weight.items);
    consume(state, each.saturating_mul(weight.times()))?;
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

fn weighed(state: &State<'_, '_>, value: Value, _: &Notes) -> Result<Value, Error> {
    weigh(state, &value)?;
    Ok(value)
}

/// What is in a value, as often as it is in it.
#[derive(Default)]
struct Weight {
    /// Of texts, in fuel.
    texts: usize,
    items: usize,
}

impl Weight {
    /// How often each of so many is compared to put them in order.
    fn times(&self) -> usize {
        self.items.checked_ilog2().unwrap_or_default() as usize
    }
}

/// Charges for all that is in `value`.
fn weigh(state: &State<'_, '_>, value: &Value) -> Result<Weight, Error> {
    let mut weight = Weight::default();
    let mut rest = vec![value.clone()];
    while let Some(next) = rest.pop() {
        let is_table = match next.kind() {
            ValueKind::Seq | ValueKind::Iterable => false,
            ValueKind::Map => true,
            _ => {
                let fuel = next.as_str().map_or(0, str::len) / json::BYTES_PER_FUEL;
                consume(state, fuel)?;
                weight.texts = weight.texts.saturating_add(fuel);
                continue;
            }
        };
        for item in next.try_iter()? {
            state.consume_fuel(1)?;
            weight.items = weight.items.saturating_add(1);
            if is_table {
                rest.push(next.get_item(&item)?);
            }
            rest.push(item);
        }
    }
    Ok(weight)
}
