//! The authority that clients of gRPC's C core name: owns putting another one of the same length in its place, in
//! the bytes of HTTP/2. It must not know requests.
//!
//! On a Unix socket C, C++, Python, Ruby and PHP name the socket's path in percent signs, with or without the
//! first slash: `run%2Fs.sock`, and Java as it is. h2 takes neither sign in an authority and resets the stream. In the
//! place of each comes an `@`, which no name of a host has either: so frames, HPACK's tables (RFC 7541) and all lengths stay what
//! they are. Whatever else is said stays as it is.

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
    /// A name: so many bytes are left, and whether it is `:authority` so far.
    Name { left: usize, is_authority: bool },
    /// A text: so many bytes are left.
    Text { of: Text, left: usize },
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
/// Its name, which gRPC's C core writes out.
const NAME: &[u8] = b":authority";

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
            Field::Name { left, is_authority } => {
                let taken = left.min(bytes.len());
                let rest = NAME.len().checked_sub(left).and_then(|at| NAME.get(at..));
                let is_authority =
                    is_authority && rest.is_some_and(|rest| rest.get(..taken) == bytes.get(..taken));
                self.field = name(left - taken, is_authority);
                taken
            }
            Field::Text { of, left } => {
                let taken = left.min(bytes.len());
                if of == Text::Authority {
                    let signs = bytes
                        .iter_mut()
                        .take(taken)
                        .filter(|byte| matches!(byte, b'%' | b'/'));
                    signs.for_each(|sign| *sign = b'@');
                }
                self.field = text(of, left - taken);
                taken
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
        Of::Length(Text::Name) => name(value, value == NAME.len()),
        Of::Length(of) => text(of, value),
    }
}

/// What follows a name of which so much is left.
fn name(left: usize, is_authority: bool) -> Field {
    match (left, is_authority) {
        (0, true) => Field::Length { of: Text::Authority },
        (0, false) => Field::Length { of: Text::Value },
        (left, is_authority) => Field::Name { left, is_authority },
    }
}

/// What follows a value of which so much is left.
fn text(of: Text, left: usize) -> Field {
    match left {
        0 => Field::Start,
        left => Field::Text { of, left },
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

    /// A connection: its preface, its settings, a request with `authority`, by number or by `name`, and one that refers
    /// to it.
    fn connection(authority: &str, name: Option<&str>, flags: u8) -> Vec<u8> {
        let mut block = vec![0x83, 0x86, 0x3f, 0x81, 0x1f];
        // a name in no table, with an index too
        block.extend([&[0x40][..], &text("x-path"), &text("%2Fnot%2Fthis")].concat());
        block.extend(name.map_or_else(|| vec![0x41], |name| [&[0x40][..], &text(name)].concat()));
        block.extend(text(authority));
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
    fn a_path_as_authority_becomes_one_that_is_read_and_nothing_else_changes() {
        let paths = [
            ("%2Ftmp%2Fs.sock", "@2Ftmp@2Fs.sock"),
            // gRPC 1.85 leaves the first slash out
            ("tmp%2Fs.sock", "tmp@2Fs.sock"),
            // Java names it as it is
            ("/tmp/s.sock", "@tmp@s.sock"),
        ];
        let names = [None, Some(":authority")];
        for (path, mended) in paths {
            assert!(path.parse::<hyper::http::uri::Authority>().is_err());
            assert!(mended.parse::<hyper::http::uri::Authority>().is_ok());
            for (name, flags) in names
                .map(|name| [0, PADDED, PRIORITY, PADDED | PRIORITY].map(|flags| (name, flags)))
                .as_flattened()
            {
                let sent = connection(path, *name, *flags);
                let wanted = connection(mended, *name, *flags);
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
    fn other_authorities_and_fields_stay() {
        for (value, name) in [
            ("localhost", None),
            ("", None),
            ("a%2Fb", Some(":authorite")),
            ("a%2Fb", Some(":authority2")),
            ("a%2Fb", Some("authority")),
            ("a%2Fb", Some("")),
        ] {
            let sent = connection(value, name, 0);
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
