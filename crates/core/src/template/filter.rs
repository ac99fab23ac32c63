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

type Text = Zeroizing<String>;
type Written = Result<Text, FilterError>;
type Filter = (&'static str, fn(&Json) -> Written);

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
                let text = write(&json);
                let mut text = text.map_err(|why| notes.fail(Problem::Filter { filter, why }))?;
                Ok(std::mem::take(&mut *text))
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
            text_of(&out.finish())
                .map(|mut text| std::mem::take(&mut *text))
                .map_err(|why| to.fail(Problem::Filter { filter: "join", why }))
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

fn document(format: Delivered, value: &Json) -> Written {
    let text = config::deliver(format, value)?;
    text_of(&text)
}

fn text_of(secret: &Secret) -> Written {
    secret.expose(|bytes| match std::str::from_utf8(bytes) {
        Ok(text) => Ok(Zeroizing::new(text.to_owned())),
        Err(_) => Err(FilterError::NotText),
    })
}

/// The text of what is one.
fn scalar(value: &Json) -> Written {
    match value {
        Json::Null => Err(FilterError::Null),
        Json::Array(_) | Json::Object(_) => Err(FilterError::NotScalar),
        value => config::text(value).ok_or(FilterError::NotScalar),
    }
}

/// A table is a document, anything else a value as it stands after a `=`.
fn toml(value: &Json) -> Written {
    match value {
        Json::Object(_) => document(Delivered::Toml, value),
        value => Ok(config::toml_value(value)?),
    }
}

/// On one line.
fn json_line(value: &Json) -> Written {
    Ok(Zeroizing::new(value.to_string()))
}

/// In block style; what has no parts is without the newline.
fn yaml(value: &Json) -> Written {
    let mut text = document(Delivered::Yaml, value)?;
    if text.lines().count() == 1 && text.ends_with('\n') {
        text.pop();
    }
    Ok(text)
}

/// A table is lines, anything else a value as it stands after a `=`.
fn dotenv(value: &Json) -> Written {
    if value.is_object() {
        return document(Delivered::Dotenv, value);
    }
    let text = config::text(value).ok_or(FilterError::Null)?;
    if text.contains('\0') {
        return Err(FilterError::Nul);
    }
    let mut out = Zeroizing::new(Vec::with_capacity(text.len().saturating_mul(2).saturating_add(2)));
    config::dotenv_value(&mut *out, &text).map_err(|_| FilterError::TooLong)?;
    text_of(&Secret::new(std::mem::take(&mut *out)))
}

/// The same for Java's properties.
fn properties(value: &Json) -> Written {
    if value.is_object() {
        return document(Delivered::Properties, value);
    }
    let text = config::text(value).ok_or(FilterError::Null)?;
    Ok(config::properties_value(&text))
}

/// One word of a POSIX shell; an array is its items, each a word.
fn shell(value: &Json) -> Written {
    if let Json::Array(items) = value {
        let mut words = Zeroizing::new(String::new());
        for item in items {
            if !words.is_empty() {
                words.push(' ');
            }
            words.push_str(&shell(item)?);
        }
        return Ok(words);
    }
    let text = scalar(value)?;
    if text.contains('\0') {
        return Err(FilterError::Nul);
    }
    let mut word = Zeroizing::new(String::with_capacity(
        text.len().saturating_mul(4).saturating_add(2),
    ));
    word.push('\'');
    for letter in text.chars() {
        match letter {
            '\'' => word.push_str("'\\''"),
            letter => word.push(letter),
        }
    }
    word.push('\'');
    Ok(word)
}

/// Percent-encoded for any part of a URL.
fn url(value: &Json) -> Written {
    let text = scalar(value)?;
    Ok(Zeroizing::new(utf8_percent_encode(&text, UNRESERVED).to_string()))
}
