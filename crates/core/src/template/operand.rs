//! What stands beside an operator: owns the text that the engine gets instead of the author's, in which each such
//! operand goes through a filter of ours, and these filters. The engine adds and repeats lists without charging
//! for them, writes a list of any length where a text is wanted, and charges a comparison for one level only. Its
//! own filters and tests that do the same are wrapped here too.

use minijinja::value::{Kwargs, Rest, StringInput, Value, ValueKind, ValueOrKwargs, from_args};
use minijinja::{Environment, Error, ErrorKind, State, filters, tests};
use zeroize::Zeroizing;

use super::error::Problem;
use super::json;
use super::table::Notes;
use super::tokens::{Token, Tokens};

/// Of `+` and `*`: no list.
const PLAIN: &str = "_plain";
/// Of `~`: what an expression writes.
const WRITTEN: &str = "_written";
/// Of comparisons: anything, charged for all that is in it.
const WEIGHED: &str = "_weighed";
/// Of a table's keys: no list and no table, which would be compared wherever the table is made or looked into.
const KEY: &str = "_key";

/// Words that are operators.
pub(super) const OPERATORS: [&str; 7] = ["and", "or", "not", "if", "else", "in", "is"];

/// What was read last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
    /// The end of a value, or of what may be one.
    Value,
    /// A word after which a test is named.
    Is,
    /// The name of a test, which may be followed by a value that is compared with.
    Test,
    /// `|` or `.`, which are followed by a name.
    Part,
    /// `{%`.
    Begin,
    /// `not` of `not in`.
    Not,
    /// Anything else: a value follows.
    Other,
}

struct Rewriting<'a> {
    text: &'a str,
    out: Zeroizing<String>,
    /// How much of the text is in `out`.
    copied: usize,
    /// Where the last token ended.
    end: usize,
    last: Last,
    levels: Vec<Level>,
    /// In a `for` before its `in`.
    is_target: bool,
    /// The last word is `changed`, as in `loop.changed(...)`, which compares.
    is_changed: bool,
}

/// A bracket that is open, or the whole expression.
#[derive(Debug, Default)]
struct Level {
    /// The filter that is due when the operand right of an operator ends.
    due: Option<&'static str>,
    /// The filter of each of its parts, and what ends such a part beside the bracket.
    of_parts: Option<(&'static str, &'static str)>,
    /// A part is to begin.
    is_awaited: bool,
    /// A part has begun.
    has_begun: bool,
}

impl Level {
    fn of_parts(filter: &'static str, end: &'static str) -> Self {
        Self {
            of_parts: Some((filter, end)),
            is_awaited: true,
            ..Self::default()
        }
    }
}

/// `text` with its operands through the filters; its lines stay where they are.
pub(super) fn guarded(text: &str) -> Zeroizing<String> {
    let mut rewriting = Rewriting {
        text,
        out: Zeroizing::new(String::with_capacity(text.len())),
        copied: 0,
        end: 0,
        last: Last::Other,
        levels: Vec::new(),
        is_target: false,
        is_changed: false,
    };
    let mut tokens = Tokens::of(text);
    while let Some((_, token)) = tokens.next() {
        rewriting.begin_part(token);
        rewriting.last = rewriting.take(token);
        rewriting.end = text.len().saturating_sub(tokens.rest().len());
    }
    rewriting.copy(text.len());
    rewriting.out
}

