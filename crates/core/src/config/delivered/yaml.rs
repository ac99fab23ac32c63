//! Documents as YAML: owns block style with every text quoted. Not a library's writer: those leave texts
//! bare that only their own version of YAML takes for texts, such as `no`, `1:30` and `1e3`.

use std::io::{self, Write};

use serde_json::Value;
use zeroize::Zeroizing;

/// From this length on a quoted key is written after a `?`: without it, YAML allows 1024 characters.
const LONG_KEY: usize = 1000;

pub(super) fn document(out: &mut impl Write, document: &Value) -> io::Result<()> {
    if is_block(document) {
        return block(out, document, 0);
    }
    scalar(out, document)?;
    out.write_all(b"\n")
}

/// Tables and arrays that have something in them.
pub(crate) fn is_block(value: &Value) -> bool {
    match value {
        Value::Array(items) => !items.is_empty(),
        Value::Object(table) => !table.is_empty(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn block(out: &mut impl Write, value: &Value, indent: usize) -> io::Result<()> {
    match value {
        Value::Array(items) => items.iter().try_for_each(|item| {
            write!(out, "{:indent$}-", "")?;
            below(out, item, indent)
        }),
        Value::Object(table) => table.iter().try_for_each(|(name, value)| {
            let name = quoted(name);
            if name.len() < LONG_KEY {
                write!(out, "{:indent$}{}:", "", *name)?;
            } else {
                write!(out, "{:indent$}? {}\n{:indent$}:", "", *name, "")?;
            }
            below(out, value, indent)
        }),
        value => scalar(out, value),
    }
}

fn below(out: &mut impl Write, value: &Value, indent: usize) -> io::Result<()> {
    if is_block(value) {
        out.write_all(b"\n")?;
        return block(out, value, indent.saturating_add(2));
    }
    out.write_all(b" ")?;
    scalar(out, value)?;
    out.write_all(b"\n")
}

/// What is no block.
pub(crate) fn scalar(out: &mut impl Write, value: &Value) -> io::Result<()> {
    match value {
        Value::String(text) => out.write_all(quoted(text).as_bytes()),
        Value::Number(number) => out.write_all(float(&number.to_string()).as_bytes()),
        // what is left of these is empty
        Value::Array(_) => out.write_all(b"[]"),
        Value::Object(_) => out.write_all(b"{}"),
        Value::Null => out.write_all(b"null"),
        Value::Bool(value) => write!(out, "{value}"),
    }
}

/// YAML 1.1 knows an exponent only after a point, and with its sign.
fn float(number: &str) -> String {
    let Some((mantissa, exponent)) = number.split_once('e') else {
        return number.to_owned();
    };
    let point = if mantissa.contains('.') { "" } else { ".0" };
    let sign = if exponent.starts_with(['+', '-']) { "" } else { "+" };
    format!("{mantissa}{point}e{sign}{exponent}")
}

/// In double quotes; what is not printable for YAML is escaped.
fn quoted(text: &str) -> Zeroizing<String> {
    let mut out = Zeroizing::new(String::with_capacity(
        text.len().saturating_mul(6).saturating_add(2),
    ));
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0'..='\x1f'
            | '\x7f'..='\u{9f}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{feff}'
            | '\u{fffe}'
            | '\u{ffff}' => out.push_str(&format!("\\u{:04x}", u32::from(letter))),
            letter => out.push(letter),
        }
    }
    out.push('"');
    out
}
