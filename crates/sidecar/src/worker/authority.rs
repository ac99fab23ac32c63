//! The authority that clients of gRPC's C core name: owns putting another one of the same length in its place, in
//! the bytes of HTTP/2. It must not know requests.
//!
//! On a Unix socket C, C++, Python, Ruby and PHP name the socket's path in percent signs, `%2Frun%2Fs.sock`, and Java
//! names it as it is: no authorities by RFC 3986, for which h2 resets the stream. In its place comes a path in hexadecimal
//! digits, as other clients name it, of the same length: so frames, HPACK's tables (RFC 7541) and all lengths stay
//! what they are. Whatever else is said stays as it is.

/// Follows the bytes of one connection, from its preface on.
#[derive(Debug)]
pub(super) struct Authority {
    frame: Frame,
    field: Field,
    /// What is left of the header block in the frame at hand, and of the padding behind it.
    block: usize,
}

/// Where a connection is among its frames (RFC 9113).
#[derive(Clone, Copy, Debug)]
enum Frame {
    /// What every client sends first: so many bytes are left.
    Preface(usize),
    /// A frame's head: its bytes so far.
    Head { bytes: [u8; 9], have: usize },
    /// The fields before a header block: whether there is padding, whose length the first byte is.
    Before {
        left: usize,
        is_padded: bool,
        rest: usize,
    },
    /// A header block, with padding behind it.
    Block { padding: usize },
    /// Nothing of interest.
    Skip(usize),
}

/// Where a header block is among its fields.
#[derive(Clone, Copy, Debug)]
enum Field {
    /// The next byte begins one.
    Start,
    /// A number goes on: what it is of, and how far it is.
    Number { of: Of, value: usize, shift: u32 },
    /// The length of a name or a value comes.
    Length { of: Text },
    /// A text: so many bytes are left.
    Text { of: Text, left: usize },
    /// A value is replaced: so many bytes of it were, and so many are left.
    Replace { done: usize, left: usize },
    /// It is no HPACK: whoever reads it will say so.
    Broken,
}

#[derive(Clone, Copy, Debug)]
enum Of {
    /// A field that is in a table, or the size of one.
    Whole,
    /// The name of a literal field in a table.
    Name,
    /// The length of a text.
    Length(Text),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Text {
    Name,
    Value,
    /// The value of `:authority`.
    Authority,
}

const PREFACE: usize = 24;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const PADDED: u8 = 8;
const PRIORITY: u8 = 32;
/// `:authority` in HPACK's static table.
const AUTHORITY: usize = 1;

impl Default for Authority {
    fn default() -> Self {
        Self {
            frame: Frame::Preface(PREFACE),
            field: Field::Start,
            block: 0,
        }
    }
}

impl Authority {
    /// Goes on with the next bytes of the connection.
    pub(super) fn mend(&mut self, mut bytes: &mut [u8]) {
        while !bytes.is_empty() {
            let taken = self.step(bytes).clamp(1, bytes.len());
            bytes = bytes.get_mut(taken..).unwrap_or_default();
        }
    }

    /// Takes some of `bytes`; how many.
    fn step(&mut self, bytes: &mut [u8]) -> usize {
        let first = bytes.first().copied().unwrap_or_default();
        match self.frame {
            Frame::Preface(left) => {
                let taken = left.min(bytes.len());
                self.frame = match left - taken {
                    0 => HEAD,
                    left => Frame::Preface(left),
                };
                taken
            }
            Frame::Head {
                bytes: mut head,
                have,
            } => {
                if let Some(byte) = head.get_mut(have) {
                    *byte = first;
                }
                self.frame = match have + 1 {
                    9 => self.begun(head),
                    have => Frame::Head { bytes: head, have },
                };
                1
            }
            Frame::Before {
                left,
                is_padded,
                rest,
            } => {
                let padding = if is_padded { usize::from(first) } else { 0 };
                self.block = self.block.saturating_sub(padding);
                let rest = rest.saturating_add(padding);
                self.frame = match left - 1 {
                    0 => self.block_or_skip(rest),
                    left => Frame::Before {
                        left,
                        is_padded: false,
                        rest,
                    },
                };
                1
            }
            Frame::Block { padding } => {
                let most = self.block.min(bytes.len());
                let taken = self
                    .field(bytes.get_mut(..most).unwrap_or_default())
                    .clamp(1, most.max(1));
                self.block = self.block.saturating_sub(taken);
                if self.block == 0 {
                    self.frame = skip(padding);
                }
                taken
            }
            Frame::Skip(left) => {
                let taken = left.min(bytes.len());
                self.frame = skip(left - taken);
                taken
            }
        }
    }

