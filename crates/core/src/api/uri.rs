//! Percent-coding of entry paths and query values: owns both directions, so that client and
//! server cannot disagree. It must not know routes.

use std::borrow::Cow;
use std::fmt::Write;

/// A part of an address is not percent-coded UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the address is not percent-coded UTF-8")]
pub struct UriError;

/// Codes an entry path or query value; `/` and unreserved characters stay as they are.
#[must_use]
pub fn encode(text: &str) -> Cow<'_, str> {
    if text.bytes().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len().saturating_mul(2));
    for byte in text.bytes() {
        if is_plain(byte) {
            out.push(char::from(byte));
        } else {
            // writing to a String cannot fail
            let _ = write!(out, "%{byte:02X}");
        }
    }
    Cow::Owned(out)
}

/// Decodes what [`encode`] made, exactly once, borrowing when nothing is coded. A coded `/` is a
/// `/` (generated clients code it); `+` is a plus, not a space. What comes out is input still:
/// parse it as a name.
///
/// # Errors
/// [`UriError`] for a broken escape or bytes that are not UTF-8.
pub fn decode(text: &str) -> Result<Cow<'_, str>, UriError> {
    if !text.contains('%') {
        return Ok(Cow::Borrowed(text));
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let high = rest.next().and_then(nibble).ok_or(UriError)?;
        let low = rest.next().and_then(nibble).ok_or(UriError)?;
        out.push((high << 4) | low);
    }
    String::from_utf8(out).map(Cow::Owned).map_err(|_| UriError)
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'/' | b'@')
}

fn nibble(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_decodes_to_itself() {
        for text in ["", "web/database/password", "a b", "ü/€", "100%", "a+b&c=d?#"] {
            assert_eq!(decode(&encode(text)).as_deref(), Ok(text));
        }
        assert_eq!(encode("a b/c"), "a%20b/c");
    }

    #[test]
    fn decoding_happens_once() {
        assert_eq!(decode("a%2Fb%2525").as_deref(), Ok("a/b%25"));
    }

    #[test]
    fn broken_escapes_are_refused() {
        for text in ["%", "%2", "%zz", "%ff", "%C3"] {
            assert_eq!(decode(text), Err(UriError), "{text}");
        }
    }
}
