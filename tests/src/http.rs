//! HTTP/1.1 over a Unix socket: owns a client small enough to be read at once, so that a test of
//! the socket does not lean on the project's own client. It must not know routes.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use crate::wait::PATIENCE;

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// A header's value; names are compared in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("the body is text")
    }
}

/// Asks `socket` for `target` with more `headers`, each `name: value`.
///
/// # Errors
/// When the socket cannot be reached or the answer breaks off.
pub fn get(socket: &Path, target: &str, headers: &[&str]) -> io::Result<Answer> {
    let (status, headers, mut body) = open(socket, target, headers)?;
    let mut bytes = Vec::new();
    body.read_to_end(&mut bytes)?;
    Ok(Answer {
        status,
        headers,
        body: bytes,
    })
}

/// Posts `body` to `target`.
///
/// # Errors
/// When the socket cannot be reached or the answer breaks off.
pub fn post(socket: &Path, target: &str, body: &str) -> io::Result<Answer> {
    let length = body.len();
    let head = format!("POST {target} HTTP/1.0\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n");
    let (status, headers, mut answer) = sent(socket, &format!("{head}{body}"))?;
    let mut bytes = Vec::new();
    answer.read_to_end(&mut bytes)?;
    Ok(Answer {
        status,
        headers,
        body: bytes,
    })
}

/// One server-sent event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// Its type.
    pub event: String,
    /// Its id, empty when it has none.
    pub id: String,
    /// Its data.
    pub data: String,
}

/// An open stream of server-sent events.
pub struct Events(Box<dyn BufRead>);

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Events")
    }
}

/// Opens a stream of server-sent events.
///
/// # Errors
/// When the socket cannot be reached or does not answer 200.
pub fn events(socket: &Path, target: &str, headers: &[&str]) -> io::Result<Events> {
    let (status, _, body) = open(socket, target, headers)?;
    if status != 200 {
        return Err(io::Error::other(format!("the watch was answered with {status}")));
    }
    Ok(Events(Box::new(BufReader::new(body))))
}

impl Iterator for Events {
    type Item = io::Result<Event>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut event = Event::default();
        let mut line = String::new();
        loop {
            line.clear();
            match self.0.read_line(&mut line) {
                Ok(0) => return None,
                Ok(_) => {}
                Err(error) => return Some(Err(error)),
            }
            let text = line.trim_end_matches(['\r', '\n']);
            if text.is_empty() {
                // a comment alone ends in an empty line too
                if event != Event::default() {
                    return Some(Ok(event));
                }
                continue;
            }
            let (field, value) = text.split_once(':').unwrap_or((text, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => event.event = value.to_owned(),
                "id" => event.id = value.to_owned(),
                "data" => event.data.push_str(value),
                _ => {}
            }
        }
    }
}

type Opened = (u16, Vec<(String, String)>, Box<dyn Read>);

fn open(socket: &Path, target: &str, extra: &[&str]) -> io::Result<Opened> {
    let mut request = format!("GET {target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
    for header in extra {
        request.push_str(header);
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    sent(socket, &request)
}

/// Sends a whole request; the head of its answer, and its body to read.
fn sent(socket: &Path, request: &str) -> io::Result<Opened> {
    let stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    (&stream).write_all(request.as_bytes())?;

    let mut reader = BufReader::new(stream);
    let status = read_line(&mut reader)?;
    let status = status.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.ok_or_else(|| io::Error::other("the answer is not HTTP"))?;
    let mut headers = Vec::new();
    loop {
        let line = read_line(&mut reader)?;
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            headers.push((name.to_lowercase(), value.trim().to_owned()));
        }
    }
    let value = |name: &str| {
        headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, v)| v.clone())
    };
    let body: Box<dyn Read> = if value("transfer-encoding").is_some_and(|v| v == "chunked") {
        Box::new(Chunked {
            inner: reader,
            left: 0,
            done: false,
        })
    } else if let Some(length) = value("content-length").and_then(|v| v.parse().ok()) {
        Box::new(reader.take(length))
    } else {
        Box::new(reader)
    };
    Ok((status, headers, body))
}

fn read_line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim_end().to_owned())
}

struct Chunked<R> {
    inner: R,
    left: usize,
    done: bool,
}

impl<R: BufRead> Read for Chunked<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.done {
            return Ok(0);
        }
        if self.left == 0 {
            let size = read_line(&mut self.inner)?;
            self.left = usize::from_str_radix(&size, 16).map_err(io::Error::other)?;
            if self.left == 0 {
                self.done = true;
                return Ok(0);
            }
        }
        let wanted = out.len().min(self.left);
        let count = self.inner.read(&mut out[..wanted])?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= count;
        if self.left == 0 {
            // the line end after the chunk
            read_line(&mut self.inner)?;
        }
        Ok(count)
    }
}
