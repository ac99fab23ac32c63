//! The load generator of gRPC: owns one call over HTTP/2, its frames written once and sent with each stream's number,
//! and answers read frame by frame. It knows no more of HPACK than how to write literals.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;

use super::client::{self, Asks};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW: u8 = 8;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;
/// The most that one may be sent without saying so.
const LARGEST: u32 = (1 << 31) - 1;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [length[1], length[2], length[3], kind, flags];
    [&head, &stream.to_be_bytes()[..], payload].concat()
}

fn field(out: &mut Vec<u8>, name: &str, value: &str) {
    out.push(0);
    for text in [name, value] {
        assert!(text.len() < 127);
        out.push(text.len() as u8);
        out.extend(text.as_bytes());
    }
}

/// A field of a message: its number, and bytes.
fn member(number: u8, bytes: &[u8]) -> Vec<u8> {
    assert!(bytes.len() < 128 && number < 16);
    [&[number << 3 | 2, bytes.len() as u8], bytes].concat()
}

/// The frames of one call of `ResolveBoolean`, and where the numbers of its stream are in them.
fn call(context: &[(&str, &str)], key: &str) -> (Vec<u8>, [usize; 2]) {
    let fields: Vec<u8> = context
        .iter()
        .flat_map(|(name, value)| {
            let value = member(3, value.as_bytes());
            member(1, &[member(1, name.as_bytes()), member(2, &value)].concat())
        })
        .collect();
    let message = [member(1, key.as_bytes()), member(2, &fields)].concat();
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    let body = [&[0][..], &length, &message].concat();
    let mut head = Vec::new();
    field(&mut head, ":method", "POST");
    field(&mut head, ":scheme", "http");
    field(&mut head, ":path", "/flagd.evaluation.v2.Service/ResolveBoolean");
    field(&mut head, ":authority", "localhost");
    field(&mut head, "content-type", "application/grpc");
    field(&mut head, "te", "trailers");
    let headers = frame(HEADERS, END_HEADERS, 0, &head);
    let places = [5, headers.len() + 5];
    ([headers, frame(DATA, END_STREAM, 0, &body)].concat(), places)
}

/// One connection that makes the same call over and over.
pub struct Grpc {
    stream: UnixStream,
    request: Vec<u8>,
    places: [usize; 2],
    number: u32,
    buffer: Vec<u8>,
    filled: usize,
    is_answered: bool,
    /// The data of the last answer.
    data: Vec<u8>,
}

impl Grpc {
    /// Connects and makes the call once.
    pub fn open(socket: &Path, context: &[(&str, &str)], key: &str) -> Self {
        let (request, places) = call(context, key);
        let mut stream = client::connect(socket);
        let window = [&4_u16.to_be_bytes()[..], &LARGEST.to_be_bytes()].concat();
        let mut begin = PREFACE.to_vec();
        begin.extend(frame(SETTINGS, 0, 0, &window));
        begin.extend(frame(WINDOW, 0, 0, &(LARGEST - 65_535).to_be_bytes()));
        stream.write_all(&begin).unwrap();
        let mut grpc = Self {
            stream,
            request,
            places,
            number: 1,
            buffer: vec![0; 64 * 1024],
            filled: 0,
            is_answered: false,
            data: Vec::new(),
        };
        grpc.send();
        while !grpc.is_answered() {
            grpc.receive();
        }
        grpc
    }

    /// What one frame says.
    fn take(&mut self, head: [u8; 9], payload: std::ops::Range<usize>) {
        let [_, _, _, kind, flags, stream @ ..] = head;
        let payload = &self.buffer[payload];
        match kind {
            SETTINGS if flags & ACK == 0 => self.stream.write_all(&frame(SETTINGS, ACK, 0, &[])).unwrap(),
            PING if flags & ACK == 0 => self.stream.write_all(&frame(PING, ACK, 0, payload)).unwrap(),
            DATA => self.data.extend(payload),
            HEADERS | SETTINGS | PING | WINDOW => {}
            other => panic!("a frame of kind {other}: {payload:?}"),
        }
        if matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0 {
            assert_eq!(u32::from_be_bytes(stream), self.number - 2);
            self.is_answered = true;
        }
    }
}

impl Asks for Grpc {
    fn stream(&self) -> &UnixStream {
        &self.stream
    }

    fn send(&mut self) {
        for place in self.places {
            self.request[place..place + 4].copy_from_slice(&self.number.to_be_bytes());
        }
        self.number += 2;
        self.is_answered = false;
        self.data.clear();
        self.stream.write_all(&self.request).unwrap();
    }

    fn receive(&mut self) {
        let count = self.stream.read(&mut self.buffer[self.filled..]).unwrap();
        assert!(count > 0, "the server closed the connection");
        self.filled += count;
        let mut at = 0;
        while let Some(head) = self.buffer[at..self.filled].first_chunk::<9>().copied() {
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            let end = at + 9 + length;
            if end > self.filled {
                break;
            }
            self.take(head, at + 9..end);
            at = end;
        }
        self.buffer.copy_within(at..self.filled, 0);
        self.filled -= at;
    }

    fn is_answered(&mut self) -> bool {
        if self.is_answered {
            // a failure has no data
            assert!(!self.data.is_empty());
        }
        self.is_answered
    }
}

/// The data of an answer, as a control gives it back.
pub fn answer(socket: &Path, context: &[(&str, &str)], key: &str) -> Vec<u8> {
    Grpc::open(socket, context, key).data
}
