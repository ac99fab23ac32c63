//! The load generator: owns HTTP/1.1 requests written once and sent as they are, and answers read
//! by their length. It is the same for whatever is at the other end.

use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

use super::process;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\n";

/// A request for `target`.
pub fn request(target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nhost: localhost\r\naccept: */*\r\n\r\n").into_bytes()
}

/// A request that posts `body`.
pub fn post(target: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("POST {target} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n{body}")
        .into_bytes()
}

/// Connects; a socket file may be there a moment before its server listens.
pub fn connect(socket: &Path) -> UnixStream {
    let mut stream = None;
    process::until("the server listens", || {
        stream = UnixStream::connect(socket).ok();
        stream.is_some()
    });
    stream.unwrap()
}

/// What can be kept busy.
pub trait Asks {
    /// Its connection.
    fn stream(&self) -> &UnixStream;
    /// Asks.
    fn send(&mut self);
    /// Takes what has come.
    fn receive(&mut self);
    /// Whether that is a whole answer.
    fn is_answered(&mut self) -> bool;
}

/// One keep-alive connection that asks for the same thing over and over.
pub struct Connection {
    stream: UnixStream,
    request: Vec<u8>,
    buffer: Vec<u8>,
    filled: usize,
    /// Bytes of one answer, head and body: every answer is as long as the one learnt from.
    length: usize,
}

impl Connection {
    /// Connects and asks once; gives the body too.
    pub fn open(socket: &Path, target: &str) -> (Self, Vec<u8>) {
        Self::asking(socket, request(target))
    }

    /// The same with a whole request.
    pub fn asking(socket: &Path, request: Vec<u8>) -> (Self, Vec<u8>) {
        let mut connection = Self {
            stream: connect(socket),
            request,
            buffer: vec![0; 256 * 1024],
            filled: 0,
            length: usize::MAX,
        };
        let body = connection.learn();
        (connection, body)
    }

    /// Asks for an answer of unknown length; the body.
    pub fn learn(&mut self) -> Vec<u8> {
        self.send();
        let head = loop {
            self.receive();
            let seen = &self.buffer[..self.filled];
            if let Some(at) = seen.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
        };
        let text = std::str::from_utf8(&self.buffer[..head]).unwrap();
        let body: usize = text
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .unwrap_or_else(|| panic!("no length in {text}"))
            .parse()
            .unwrap();
        self.length = head + body;
        while !self.is_answered() {
            self.receive();
        }
        self.buffer[head..self.length].to_vec()
    }

    /// Asks again and waits for the answer.
    pub fn ask(&mut self) {
        self.send();
        while !self.is_answered() {
            self.receive();
        }
    }
}

impl Asks for Connection {
    fn stream(&self) -> &UnixStream {
        &self.stream
    }

    fn send(&mut self) {
        self.filled = 0;
        self.stream.write_all(&self.request).unwrap();
    }

    fn receive(&mut self) {
        let count = self.stream.read(&mut self.buffer[self.filled..]).unwrap();
        assert!(count > 0, "the server closed the connection");
        self.filled += count;
    }

    fn is_answered(&mut self) -> bool {
        if self.filled < self.length {
            return false;
        }
        assert!(self.filled == self.length && self.buffer.starts_with(OK));
        true
    }
}

/// The times of `count` requests, one after the other.
pub fn latencies(connection: &mut Connection, count: usize) -> Vec<Duration> {
    let ask = |_| {
        let start = Instant::now();
        connection.ask();
        start.elapsed()
    };
    (0..count).map(ask).collect()
}

/// Keeps every connection busy for a while: the time of each answer, and the time all took. One
/// thread with one epoll, so that it costs little beside the server.
pub fn busy<C: Asks>(connections: &mut [C], time: Duration) -> (Vec<Duration>, Duration) {
    let poll = poll(connections.iter().map(Asks::stream));
    let mut events = Vec::with_capacity(connections.len());
    let mut answers = Vec::with_capacity(1 << 20);
    let start = Instant::now();
    let mut sent = vec![start; connections.len()];
    connections.iter_mut().for_each(Asks::send);
    loop {
        for number in wait(&poll, &mut events) {
            let connection = &mut connections[number];
            connection.receive();
            if connection.is_answered() {
                let now = Instant::now();
                answers.push(now - std::mem::replace(&mut sent[number], now));
                connection.send();
            }
        }
        let elapsed = start.elapsed();
        if elapsed > time {
            // what is on its way is read, so that the next round begins with silence
            for connection in connections {
                while !connection.is_answered() {
                    connection.receive();
                }
            }
            return (answers, elapsed);
        }
    }
}

/// A poll of all of `streams`, numbered in their order.
pub fn poll<'a>(streams: impl Iterator<Item = &'a UnixStream>) -> OwnedFd {
    let poll = epoll::create(CreateFlags::CLOEXEC).unwrap();
    for (number, stream) in streams.enumerate() {
        epoll::add(&poll, stream, EventData::new_u64(number as u64), EventFlags::IN).unwrap();
    }
    poll
}

/// Waits until some streams are readable; their numbers.
pub fn wait(poll: &OwnedFd, events: &mut Vec<Event>) -> impl Iterator<Item = usize> {
    events.clear();
    epoll::wait(poll, rustix::buffer::spare_capacity(events), None).unwrap();
    events.iter().map(|event| event.data.u64() as usize)
}