impl Rewriting<'_> {
    fn take(&mut self, token: Token<'_>) -> Last {
        let is_changed = std::mem::replace(
            &mut self.is_changed,
            (token, self.last) == (Token::Word("changed"), Last::Part),
        );
        match (token, self.last) {
            (Token::Expression | Token::Statement, _) => {
                self.levels = vec![Level::default()];
                self.is_target = false;
                if token == Token::Statement {
                    Last::Begin
                } else {
                    Last::Other
                }
            }
            (Token::Word(word), Last::Begin) => {
                self.is_target = word == "for";
                Last::Other
            }
            (Token::Word(_), Last::Part) => Last::Value,
            (Token::Word("not"), Last::Is) => Last::Is,
            (Token::Word(_), Last::Is) => Last::Test,
            (Token::Word("is"), _) => Last::Is,
            (Token::Word("not"), Last::Value) => {
                self.operator(Some(WEIGHED));
                Last::Not
            }
            (Token::Word("in"), Last::Not) => Last::Other,
            (Token::Word("in"), _) if self.is_target && self.levels.len() == 1 => {
                self.is_target = false;
                Last::Other
            }
            (Token::Word("in"), _) => {
                self.operator(Some(WEIGHED));
                Last::Other
            }
            (Token::Word(word), _) if OPERATORS.contains(&word) => {
                self.operator(None);
                Last::Other
            }
            // of a `for`
            (Token::Word("recursive"), Last::Value) => {
                self.operator(None);
                Last::Other
            }
            (Token::Word(_) | Token::Literal(_), _) => Last::Value,
            (Token::Sign("." | "|"), _) => Last::Part,
            (Token::Sign(sign @ ("(" | "[" | "{")), _) => {
                self.levels.push(match sign {
                    "{" => Level::of_parts(KEY, ":"),
                    "(" if is_changed => Level::of_parts(WEIGHED, ","),
                    _ => Level::default(),
                });
                Last::Other
            }
            (Token::Sign(")" | "]" | "}"), _) => {
                self.operator(None);
                self.end_part();
                self.levels.pop();
                Last::Value
            }
            (Token::Sign(sign @ ("," | ":")), _) => {
                self.operator(None);
                let level = self.levels.last();
                if level
                    .and_then(|level| level.of_parts)
                    .is_some_and(|(_, end)| end == sign)
                {
                    self.end_part();
                }
                if let (",", Some(level)) = (sign, self.levels.last_mut()) {
                    level.is_awaited = level.of_parts.is_some();
                }
                Last::Other
            }
            // of what a test compares with
            (Token::Sign("-" | "+"), Last::Test) => Last::Other,
            (Token::Sign(sign), Last::Value | Last::Test) => {
                self.operator(match sign {
                    "+" | "*" => Some(PLAIN),
                    "~" => Some(WRITTEN),
                    "==" | "!=" | "<" | ">" | "<=" | ">=" => Some(WEIGHED),
                    _ => None,
                });
                Last::Other
            }
            // before a value they are no operators
            (Token::Sign(_), _) => Last::Other,
            (Token::End, _) => {
                self.operator(None);
                Last::Other
            }
        }
    }

    /// What stood before ends, and `filter` is for both sides of an operator.
    fn operator(&mut self, filter: Option<&'static str>) {
        let level = self.levels.last_mut();
        let due = level.and_then(|level| std::mem::replace(&mut level.due, filter));
        self.put(due);
        if due != filter {
            self.put(filter);
        }
    }

    fn put(&mut self, filter: Option<&str>) {
        if let (Some(filter), Last::Value | Last::Test) = (filter, self.last) {
            self.copy(self.end);
            self.push("|");
            self.push(filter);
        }
    }

    /// Opens a bracket around a part that begins with `token`.
    fn begin_part(&mut self, token: Token<'_>) {
        let is_none = matches!(token, Token::End | Token::Sign("," | ":" | ")" | "]" | "}"));
        let Some(level) = self
            .levels
            .last_mut()
            .filter(|level| level.is_awaited && !is_none)
        else {
            return;
        };
        (level.is_awaited, level.has_begun) = (false, true);
        let rest = self.text.get(self.end..).unwrap_or_default();
        let blank = rest.len().saturating_sub(rest.trim_start().len());
        self.copy(self.end.saturating_add(blank));
        self.push("(");
    }

    /// Closes it, and puts the filter behind.
    fn end_part(&mut self) {
        let level = self.levels.last_mut();
        if let Some(level) = level
            && std::mem::take(&mut level.has_begun)
            && let Some((filter, _)) = level.of_parts
        {
            self.copy(self.end);
            self.push(")|");
            self.push(filter);
        }
    }

    fn copy(&mut self, end: usize) {
        let text = self.text.get(self.copied..end).unwrap_or_default();
        self.push(text);
        self.copied = end.max(self.copied);
    }

    /// What it outgrows is wiped.
    fn push(&mut self, text: &str) {
        let length = self.out.len().saturating_add(text.len());
        if length > self.out.capacity() {
            let mut larger = Zeroizing::new(String::with_capacity(length.saturating_mul(2)));
            larger.push_str(&self.out);
            self.out = larger;
        }
        self.out.push_str(text);
    }
}

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
