//! Filters that write values in a format: owns which format a value of which shape gets. It must not know
//! where values come from.

use minijinja::value::Value;
use minijinja::{Environment, Error, ErrorKind};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value as Json;
use zeroize::Zeroizing;

use super::error::{FilterError, Problem};
use super::table::Notes;
use crate::config::{self, DeliverError, Delivered};
use crate::secret::Secret;

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
        ("json", json),
        ("yaml", yaml),
        ("dotenv", dotenv),
        ("properties", properties),
        ("shell", shell),
        ("url", url),
    ];
    for (filter, write) in filters {
        let notes = notes.clone();
        environment.add_filter(filter, move |value: &Value| -> Result<String, Error> {
            if value.is_undefined() {
                return Err(ErrorKind::UndefinedError.into());
            }
            let json = serde_json::to_value(value).map_err(|_| FilterError::NotJson);
            let mut text = json
                .and_then(|json| write(&json))
                .map_err(|why| notes.fail(Problem::Filter { filter, why }))?;
            Ok(std::mem::take(&mut *text))
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
        Err(_) => Err(FilterError::NotJson),
    })
}

/// The text of what is one.
fn scalar(value: &Json) -> Written {
    match value {
        Json::Null => Err(DeliverError::Null(config::Key::default()).into()),
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
fn json(value: &Json) -> Written {
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
    let text = config::text(value).ok_or(DeliverError::Null(config::Key::default()))?;
    if text.contains('\0') {
        return Err(FilterError::Nul);
    }
    let mut out = Zeroizing::new(Vec::with_capacity(text.len().saturating_mul(2).saturating_add(2)));
    config::dotenv_value(&mut *out, &text).map_err(|_| DeliverError::TooLong)?;
    text_of(&Secret::new(std::mem::take(&mut *out)))
}

/// The same for Java's properties.
fn properties(value: &Json) -> Written {
    if value.is_object() {
        return document(Delivered::Properties, value);
    }
    let text = config::text(value).ok_or(DeliverError::Null(config::Key::default()))?;
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
