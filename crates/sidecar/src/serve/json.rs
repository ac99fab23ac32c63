//! JSON that holds plaintext, written by hand: owns a buffer that leaves no copy of what was
//! written, and the escaping. It must not know which bodies there are.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use zeroize::Zeroize as _;

use super::text::Text;

/// Bytes that are wiped when dropped, also when they have to move to a larger place.
#[derive(Debug, Default)]
pub(super) struct Wiped(Vec<u8>);

impl Drop for Wiped {
    // not `Zeroizing`, which writes byte by byte: these are bulk writes
    fn drop(&mut self) {
        self.0.spare_capacity_mut().zeroize();
        self.0.as_mut_slice().zeroize();
    }
}

impl AsRef<[u8]> for Wiped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Wiped {
    pub(super) fn with_capacity(capacity: usize) -> Self {
        Self(Vec::with_capacity(capacity))
    }

    /// Makes room for `more` bytes.
    fn reserve(&mut self, more: usize) {
        let wanted = self.0.len().saturating_add(more);
        if wanted <= self.0.capacity() {
            return;
        }
        let mut larger = Self::with_capacity(wanted.max(self.0.capacity().saturating_mul(2)));
        larger.0.extend_from_slice(&self.0);
        *self = larger;
    }

    /// Writes bytes as they are.
    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.reserve(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    /// Writes a decimal number.
    pub(super) fn number(&mut self, number: u64) {
        self.raw(Text::number(number).as_bytes());
    }

    /// Writes a name in quotes: no grammar of names has anything to escape.
    pub(super) fn name(&mut self, name: &str) {
        self.raw(b"\"");
        self.raw(name.as_bytes());
        self.raw(b"\"");
    }

    /// Writes a quoted, escaped text.
    pub(super) fn text(&mut self, text: &str) {
        let bytes = text.as_bytes();
        // without a branch a byte, so that the compiler looks at many at a time
        if !bytes
            .iter()
            .fold(false, |found, byte| found | needs_escape(*byte))
        {
            self.reserve(bytes.len().saturating_add(2));
            self.raw(b"\"");
            self.raw(bytes);
            return self.raw(b"\"");
        }
        self.reserve(escaped_len(text).saturating_add(2));
        self.raw(b"\"");
        let mut from = 0;
        for (at, byte) in bytes.iter().enumerate() {
            if !needs_escape(*byte) {
                continue;
            }
            self.raw(bytes.get(from..at).unwrap_or_default());
            self.escape(*byte);
            from = at.saturating_add(1);
        }
        self.raw(bytes.get(from..).unwrap_or_default());
        self.raw(b"\"");
    }

    /// Writes `"value":...` when `bytes` are UTF-8, else `"value_base64":...`.
    pub(super) fn value(&mut self, bytes: &[u8]) {
        if let Ok(text) = std::str::from_utf8(bytes) {
            self.raw(b"\"value\":");
            return self.text(text);
        }
        self.raw(b"\"value_base64\":\"");
        let start = self.0.len();
        let coded = bytes.len().div_ceil(3).saturating_mul(4);
        self.reserve(coded.saturating_add(1));
        self.0.resize(start.saturating_add(coded), 0);
        if let Some(room) = self.0.get_mut(start..) {
            // the room is what the padded alphabet needs, so this cannot fail
            let _ = STANDARD.encode_slice(bytes, room);
        }
        self.raw(b"\"");
    }

    fn escape(&mut self, byte: u8) {
        match byte {
            b'"' => self.raw(b"\\\""),
            b'\\' => self.raw(b"\\\\"),
            b'\n' => self.raw(b"\\n"),
            b'\r' => self.raw(b"\\r"),
            b'\t' => self.raw(b"\\t"),
            control => {
                let digit = |nibble: u8| {
                    if nibble < 10 {
                        b'0' + nibble
                    } else {
                        b'a' + nibble - 10
                    }
                };
                self.raw(&[b'\\', b'u', b'0', b'0', digit(control >> 4), digit(control & 15)]);
            }
        }
    }

    /// The bytes as a body; they are wiped when it was sent.
    pub(super) fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

fn needs_escape(byte: u8) -> bool {
    (byte < 0x20) | (byte == b'"') | (byte == b'\\')
}

fn escaped_len(text: &str) -> usize {
    let extra = text.bytes().map(|byte| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' => 1,
        0..0x20 => 5,
        _ => 0,
    });
    text.len().saturating_add(extra.sum::<usize>())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use proptest::prelude::*;

    fn written(f: impl FnOnce(&mut Wiped)) -> Vec<u8> {
        let mut out = Wiped::default();
        f(&mut out);
        out.into_bytes().to_vec()
    }

    proptest! {
        #[test]
        fn any_text_is_read_back_by_another_parser(text in any::<String>()) {
            let json = written(|out| out.text(&text));
            prop_assert_eq!(serde_json::from_slice::<String>(&json).unwrap(), text);
        }

        #[test]
        fn any_number_is_written_as_usual(number in any::<u64>()) {
            prop_assert_eq!(written(|out| out.number(number)), number.to_string().into_bytes());
        }

        #[test]
        fn bytes_that_are_no_text_are_read_back(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let bytes = [&bytes[..], &[0xff]].concat();
            let json = written(|out| { out.raw(b"{"); out.value(&bytes); out.raw(b"}"); });
            let value: serde_json::Value = serde_json::from_slice(&json).unwrap();
            let coded = value["value_base64"].as_str().unwrap();
            prop_assert_eq!(STANDARD.decode(coded).unwrap(), bytes);
        }
    }

    #[test]
    fn every_control_character_is_escaped() {
        let text: String = (0u8..0x80).map(char::from).collect();
        let json = written(|out| out.text(&text));
        assert!(json.iter().all(|byte| *byte >= 0x20));
        assert_eq!(serde_json::from_slice::<String>(&json).unwrap(), text);
        assert_eq!(json.len(), escaped_len(&text) + 2);
    }
}
