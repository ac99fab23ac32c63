//! Bytes as lower-case hexadecimal: owns the digits. It must not know what the bytes are.

use std::fmt;

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Bytes that are shown as lower-case hexadecimal.
pub(crate) struct Hex<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The two digits of a byte.
pub(crate) fn digits(byte: u8) -> [u8; 2] {
    [byte >> 4, byte & 15].map(|nibble| DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0'))
}

/// Appends `bytes`.
pub(crate) fn push(out: &mut Vec<u8>, bytes: &[u8]) {
    let start = out.len();
    out.resize(start.saturating_add(bytes.len().saturating_mul(2)), 0);
    let (pairs, _) = out.get_mut(start..).unwrap_or_default().as_chunks_mut();
    for (pair, byte) in pairs.iter_mut().zip(bytes) {
        *pair = digits(*byte);
    }
}

/// Reads exactly `N` bytes; `None` for anything but `2 * N` lower-case digits.
pub(crate) fn read<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != N.checked_mul(2)? {
        return None;
    }
    let mut out = [0; N];
    // without a branch for each digit, which nobody can predict
    let mut seen = 0;
    for (byte, [high, low]) in out.iter_mut().zip(text.as_bytes().as_chunks().0) {
        let (high, low) = (nibble(*high), nibble(*low));
        seen |= high | low;
        *byte = (high << 4) | (low & 15);
    }
    (seen < 16).then_some(out)
}

/// What a digit stands for; 255 for what is none.
fn nibble(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => u8::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_spelling() {
        let bytes = [0x00, 0x9f, 0xa0, 0xff];
        let mut pushed = Vec::new();
        push(&mut pushed, &bytes);
        assert_eq!(pushed, Hex(&bytes).to_string().into_bytes());
        assert_eq!(read("009fa0ff"), Some(bytes));
        for text in ["009FA0FF", "009fa0f", "009fa0ff0", "009fa0fg", "+09fa0ff", ""] {
            assert_eq!(read::<4>(text), None, "{text}");
        }
    }
}
