//! A small HTTP/1.1 client for tests: owns bytes in and out, so that nothing is hidden.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(header, _)| header == name);
        found.map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The code of a failure's body.
    pub fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap().to_owned()
    }
}

/// One connection.
pub struct Client(pub BufReader<UnixStream>);

impl Client {
    pub fn connect(socket: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        Ok(Self(BufReader::new(stream)))
    }

    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.get_mut().write_all(bytes)
    }

    pub fn request(&mut self, method: &str, target: &str, headers: &[&str]) -> io::Result<Answer> {
        let lines: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
        self.send(format!("{method} {target} HTTP/1.1\r\nhost: localhost\r\n{lines}\r\n").as_bytes())?;
        self.answer(method == "HEAD")
    }

    /// Posts a body.
    pub fn post(&mut self, target: &str, headers: &[&str], body: &[u8]) -> io::Result<Answer> {
        let lines: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
        let length = body.len();
        let head =
            format!("POST {target} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n{lines}\r\n");
        self.send(&[head.as_bytes(), body].concat())?;
        self.answer(false)
    }

    pub fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.0.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }

    /// The status and headers.
    pub fn head(&mut self) -> io::Result<Answer> {
        let status = self.line()?;
        let status = status
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .ok_or(io::ErrorKind::InvalidData)?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(':') else {
                break;
            };
            headers.push((name.to_lowercase(), value.trim().to_owned()));
        }
        Ok(Answer {
            status,
            headers,
            body: Vec::new(),
        })
    }

    pub fn answer(&mut self, is_head: bool) -> io::Result<Answer> {
        let mut answer = self.head()?;
        let length = answer
            .header("content-length")
            .map_or(0, |length| length.parse().unwrap());
        if !is_head && answer.status != 304 {
            answer.body.resize(length, 0);
            self.0.read_exact(&mut answer.body)?;
        }
        Ok(answer)
    }

    /// True when the other end closes without another byte.
    pub fn is_closed(&mut self) -> bool {
        matches!(self.0.read(&mut [0]), Ok(0) | Err(_))
    }
}

pub fn get(socket: &Path, target: &str) -> io::Result<Answer> {
    request(socket, "GET", target, &[])
}

pub fn request(socket: &Path, method: &str, target: &str, headers: &[&str]) -> io::Result<Answer> {
    Client::connect(socket)?.request(method, target, headers)
}

/// A stream of server-sent events.
pub struct Events(Client);

#[derive(Debug)]
pub struct Event {
    pub name: String,
    pub id: Option<u64>,
    pub data: serde_json::Value,
}

impl Events {
    pub fn open(socket: &Path, target: &str, headers: &[&str]) -> Self {
        Self::open_with_head(socket, target, headers).1
    }

    /// The same, with what came before the first event.
    pub fn open_with_head(socket: &Path, target: &str, headers: &[&str]) -> (Answer, Self) {
        let mut client = Client::connect(socket).unwrap();
        let lines: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
        client
            .send(format!("GET {target} HTTP/1.1\r\nhost: localhost\r\n{lines}\r\n").as_bytes())
            .unwrap();
        let head = client.head().unwrap();
        assert_eq!(head.status, 200);
        assert_eq!(head.header("content-type"), Some("text/event-stream"));
        (head, Self(client))
    }

    /// The next event; `None` when the stream ends. Comments and the chunks' sizes are passed over.
    pub fn next(&mut self) -> Option<Event> {
        let (mut name, mut id) = (String::new(), None);
        loop {
            let line = self.0.line().ok()?;
            match line.split_once(": ") {
                Some(("event", text)) => name = text.to_owned(),
                Some(("id", text)) => id = text.parse().ok(),
                Some(("data", text)) => {
                    let data = serde_json::from_str(text).unwrap();
                    return Some(Event { name, id, data });
                }
                _ if line == "0" => return None,
                _ => {}
            }
        }
    }
}
