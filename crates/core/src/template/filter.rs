//! Filters that write values in a format: owns which format a value of which shape gets. It must not know
//! where values come from.

use std::io::Write as _;

use minijinja::value::Value;
use minijinja::{Error, State};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value as Json;
use zeroize::Zeroizing;

use super::error::{FilterError, Problem};
use super::table::Notes;
use super::{json, text};
use crate::config::{self, Delivered, MAX_DELIVERED};
use crate::secret::Filling;

/// What is not escaped in any part of a URL.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

type Written = Result<(), FilterError>;

/// A format, as a filter.
pub(super) struct Format {
    pub(super) name: &'static str,
    write: fn(&mut Filling, &Json) -> Written,
}

pub(super) const FORMATS: [Format; 7] = [
    Format::new("toml", toml),
    Format::new("json", json_line),
    Format::new("yaml", yaml),
    Format::new("dotenv", dotenv),
    Format::new("properties", properties),
    Format::new("shell", shell),
    Format::new("url", url),
];

impl Format {
    const fn new(name: &'static str, write: fn(&mut Filling, &Json) -> Written) -> Self {
        Self { name, write }
    }

    pub(super) fn filter(&'static self, notes: &Notes) -> Value {
        let notes = notes.clone();
        Value::from_function(
            move |state: &State<'_, '_>, value: &Value| -> Result<String, Error> {
                let json = json::of(state, value, &notes)?;
                let mut out = Filling::new(MAX_DELIVERED);
                let text = (self.write)(&mut out, &json).and_then(|()| text::of_secret(&out.finish()));
                let filter = self.name;
                text.map_err(|why| notes.fail(Problem::Filter { filter, why }))
            },
        )
    }
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
