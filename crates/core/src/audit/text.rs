//! The canonical JSON of the audit log: owns how texts and numbers are written and
//! read back. There is one spelling of everything; the reader refuses any other.

use std::borrow::Cow;

use crate::hex;

/// The longest text that is written, bytes of its source; the rest is cut off.
pub(super) const LONGEST: usize = 512;

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
    if first_escaped(text.as_bytes()).is_none() {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            _ if is_escaped(byte) => {
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&hex::digits(byte));
            }
            _ => out.push(byte),
        }
    }
}

fn is_escaped(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\' || byte == 0x7f
}

/// Where the first byte is that [`is_escaped`]; eight are looked at in one go, since this is what
/// reading a log takes longest at beside hashing it.
#[inline]
fn first_escaped(bytes: &[u8]) -> Option<usize> {
    const EACH: u64 = u64::MAX / 255;
    // the top bit of each byte that is under `limit`, right up to the first such byte: from there
    // on what was borrowed for it may set others
    let under = |word: u64, limit: u64| word.wrapping_sub(EACH * limit) & !word & (EACH << 7);
    let is = |word: u64, byte: u8| under(word ^ (EACH * u64::from(byte)), 1);
    let (words, rest) = bytes.as_chunks::<8>();
    let mut before = 0;
    for word in words {
        let word = u64::from_le_bytes(*word);
        let found = under(word, 0x20) | is(word, b'"') | is(word, b'\\') | is(word, 0x7f);
        if found != 0 {
            return Some(before + usize::try_from(found.trailing_zeros() / 8).ok()?);
        }
        before += 8;
    }
    let at = rest.iter().position(|byte| is_escaped(*byte))?;
    Some(before + at)
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
    #[inline]
    pub(super) fn takes(&mut self, literal: &str) -> bool {
        match self.0.strip_prefix(literal) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    #[inline]
    pub(super) fn literal(&mut self, literal: &str) -> Option<()> {
        self.takes(literal).then_some(())
    }

    #[inline]
    fn split(&mut self, at: usize) -> Option<&'a str> {
        let (taken, rest) = self.0.split_at_checked(at)?;
        self.0 = rest;
        Some(taken)
    }

    #[inline]
    pub(super) fn number(&mut self) -> Option<u64> {
        let (mut number, mut digits) = (0_u64, 0_usize);
        for digit in self.0.bytes().take_while(u8::is_ascii_digit) {
            number = number.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
            digits += 1;
        }
        let text = self.split(digits)?;
        (text.len() == 1 || !text.is_empty() && !text.starts_with('0')).then_some(number)
    }

    /// A text with its quotes.
    #[inline]
    pub(super) fn text(&mut self) -> Option<Text<'a>> {
        self.literal("\"")?;
        let end = first_escaped(self.0.as_bytes())?;
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
            let plain = first_escaped(self.0.as_bytes())?;
            self.split(plain)?;
            if self.0.starts_with('"') {
                break;
            }
            self.literal("\\")?;
            if self.takes("u00") {
                let code = self.split(2)?;
                let byte = u8::from_str_radix(code, 16).ok()?;
                let needed = is_escaped(byte) && byte != b'"' && byte != b'\\';
                if code.as_bytes() != hex::digits(byte) || !needed {
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
    #[inline]
    pub(super) fn hex<const N: usize>(&mut self) -> Option<[u8; N]> {
        hex::read(self.split(N.checked_mul(2)?)?)
    }

    /// A time as a line has it; its digits are not checked to be a date.
    #[inline]
    pub(super) fn time(&mut self) -> Option<&'a str> {
        const SHAPE: &[u8; 24] = b"0000-00-00T00:00:00.000Z";
        let text = self.split(SHAPE.len())?;
        let fits = text.bytes().zip(SHAPE).fold(true, |fits, (byte, shape)| {
            fits & match shape {
                b'0' => byte.is_ascii_digit(),
                _ => byte == *shape,
            }
        });
        fits.then_some(text)
    }
}