    /// The frame that `head` begins.
    fn begun(&mut self, head: [u8; 9]) -> Frame {
        let [a, b, c, kind, flags, ..] = head;
        let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        let before = match kind {
            HEADERS => {
                self.field = Field::Start;
                usize::from(flags & PADDED != 0) + if flags & PRIORITY != 0 { 5 } else { 0 }
            }
            CONTINUATION => 0,
            _ => return skip(length),
        };
        if before > length {
            return skip(length);
        }
        self.block = length - before;
        match before {
            0 => self.block_or_skip(0),
            left => Frame::Before {
                left,
                is_padded: flags & PADDED != 0,
                rest: 0,
            },
        }
    }

    fn block_or_skip(&self, padding: usize) -> Frame {
        match self.block {
            0 => skip(padding),
            _ => Frame::Block { padding },
        }
    }

    /// Takes some bytes of a header block; how many.
    fn field(&mut self, bytes: &mut [u8]) -> usize {
        let Some(first) = bytes.first_mut() else { return 0 };
        match self.field {
            Field::Start => {
                let byte = *first;
                // the size of the number's first part, and what it is of (RFC 7541, section 6)
                let (bits, of) = match byte {
                    0x80.. => (7, Of::Whole),
                    0x40.. => (6, Of::Name),
                    0x20.. => (5, Of::Whole),
                    _ => (4, Of::Name),
                };
                self.field = number(byte, bits, of);
                1
            }
            Field::Number { of, value, shift } => {
                let more = usize::from(*first & 0x7f).checked_shl(shift);
                let value = more
                    .and_then(|more| value.checked_add(more))
                    .filter(|_| shift < 28);
                self.field = match value {
                    None => Field::Broken,
                    Some(value) if *first & 0x80 != 0 => Field::Number {
                        of,
                        value,
                        shift: shift + 7,
                    },
                    Some(value) => known(of, value),
                };
                1
            }
            Field::Length { of } => {
                // one in Huffman's code is left as it is: none of these clients sends one
                let of = if *first & 0x80 != 0 && of == Text::Authority {
                    Text::Value
                } else {
                    of
                };
                self.field = number(*first, 7, Of::Length(of));
                1
            }
            Field::Text {
                of: Text::Authority,
                left,
            } if matches!(*first, b'%' | b'/') => {
                *first = b'2';
                self.field = replace(1, left - 1);
                1
            }
            Field::Text { of, left } => {
                let taken = left.min(bytes.len());
                let of = if of == Text::Authority { Text::Value } else { of };
                self.field = text(of, left - taken);
                taken
            }
            Field::Replace { done, left } => {
                *first = if done == 1 { b'f' } else { b'0' };
                self.field = replace(done + 1, left - 1);
                1
            }
            Field::Broken => bytes.len(),
        }
    }
}

const HEAD: Frame = Frame::Head {
    bytes: [0; 9],
    have: 0,
};

fn skip(left: usize) -> Frame {
    match left {
        0 => HEAD,
        left => Frame::Skip(left),
    }
}

/// A number that begins in the low `bits` of a byte (RFC 7541, section 5.1).
fn number(byte: u8, bits: u32, of: Of) -> Field {
    let most = (1_u8 << bits) - 1;
    match byte & most {
        low if low == most => Field::Number {
            of,
            value: usize::from(most),
            shift: 0,
        },
        low => known(of, usize::from(low)),
    }
}

/// What follows a number.
fn known(of: Of, value: usize) -> Field {
    match of {
        Of::Whole => Field::Start,
        Of::Name if value == 0 => Field::Length { of: Text::Name },
        Of::Name if value == AUTHORITY => Field::Length { of: Text::Authority },
        Of::Name => Field::Length { of: Text::Value },
        Of::Length(of) => text(of, value),
    }
}

/// A value of which so much is replaced, and so much left.
fn replace(done: usize, left: usize) -> Field {
    match left {
        0 => Field::Start,
        left => Field::Replace { done, left },
    }
}

/// What follows a text of which so much is left.
fn text(of: Text, left: usize) -> Field {
    match (of, left) {
        (Text::Name, 0) => Field::Length { of: Text::Value },
        (_, 0) => Field::Start,
        (of, left) => Field::Text { of, left },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
        let head = [length[1], length[2], length[3], kind, flags, 0, 0, 0, 1];
        [&head, payload].concat()
    }

    fn text(text: &str) -> Vec<u8> {
        let length = u8::try_from(text.len()).unwrap_or(u8::MAX);
        assert!(length < 127);
        [&[length], text.as_bytes()].concat()
    }

    /// A connection: its preface, its settings, a request with `authority`, and one that refers to it.
    fn connection(authority: &str, flags: u8) -> Vec<u8> {
        let mut block = vec![0x83, 0x86, 0x3f, 0x81, 0x1f];
        // a name in no table, with an index too
        block.extend([&[0x40][..], &text("x-path"), &text("%2Fnot%2Fthis")].concat());
        block.extend([&[0x41][..], &text(authority)].concat());
        block.extend([&[0x0f, 0x2f][..], &text("a=%2F")].concat());
        let mut payload = Vec::new();
        if flags & PADDED != 0 {
            payload.push(3);
        }
        if flags & PRIORITY != 0 {
            payload.extend([0, 0, 0, 0, 9]);
        }
        let (one, other) = block.split_at(20);
        payload.extend(one);
        if flags & PADDED != 0 {
            payload.extend(b"%%%");
        }
        let mut out = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        out.extend(frame(4, 0, &[0, 3, 0, 0, 0, 1]));
        out.extend(frame(HEADERS, flags, &payload));
        out.extend(frame(CONTINUATION, 4, other));
        out.extend(frame(0, 1, b"\x41\x05%2Fab"));
        out.extend(frame(HEADERS, 5, &[0xbe, 0x83]));
        out
    }

    #[test]
    fn a_path_as_authority_becomes_one_in_digits_and_nothing_else_changes() {
        for (path, digits) in [
            ("%2Ftmp%2Fs.sock", "2f0000000000000"),
            ("/tmp/s.sock", "2f000000000"),
        ] {
            for flags in [0, PADDED, PRIORITY, PADDED | PRIORITY] {
                let sent = connection(path, flags);
                let wanted = connection(digits, flags);
                for size in 1..sent.len() {
                    let mut got = sent.clone();
                    let mut authority = Authority::default();
                    got.chunks_mut(size).for_each(|chunk| authority.mend(chunk));
                    assert_eq!(got, wanted, "{flags} in {size}");
                }
            }
        }
    }

    #[test]
    fn other_authorities_stay() {
        for name in ["localhost", "", "a%2F"] {
            let sent = connection(name, 0);
            let mut got = sent.clone();
            Authority::default().mend(&mut got);
            assert_eq!(got, sent);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_are_too_much(
            bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..600),
            size in 1_usize..50,
        ) {
            let (mut one, mut other) = (bytes.clone(), bytes);
            Authority::default().mend(&mut one);
            let mut authority = Authority::default();
            other.chunks_mut(size).for_each(|chunk| authority.mend(chunk));
            assert_eq!(one, other);
        }
    }
}
