//! What is wrong with a template: owns the words. A value may come to stand where a name is wanted, so
//! nothing that was computed is repeated: only what the template's own text says.

use minijinja::ErrorKind;

use super::shape::MAX_NAME;
use super::{Unavailable, names};
use crate::config::{DeliverError, MAX_DELIVERED};
use crate::name::NameError;

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{template}, line {line}: {problem}")]
pub struct TemplateError {
    /// The template.
    pub template: String,
    /// Line, from 1.
    pub line: usize,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// It is longer than a template may be.
    #[error("the template is longer than {} bytes", super::MAX_TEXT)]
    TextTooLong,
    /// It is no text.
    #[error("the template is not UTF-8")]
    NotText,
    /// It does not parse; the parser's words for tokens, without their content.
    #[error("this is not a template: {0}")]
    Syntax(String),
    /// It names what there is not.
    #[error(
        "`{0}` is not known: a template has secret(path), config(path), flag(key, context), and what it sets itself"
    )]
    Name(String),
    /// A filter, test, method or function that there is not; named where the template itself names it.
    #[error("{}", unknown(.what, .name.as_deref()))]
    Unknown {
        /// "filter", "test", "method" or "function".
        what: &'static str,
        /// Its name.
        name: Option<String>,
    },
    /// What it asks for is not given.
    #[error("{what} {} {why}", name.as_deref().unwrap_or("with a computed name"))]
    Unavailable {
        /// "the secret", "the config" or "the flag".
        what: &'static str,
        /// Its path or key, where the template itself says it.
        name: Option<String>,
        /// Why not.
        why: Unavailable,
    },
    /// What it gives for a path or key is none.
    #[error("{0}")]
    BadName(NameError),
    /// A value that is not there was used.
    #[error("{}", undefined(.0.as_deref()))]
    Undefined(Option<String>),
    /// A table or an array was written without a filter.
    #[error("a table or an array is written through a filter: toml, json, yaml, dotenv or properties")]
    Table,
    /// A null was written.
    #[error(
        "a null has no text: say what is meant with `default(value, true)`, or write it with json or yaml"
    )]
    Null,
    /// An operator or filter for texts and numbers was given something else.
    #[error(
        "`+`, `*`, `~`, and filters of texts and numbers, take no table and no array: put arrays together with \
         `chain`, or give their items one by one"
    )]
    Operand,
    /// A table has such a thing as a list for a key.
    #[error("a table's key is a text, a number or a boolean")]
    Key,
    /// `flag` is something else than what is called.
    #[error("`flag` is the name of a function and can only be called: give another name to what is meant")]
    Flag,
    /// A filter cannot write a value in its format.
    #[error("{filter} cannot write this: {why}")]
    Filter {
        /// The filter.
        filter: &'static str,
        /// Why not.
        why: FilterError,
    },
    /// A function, filter or test was called with other arguments than it takes.
    #[error("a function, filter or test is called with too few or too many arguments")]
    Arguments,
    /// Arguments are taken from a table.
    #[error("arguments cannot be taken from a table with `**`: give each by its name")]
    FromTable,
    /// A name goes on too long.
    #[error("a name is longer than {MAX_NAME} bytes")]
    LongName,
    /// An operation does not take what it was given.
    #[error("an operation, filter or test does not take what it was given")]
    Operation,
    /// One expression goes on too long.
    #[error(
        "an expression is too long a chain of operators, filters, points or brackets, or an `if` of `elif`: \
         take a part of it into a variable"
    )]
    Chain,
    /// Values would hold one another without bound.
    #[error(
        "lists and tables are put into one another more often than a template may: give their parts to filters \
         one by one"
    )]
    Tangled,
    /// JSON has nothing for it.
    #[error("a value is nothing that JSON can hold")]
    NotJson,
    /// It calls itself too often, or a value nests too deep.
    #[error("macros or loops call themselves too deeply, or a value nests too deeply")]
    TooDeep,
    /// It does too much.
    #[error("the template does too much work or writes too large a value: does a loop go on without end?")]
    TooMuch,
    /// It writes too much.
    #[error("the template writes more than {MAX_DELIVERED} bytes")]
    TooLong,
}

/// Why a filter does not write a value. A key may be computed from a value, so none is named.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// A null, which only JSON and YAML have.
    #[error("it is null or has a null in it, which this format cannot say")]
    Null,
    /// Only tables have keys.
    #[error("it is no table, and this format has keys")]
    NotTable,
    /// A number beyond 64 bits with sign.
    #[error("it has a number that TOML cannot hold")]
    Number,
    /// Two keys get one name.
    #[error("two of its keys would get one name")]
    Collision,
    /// A key that gives no name.
    #[error("one of its keys gives no name that this format can have")]
    Name,
    /// Longer than is delivered.
    #[error("it is longer than {MAX_DELIVERED} bytes")]
    TooLong,
    /// It is no single value.
    #[error("a text, number or boolean is wanted")]
    NotScalar,
    /// A word with a NUL.
    #[error("it holds a NUL")]
    Nul,
    /// It is no text.
    #[error("it is not UTF-8")]
    NotText,
}

impl From<DeliverError> for FilterError {
    fn from(error: DeliverError) -> Self {
        match error {
            DeliverError::Null(_) => Self::Null,
            DeliverError::NotTable => Self::NotTable,
            DeliverError::Number(_) => Self::Number,
            DeliverError::Collision(..) => Self::Collision,
            DeliverError::Name(_) => Self::Name,
            DeliverError::Nul(_) => Self::Nul,
            DeliverError::TooLong => Self::TooLong,
        }
    }
}

fn unknown(what: &str, name: Option<&str>) -> String {
    match name {
        Some(name) => format!("the {what} `{name}` is not known"),
        None => format!("a {what} is not known, whose name is computed"),
    }
}

fn undefined(name: Option<&str>) -> String {
    match name {
        Some(name) => format!("{name} is not there"),
        None => "a value is used that is not there".to_owned(),
    }
}

/// What minijinja says, in words without its details: those repeat values.
pub(super) fn of_engine(error: &minijinja::Error, text: &str, missed: Option<String>) -> Problem {
    let detail = error.detail().unwrap_or_default();
    let unknown = |what| Problem::Unknown {
        what,
        name: names::named_in(text, what, detail),
    };
    match error.kind() {
        ErrorKind::SyntaxError => Problem::Syntax(syntax(detail)),
        ErrorKind::UndefinedError => Problem::Undefined(missed),
        ErrorKind::UnknownFilter => unknown("filter"),
        ErrorKind::UnknownTest => unknown("test"),
        ErrorKind::UnknownMethod => unknown("method"),
        ErrorKind::UnknownFunction => unknown("function"),
        ErrorKind::TooManyArguments | ErrorKind::MissingArgument => Problem::Arguments,
        ErrorKind::OutOfFuel => Problem::TooMuch,
        ErrorKind::WriteFailure => Problem::TooLong,
        _ if detail == "recursion limit exceeded" => Problem::TooDeep,
        _ => Problem::Operation,
    }
}

/// The parser names tokens by kind in most of its messages. Those that repeat a word are replaced.
fn syntax(detail: &str) -> String {
    if detail.starts_with("unexpected ") {
        return detail.to_owned();
    }
    if detail.starts_with("unknown statement") {
        return "a statement that is not known; other templates cannot be included or imported".to_owned();
    }
    "an expression or statement is not complete".to_owned()
}
