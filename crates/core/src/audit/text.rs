//! The canonical JSON of the audit log: owns how texts, numbers, bytes and times are written and
//! read back. There is one spelling of everything; the reader refuses any other.

use std::borrow::Cow;

use crate::ambient::Timestamp;

/// The longest text that is written, bytes of its source; the rest is cut off.
pub(super) const LONGEST: usize = 512;

const HEX: &[u8; 16] = b"0123456789abcdef";
/// The last millisecond of the year 9999: beyond it a time has no text of the same width.
const LAST: u64 = 253_402_300_799_999;

fn hex_digit(nibble: u8) -> u8 {
    HEX.get(usize::from(nibble & 15)).copied().unwrap_or(b'0')
}

/// Appends `bytes` in lower-case hexadecimal.
pub(super) fn push_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    out.reserve(bytes.len().saturating_mul(2));
    out.extend(
        bytes
            .iter()
            .flat_map(|byte| [hex_digit(byte >> 4), hex_digit(*byte)]),
    );
}

/// Appends a number in decimal.
pub(super) fn push_number(out: &mut Vec<u8>, number: u64) {
    let mut digits = [b'0'; 20];
    let mut rest = number;
    let mut used: usize = 0;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
        used += 1;
        if rest == 0 {
            break;
        }
    }
    let start = digits.len().saturating_sub(used);
    out.extend_from_slice(digits.get(start..).unwrap_or_default());
}

/// Appends a text in quotes, at most `most` bytes of it.
pub(super) fn push_text(out: &mut Vec<u8>, text: &str, most: usize) {
    let text = match text.len() <= most {
        true => text,
        false => text.get(..text.floor_char_boundary(most)).unwrap_or_default(),
    };
    out.push(b'"');
    push_escaped(out, text);
    out.push(b'"');
}

/// Appends a text as it stands between quotes.
pub(super) fn push_escaped(out: &mut Vec<u8>, text: &str) {
    if !text.bytes().any(is_escaped) {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            _ if is_escaped(byte) => {
                out.extend_from_slice(b"\\u00");
                push_hex(out, &[byte]);
            }
            _ => out.push(byte),
        }
    }
}

fn is_escaped(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\' || byte == 0x7f
}

/// Appends a time in RFC 3339, in UTC with milliseconds: always 24 characters.
pub(super) fn push_time(out: &mut Vec<u8>, at: Timestamp) {
    let millis = at.0.min(LAST);
    let (seconds, millis) = (millis / 1000, millis % 1000);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // days to a date of the Gregorian calendar, counted in eras of 400 years from 0000-03-01
    let shifted = days + 719_468;
    let (era, day) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let digit = |number: u64| b'0' + u8::try_from(number % 10).unwrap_or(0);
    let two = |number: u64| [digit(number / 10), digit(number)];
    let ([y1, y2], [y3, y4], [o1, o2], [d1, d2]) =
        (two(year / 100), two(year), two(month), two(day_of_month));
    let ([h1, h2], [m1, m2], [s1, s2]) = (two(second / 3600), two(second / 60 % 60), two(second % 60));
    let [f1, f2] = two(millis / 10);
    let f3 = digit(millis);
    out.extend_from_slice(&[
        y1, y2, y3, y4, b'-', o1, o2, b'-', d1, d2, b'T', h1, h2, b':', m1, m2, b':', s1, s2, b'.', f1, f2,
        f3, b'Z',
    ]);
}

/// A text of a line as it stands there, checked to be spelled canonically.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text<'a>(&'a str);

impl<'a> Text<'a> {
    /// The text itself.
    #[must_use]
    pub fn get(self) -> Cow<'a, str> {
        if !self.0.contains('\\') {
            return Cow::Borrowed(self.0);
        }
        let mut out = String::with_capacity(self.0.len());
        let mut rest = self.0;
        while let Some((before, after)) = rest.split_once('\\') {
            out.push_str(before);
            let taken = match after.strip_prefix("u00").and_then(|after| after.get(..2)) {
                Some(code) => {
                    out.extend(u8::from_str_radix(code, 16).ok().map(char::from));
                    5
                }
                None => {
                    out.extend(after.chars().next());
                    1
                }
            };
            rest = after.get(taken..).unwrap_or_default();
        }
        out.push_str(rest);
        Cow::Owned(out)
    }

    /// The text between its quotes.
    #[must_use]
    pub fn raw(self) -> &'a str {
        self.0
    }
}

/// Takes canonical JSON off the front of a line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a>(&'a str);

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self(text)
    }

    pub(super) fn rest(&self) -> &'a str {
        self.0
    }

    /// Takes `literal`, if it is next.
    pub(super) fn takes(&mut self, literal: &str) -> bool {
        match self.0.strip_prefix(literal) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    pub(super) fn literal(&mut self, literal: &str) -> Option<()> {
        self.takes(literal).then_some(())
    }

    fn split(&mut self, at: usize) -> Option<&'a str> {
        let (taken, rest) = self.0.split_at_checked(at)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        let digits = self.0.bytes().take_while(u8::is_ascii_digit).count();
        let text = self.split(digits)?;
        if text.len() > 1 && text.starts_with('0') {
            return None;
        }
        text.parse().ok()
    }

    /// A text with its quotes.
    pub(super) fn text(&mut self) -> Option<Text<'a>> {
        self.literal("\"")?;
        let end = self.0.bytes().position(is_escaped)?;
        if self.0.as_bytes().get(end) == Some(&b'"') {
            let text = self.split(end)?;
            self.literal("\"")?;
            return Some(Text(text));
        }
        self.escaped_text()
    }

    fn escaped_text(&mut self) -> Option<Text<'a>> {
        let whole = self.0;
        loop {
            let plain = self.0.bytes().position(is_escaped)?;
            self.split(plain)?;
            if self.0.starts_with('"') {
                break;
            }
            self.literal("\\")?;
            if self.takes("u00") {
                let code = self.split(2)?;
                let byte = u8::from_str_radix(code, 16).ok()?;
                let spelled = [hex_digit(byte >> 4), hex_digit(byte)];
                let needed = is_escaped(byte) && byte != b'"' && byte != b'\\';
                if code.as_bytes() != spelled || !needed {
                    return None;
                }
            } else if !(self.takes("\"") || self.takes("\\")) {
                return None;
            }
        }
        let text = whole.get(..whole.len().checked_sub(self.0.len())?)?;
        self.literal("\"")?;
        Some(Text(text))
    }

    /// `N` bytes in lower-case hexadecimal.
    pub(super) fn hex<const N: usize>(&mut self) -> Option<[u8; N]> {
        let digits = self.split(N.checked_mul(2)?)?;
        let mut out = [0; N];
        for (byte, pair) in out.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
            let [high, low] = pair else { return None };
            *byte = (nibble(*high)? << 4) | nibble(*low)?;
        }
        Some(out)
    }

    /// A time as [`push_time`] writes it; its digits are not checked to be a date.
    pub(super) fn time(&mut self) -> Option<&'a str> {
        const SHAPE: &[u8; 24] = b"0000-00-00T00:00:00.000Z";
        let text = self.split(SHAPE.len())?;
        let fits = text.bytes().zip(SHAPE).all(|(byte, shape)| match shape {
            b'0' => byte.is_ascii_digit(),
            _ => byte == *shape,
        });
        fits.then_some(text)
    }
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}
