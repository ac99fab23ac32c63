//! Documents as dotenv files: owns names and a writing that every reader understands the same.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde_json::Value;

use super::{DeliverError, flat};
use crate::name;
use crate::secret::Filling;

pub(super) fn document(out: &mut Filling, document: &Value) -> Result<(), DeliverError> {
    let mut taken = BTreeMap::new();
    for (names, value) in flat::leaves(document)? {
        let key = || flat::key(&names);
        let text = flat::text(value).ok_or_else(|| DeliverError::Null(key()))?;
        if text.contains('\0') {
            return Err(DeliverError::Nul(key()));
        }
        let name = name::variable(&names.join("_"));
        if name.is_empty() {
            return Err(DeliverError::Name(key()));
        }
        if let Some(first) = taken.insert(name.clone(), key()) {
            return Err(DeliverError::Collision(first, key()));
        }
        assign(out, &name, &text).map_err(|_| DeliverError::TooLong)?;
    }
    Ok(())
}

/// Writes `NAME=VALUE` and a newline, quoted so that every reader understands the same. A shell does too,
/// but for line ends, which are `\n` and `\r` in double quotes.
///
/// # Errors
/// Those of `out`.
pub fn assign(out: &mut impl Write, name: &str, value: &str) -> io::Result<()> {
    out.write_all(name.as_bytes())?;
    out.write_all(b"=")?;
    quote(out, value)?;
    out.write_all(b"\n")
}

/// A value as it stands after the `=`.
pub(crate) fn quote(out: &mut impl Write, value: &str) -> io::Result<()> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./:@%+,=".contains(&byte);
    if value.bytes().all(plain) {
        return out.write_all(value.as_bytes());
    }
    if !value.contains(['\'', '\n', '\r']) {
        return write!(out, "'{value}'");
    }
    out.write_all(b"\"")?;
    for letter in value.chars() {
        match letter {
            '\n' => out.write_all(b"\\n")?,
            '\r' => out.write_all(b"\\r")?,
            '\\' | '"' | '$' | '`' => write!(out, "\\{letter}")?,
            letter => write!(out, "{letter}")?,
        }
    }
    out.write_all(b"\"")
}
