//! Work that the engine does not charge for: owns the filters that `guard` puts into a text, and the care that the
//! engine's own filters and tests take of what they are given. The engine adds and repeats lists without charging
//! for them, writes a list of any length where a text is wanted, and charges a comparison for one level only.

use minijinja::value::{Kwargs, Rest, StringInput, Value, ValueKind, ValueOrKwargs, from_args};
use minijinja::{Environment, Error, ErrorKind, State, filters, tests};

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

type Care = fn(&State<'_, '_>, Value, &Notes) -> Result<Value, Error>;

pub(super) fn add(environment: &mut Environment<'_>, notes: &Notes) {
    let operands: [(&str, Care); 4] = [(PLAIN, plain), (WRITTEN, written), (WEIGHED, weighed), (KEY, key)];
    for (name, care) in operands {
        let notes = notes.clone();
        environment.add_filter(name, move |state: &State<'_, '_>, value: Value| {
            care(state, value, &notes)
        });
    }
    // an argument too may be written
    let written_all = [
        ("upper", Value::from_function(filters::upper)),
        ("lower", Value::from_function(filters::lower)),
        ("title", Value::from_function(filters::title)),
        ("capitalize", Value::from_function(filters::capitalize)),
        ("replace", Value::from_function(replace)),
        ("trim", Value::from_function(filters::trim)),
    ];
    for (name, of_engine) in written_all {
        environment.add_filter(name, careful(of_engine, ALL, written, notes));
    }
    let written_first = [
        ("indent", Value::from_function(indent)),
        ("split", Value::from_function(filters::split)),
        ("lines", Value::from_function(filters::lines)),
    ];
    for (name, of_engine) in written_first {
        environment.add_filter(name, careful(of_engine, 1, written, notes));
    }
    let orders = [
        ("sort", Value::from_function(filters::sort)),
        ("unique", Value::from_function(filters::unique)),
        ("min", Value::from_function(filters::min)),
        ("max", Value::from_function(filters::max)),
        ("groupby", Value::from_function(filters::groupby)),
        ("dictsort", Value::from_function(filters::dictsort)),
    ];
    for (name, of_engine) in orders {
        environment.add_filter(name, careful(of_engine, 1, weighed, notes));
    }
    let ends = [
        ("startingwith", Value::from_function(tests::is_startingwith)),
        ("endingwith", Value::from_function(tests::is_endingwith)),
    ];
    for (name, of_engine) in ends {
        environment.add_test(name, careful(of_engine, ALL, written, notes));
    }
    type Compare = fn(&Value, &Value) -> bool;
    let comparisons: [(&[&'static str], Compare); 6] = [
        (&["eq", "equalto", "=="], tests::is_eq),
        (&["ne", "!="], tests::is_ne),
        (&["lt", "lessthan", "<"], tests::is_lt),
        (&["le", "<="], tests::is_le),
        (&["gt", "greaterthan", ">"], tests::is_gt),
        (&["ge", ">="], tests::is_ge),
    ];
    for (names, test) in comparisons {
        for name in names {
            environment.add_test(*name, careful(Value::from_function(test), ALL, weighed, notes));
        }
    }
    let is_in = Value::from_function(tests::is_in);
    environment.add_test("in", careful(is_in, ALL, weighed, notes));
    let to = notes.clone();
    environment.add_filter(
        "sum",
        move |state: &State<'_, '_>,
              values: Value,
              attribute: Option<&str>,
              start: Option<Value>,
              named: Kwargs| {
            let start = start.map_or_else(|| named.get::<Option<Value>>("start"), |start| Ok(Some(start)))?;
            // what begins with a text or a list is one more such at every step
            match start.as_ref().map_or(ValueKind::Number, Value::kind) {
                ValueKind::Number | ValueKind::Bool => filters::sum(state, values, attribute, start, named),
                _ => Err(to.fail(Problem::Operand)),
            }
        },
    );
}

/// Of arguments.
const ALL: usize = usize::MAX;

/// What the engine has, with `care` for each of its first `most` arguments.
fn careful(
    of_engine: Value,
    most: usize,
    care: Care,
    notes: &Notes,
) -> impl Fn(&mut State<'_, '_>, Rest<ValueOrKwargs>) -> Result<Value, Error> + Send + Sync + 'static {
    let notes = notes.clone();
    move |state, arguments| {
        let mut cared = arguments.into_values();
        for argument in cared
            .iter_mut()
            .take(most)
            .filter(|argument| !argument.is_kwargs())
        {
            *argument = care(state, std::mem::take(argument), &notes)?;
        }
        of_engine.call(state, &cared)
    }
}

/// As the engine has it; what it makes is charged before it is made.
fn replace(state: &State<'_, '_>, arguments: Rest<ValueOrKwargs>) -> Result<String, Error> {
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
    let count = count.and_then(|count| usize::try_from(count).ok()).unwrap_or(ALL);
    let times = text.matches(from).take(count).count();
    charge(state, times.saturating_mul(to.len()).saturating_add(text.len()))?;
    Ok(text.replacen(from, to, count))
}

/// The same.
fn indent(state: &State<'_, '_>, arguments: Rest<ValueOrKwargs>) -> Result<Value, Error> {
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

fn charge(state: &State<'_, '_>, bytes: usize) -> Result<(), Error> {
    let fuel = bytes / json::BYTES_PER_FUEL;
    state.consume_fuel(u64::try_from(fuel).unwrap_or(u64::MAX))
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
