//! Documents as Java's properties: owns their escapes. All is ASCII, since readers differ in what else
//! they take a file to be written in.

use std::collections::BTreeMap;
use std::io::Write as _;

use serde_json::Value;
use zeroize::Zeroizing;

use super::{DeliverError, flat};
use crate::secret::Filling;

pub(super) fn document(out: &mut Filling, document: &Value) -> Result<(), DeliverError> {
    let mut taken = BTreeMap::new();
    for (names, value) in flat::leaves(document)? {
        let key = || flat::key(&names);
        let text = flat::text(value).ok_or_else(|| DeliverError::Null(key()))?;
        let name = names.join(".");
        let (left, right) = (escaped(&name, true), escaped_value(&text));
        let line = Zeroizing::new(format!("{}={}\n", *left, *right));
        if let Some(first) = taken.insert(name, key()) {
            return Err(DeliverError::Collision(first, key()));
        }
        out.write_all(line.as_bytes())
            .map_err(|_| DeliverError::TooLong)?;
    }
    Ok(())
}

/// A text as it stands after the `=`.
pub(crate) fn escaped_value(text: &str) -> Zeroizing<String> {
    escaped(text, false)
}

fn escaped(text: &str, is_key: bool) -> Zeroizing<String> {
    let mut out = Zeroizing::new(String::with_capacity(text.len().saturating_mul(6)));
    let mut at_start = true;
    for letter in text.chars() {
        match letter {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x0c' => out.push_str("\\f"),
            ' ' if is_key || at_start => out.push_str("\\ "),
            '=' | ':' | '#' | '!' if is_key => {
                out.push('\\');
                out.push(letter);
            }
            ' '..='~' => out.push(letter),
            letter => {
                for unit in letter.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
        at_start &= letter == ' ';
    }
    out
}
