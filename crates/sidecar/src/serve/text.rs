//! Short texts of headers, put together without an allocation of their own: owns the digits. It
//! must not know which headers there are.

use hyper::header::HeaderValue;

/// Bytes of the longest: a version and a revision in quotes, with a letter.
const MOST: usize = 40;

/// A short text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text {
    bytes: [u8; MOST],
    length: usize,
}

impl Default for Text {
    fn default() -> Self {
        Self {
            bytes: [0; MOST],
            length: 0,
        }
    }
}

impl Text {
    /// The digits of a number.
    pub(super) fn number(number: u64) -> Self {
        let mut text = Self::default();
        text.push_number(number);
        text
    }

    /// Appends `bytes`, as far as there is room.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let end = self.length.saturating_add(bytes.len());
        if let Some(room) = self.bytes.get_mut(self.length..end) {
            room.copy_from_slice(bytes);
            self.length = end;
        }
    }

    /// Appends a number in decimal.
    pub(super) fn push_number(&mut self, number: u64) {
        self.push(itoa::Buffer::new().format(number).as_bytes());
    }

    /// Appends a number in 16 hexadecimal digits.
    pub(super) fn push_hex(&mut self, number: u64) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut digits = [b'0'; 16];
        for (digit, shift) in digits.iter_mut().zip((0..16).rev()) {
            let nibble = usize::try_from((number >> (shift * 4)) & 15).unwrap_or_default();
            *digit = DIGITS.get(nibble).copied().unwrap_or(b'0');
        }
        self.push(&digits);
    }

    /// The bytes.
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    /// The header; empty if the bytes are not legal in one.
    pub(super) fn header(&self) -> HeaderValue {
        HeaderValue::from_bytes(self.as_bytes()).unwrap_or(HeaderValue::from_static(""))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_are_written_as_usual(number in any::<u64>()) {
            let text = Text::number(number);
            prop_assert_eq!(text.header(), number.to_string());
            let mut text = Text::default();
            text.push_hex(number);
            prop_assert_eq!(text.header(), format!("{number:016x}"));
        }
    }

    #[test]
    fn what_has_no_room_is_left_out_whole() {
        let mut text = Text::number(u64::MAX);
        text.push(&[b'x'; MOST - 19]);
        assert_eq!(text.as_bytes(), b"18446744073709551615");
        text.push(&[b'x'; MOST - 20]);
        assert_eq!(text.as_bytes().len(), MOST);
        text.push(b"y");
        assert_eq!(text.as_bytes().len(), MOST);
    }
}
