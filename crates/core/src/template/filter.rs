//! Filters that write values in a format: owns which format a value of which shape gets. It must not know
//! where values come from.

use std::io::Write as _;

use minijinja::value::{Kwargs, Rest, Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State, filters};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value as Json;
use zeroize::Zeroizing;

use super::error::{FilterError, Problem};
use super::json;
use super::table::Notes;
use crate::config::{self, Delivered, MAX_DELIVERED};
use crate::secret::{Filling, Secret};

/// What is not escaped in any part of a URL.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

type Written = Result<(), FilterError>;
type Filter = (&'static str, fn(&mut Filling, &Json) -> Written);

pub(super) fn add(environment: &mut Environment<'_>, notes: &Notes) {
    let filters: [Filter; 7] = [
        ("toml", toml),
        ("json", json_line),
        ("yaml", yaml),
        ("dotenv", dotenv),
        ("properties", properties),
        ("shell", shell),
        ("url", url),
    ];
    for (filter, write) in filters {
        let notes = notes.clone();
        environment.add_filter(
            filter,
            move |state: &State<'_, '_>, value: &Value| -> Result<String, Error> {
                let json = json::of(state, value, &notes)?;
                let mut out = Filling::new(MAX_DELIVERED);
                let text = write(&mut out, &json).and_then(|()| text_of(&out.finish()));
                text.map_err(|why| notes.fail(Problem::Filter { filter, why }))
            },
        );
    }
    as_texts(environment, notes);
    forgiving(environment, notes);
}

/// The engine's filters that make texts of what has none, so that these take no less care than an expression.
fn as_texts(environment: &mut Environment<'_>, notes: &Notes) {
    let to = notes.clone();
    environment.add_filter("string", move |value: &Value| text(value, &to));
    let to = notes.clone();
    environment.add_filter(
        "join",
        move |state: &State<'_, '_>, items: &Value, between: Option<&str>, named: Kwargs| {
            let between = between.map_or_else(|| named.get::<Option<&str>>("d"), |text| Ok(Some(text)))?;
            let attribute = named.get::<Option<&str>>("attribute")?;
            named.assert_all_used()?;
            if items.is_undefined() {
                return Err(ErrorKind::UndefinedError.into());
            }
            let mut out = Filling::new(MAX_DELIVERED);
            let mut put = |text: &str| {
                out.write_all(text.as_bytes())
                    .map_err(|_| to.fail(Problem::TooMuch))
            };
            for (at, item) in items.try_iter()?.enumerate() {
                let item = match attribute {
                    Some(name) => item.get_attr(name)?,
                    None => item,
                };
                let item = text(&item, &to)?;
                state.consume_fuel(1)?;
                if let (1.., Some(between)) = (at, between) {
                    put(between)?;
                }
                put(&item)?;
            }
            text_of(&out.finish()).map_err(|why| to.fail(Problem::Filter { filter: "join", why }))
        },
    );
}

/// As an expression is written.
pub(super) fn text(value: &Value, notes: &Notes) -> Result<String, Error> {
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

/// What says itself that a value may be missing: such a one is not what a later error is about.
fn forgiving(environment: &mut Environment<'_>, notes: &Notes) {
    for name in ["default", "d"] {
        let notes = notes.clone();
        environment.add_filter(
            name,
            move |state: &State<'_, '_>, value: &Value, rest: Rest<Value>| {
                notes.with(|learnt| learnt.missed = None);
                filters::default(state, value, rest)
            },
        );
    }
    for (name, wanted) in [("defined", true), ("undefined", false)] {
        let notes = notes.clone();
        environment.add_test(name, move |value: &Value| {
            notes.with(|learnt| learnt.missed = None);
            value.is_undefined() != wanted
        });
    }
}

/// For the engine, which keeps what it is given.
fn text_of(secret: &Secret) -> Result<String, FilterError> {
    secret.expose(|bytes| {
        let text = std::str::from_utf8(bytes).map_err(|_| FilterError::NotText)?;
        Ok(text.to_owned())
    })
}

/// Nothing but its length can fail in memory.
fn put(out: &mut Filling, text: &str) -> Written {
    out.write_all(text.as_bytes()).map_err(|_| FilterError::TooLong)
}

fn document(out: &mut Filling, format: Delivered, value: &Json) -> Written {
    Ok(config::deliver_to(out, format, value)?)
}

/// The text of what is one.
fn scalar(value: &Json) -> Result<Zeroizing<String>, FilterError> {
    match value {
        Json::Array(_) | Json::Object(_) => Err(FilterError::NotScalar),
        value => config::text(value).ok_or(FilterError::Null),
    }
}

/// A table is a document, anything else a value as it stands after a `=`.
fn toml(out: &mut Filling, value: &Json) -> Written {
    match value {
        Json::Object(_) => document(out, Delivered::Toml, value),
        value => put(out, &config::toml_value(value)?),
    }
}

/// On one line.
fn json_line(out: &mut Filling, value: &Json) -> Written {
    serde_json::to_writer(out, value).map_err(|_| FilterError::TooLong)
}

/// In block style; what has no parts is without the newline.
fn yaml(out: &mut Filling, value: &Json) -> Written {
    if config::is_yaml_block(value) {
        return document(out, Delivered::Yaml, value);
    }
    config::yaml_value(out, value).map_err(|_| FilterError::TooLong)
}

/// A table is lines, anything else a value as it stands after a `=`.
fn dotenv(out: &mut Filling, value: &Json) -> Written {
    if value.is_object() {
        return document(out, Delivered::Dotenv, value);
    }
    let text = config::text(value).ok_or(FilterError::Null)?;
    if text.contains('\0') {
        return Err(FilterError::Nul);
    }
    config::dotenv_value(out, &text).map_err(|_| FilterError::TooLong)
}

/// The same for Java's properties.
fn properties(out: &mut Filling, value: &Json) -> Written {
    if value.is_object() {
        return document(out, Delivered::Properties, value);
    }
    let text = config::text(value).ok_or(FilterError::Null)?;
    put(out, &config::properties_value(&text))
}

/// One word of a POSIX shell; an array is its items, each a word.
fn shell(out: &mut Filling, value: &Json) -> Written {
    let Json::Array(items) = value else {
        return word(out, value);
    };
    items.iter().enumerate().try_for_each(|(at, item)| {
        if at > 0 {
            put(out, " ")?;
        }
        word(out, item)
    })
}

fn word(out: &mut Filling, value: &Json) -> Written {
    let text = scalar(value)?;
    if text.contains('\0') {
        return Err(FilterError::Nul);
    }
    put(out, "'")?;
    for (at, part) in text.split('\'').enumerate() {
        if at > 0 {
            put(out, "'\\''")?;
        }
        put(out, part)?;
    }
    put(out, "'")
}

/// Percent-encoded for any part of a URL.
fn url(out: &mut Filling, value: &Json) -> Written {
    let text = scalar(value)?;
    utf8_percent_encode(&text, UNRESERVED).try_for_each(|part| put(out, part))
}
