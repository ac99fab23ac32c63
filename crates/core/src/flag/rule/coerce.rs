//! Conversions between values: owns truth, numbers, texts, equality and order, as JavaScript has them where
//! flagd leaves it open. It must not know operators.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt::Write as _;

use super::run::{Run, Stop};
use super::value::{MAX_LISTS, Val};

/// Whether a value counts as true: empty texts, lists and objects, zero and null do not.
pub(super) fn truth(value: &Val<'_>) -> bool {
    match value {
        Val::Null => false,
        Val::Bool(bool) => *bool,
        Val::Num(_) | Val::Number(_) => {
            let number = number(value);
            number != 0.0 && !number.is_nan()
        }
        Val::Str(text) => !text.is_empty(),
        Val::Text(text) => !text.is_empty(),
        Val::List(items) => !items.is_empty(),
        Val::Items(items, _) => !items.is_empty(),
        Val::Object(members) => !members.is_empty(),
        Val::Root | Val::Flagd => true,
    }
}

/// A value as a number; NaN for what is none.
pub(super) fn number(value: &Val<'_>) -> f64 {
    match value {
        Val::Null => 0.0,
        Val::Bool(bool) => f64::from(u8::from(*bool)),
        Val::Num(number) => *number,
        Val::Number(number) => number.as_f64().unwrap_or(f64::NAN),
        Val::Str(text) => of_text(text),
        Val::Text(text) => of_text(text),
        Val::List(_) | Val::Items(..) | Val::Object(_) | Val::Root | Val::Flagd => f64::NAN,
    }
}

/// A text as a number, by JavaScript's rules: blank is zero, and nothing may stand around the number
/// but blanks.
fn of_text(text: &str) -> f64 {
    let text = text.trim();
    let whole = |digits: &str, radix| {
        let valid = !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix));
        let add =
            |sum: f64, digit: char| sum * f64::from(radix) + f64::from(digit.to_digit(radix).unwrap_or(0));
        if valid {
            digits.chars().fold(0.0, add)
        } else {
            f64::NAN
        }
    };
    match text.get(..2) {
        Some("0x" | "0X") => return whole(text.get(2..).unwrap_or(""), 16),
        Some("0o" | "0O") => return whole(text.get(2..).unwrap_or(""), 8),
        Some("0b" | "0B") => return whole(text.get(2..).unwrap_or(""), 2),
        _ => {}
    }
    match text {
        "" => 0.0,
        "Infinity" | "+Infinity" => f64::INFINITY,
        "-Infinity" => f64::NEG_INFINITY,
        // Rust also reads words such as `inf` and `nan`.
        _ if text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte)) =>
        {
            text.parse().unwrap_or(f64::NAN)
        }
        _ => f64::NAN,
    }
}

/// A number as JavaScript writes it: `1`, `0.5`, `1e+21`.
pub(super) fn number_text(number: f64) -> String {
    let size = number.abs();
    if number == 0.0 {
        "0".to_owned()
    } else if number.is_nan() {
        "NaN".to_owned()
    } else if number.is_infinite() {
        if number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned()
    } else if (1e-6..1e21).contains(&size) {
        number.to_string()
    } else {
        let text = format!("{number:e}");
        match text.split_once('e') {
            Some((digits, power)) if !power.starts_with('-') => format!("{digits}e+{power}"),
            _ => text,
        }
    }
}

/// A value as text, as `cat` and `substr` take it: null is empty, a list is its items with commas.
pub(super) fn text<'v>(value: &'v Val<'_>, run: &mut Run<'_>) -> Result<Cow<'v, str>, Stop> {
    let text = match value {
        Val::Str(text) => Cow::Borrowed(*text),
        Val::Text(text) => Cow::Borrowed(&**text),
        Val::Null => Cow::Borrowed(""),
        Val::Bool(true) => Cow::Borrowed("true"),
        Val::Bool(false) => Cow::Borrowed("false"),
        Val::Num(_) | Val::Number(_) => Cow::Owned(number_text(number(value))),
        Val::Object(_) | Val::Root | Val::Flagd => Cow::Borrowed("[object Object]"),
        Val::List(_) | Val::Items(..) => {
            let mut out = String::new();
            joined(value, &mut out, run, 0)?;
            Cow::Owned(out)
        }
    };
    run.spend_bytes(text.len())?;
    Ok(text)
}

fn joined(list: &Val<'_>, out: &mut String, run: &mut Run<'_>, depth: u8) -> Result<(), Stop> {
    if depth > MAX_LISTS {
        return Err(Stop::Work);
    }
    for (at, item) in list.items().enumerate() {
        run.spend()?;
        if at > 0 {
            out.push(',');
        }
        if item.count().is_some() {
            joined(&item, out, run, depth + 1)?;
        } else {
            let _ = out.write_str(&text(&item, run)?);
        }
    }
    Ok(())
}

/// `==`: null equals null alone, texts are compared as they are, everything else as numbers.
pub(super) fn equal(a: &Val<'_>, b: &Val<'_>) -> bool {
    match (a.is_null(), b.is_null()) {
        (true, true) => return true,
        (false, false) => {}
        _ => return false,
    }
    match (a.as_str(), b.as_str()) {
        (Some(a), Some(b)) => a == b,
        _ => is_same_number(a, b),
    }
}

#[allow(clippy::float_cmp)] // this is what the operator asks
fn is_same_number(a: &Val<'_>, b: &Val<'_>) -> bool {
    number(a) == number(b)
}

/// `===`: of one type and equal; a list or an object equals nothing.
pub(super) fn same(a: &Val<'_>, b: &Val<'_>) -> bool {
    match (a, b) {
        (Val::Null, Val::Null) => true,
        (Val::Bool(a), Val::Bool(b)) => a == b,
        (Val::Num(_) | Val::Number(_), Val::Num(_) | Val::Number(_)) => is_same_number(a, b),
        _ => matches!((a.as_str(), b.as_str()), (Some(a), Some(b)) if a == b),
    }
}

/// `<` and its kin: two texts by their characters, everything else as numbers; `None` for what has no order.
pub(super) fn order(a: &Val<'_>, b: &Val<'_>) -> Option<Ordering> {
    match (a.as_str(), b.as_str()) {
        (Some(a), Some(b)) => Some(a.cmp(b)),
        _ => number(a).partial_cmp(&number(b)),
    }
}
