//! Server-sent events: owns splitting a stream of bytes into events. It must not know what they
//! mean.

/// Longer events than this are not ours.
const LONGEST: usize = 16 * 1024 * 1024;

/// One event.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Event {
    /// Its type; `message` when it has none.
    pub(super) name: String,
    /// Its id, as sent.
    pub(super) id: Option<String>,
    /// Its data, lines joined by `\n`.
    pub(super) data: String,
}

/// The stream is not one of events, or has one that is too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// Collects bytes until they make an event.
#[derive(Debug, Default)]
pub(super) struct Parser {
    bytes: Vec<u8>,
    /// How far `bytes` was searched for the end of a line.
    searched: usize,
    current: Event,
}

impl Parser {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole event; comments and empty events are skipped.
    pub(super) fn next(&mut self) -> Result<Option<Event>, Malformed> {
        while let Some(line) = self.line()? {
            if line.is_empty() {
                let event = std::mem::take(&mut self.current);
                if !event.data.is_empty() {
                    return Ok(Some(event));
                }
                continue;
            }
            let (field, value) = line.split_once(':').unwrap_or((&line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => value.clone_into(&mut self.current.name),
                "id" => self.current.id = Some(value.to_owned()),
                "data" => {
                    if !self.current.data.is_empty() {
                        self.current.data.push('\n');
                    }
                    self.current.data.push_str(value);
                }
                _ => {}
            }
            if self.current.data.len() > LONGEST {
                return Err(Malformed);
            }
        }
        Ok(None)
    }

    fn line(&mut self) -> Result<Option<String>, Malformed> {
        let rest = self.bytes.get(self.searched..).unwrap_or_default();
        let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
            self.searched = self.bytes.len();
            return if self.searched > LONGEST {
                Err(Malformed)
            } else {
                Ok(None)
            };
        };
        let end = self.searched.saturating_add(end);
        self.searched = 0;
        let mut line: Vec<u8> = self.bytes.drain(..=end).collect();
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        String::from_utf8(line).map(Some).map_err(|_| Malformed)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn events(text: &str, chunk: usize) -> Vec<Event> {
        let mut parser = Parser::default();
        let mut events = Vec::new();
        for part in text.as_bytes().chunks(chunk) {
            parser.push(part);
            while let Some(event) = parser.next().unwrap() {
                events.push(event);
            }
        }
        events
    }

    #[test]
    fn events_are_the_same_however_they_are_cut() {
        let text = ": hello\n\nevent: revision\nid: 7\ndata: {\"a\":1}\n\r\n:\n\nevent:lagged\r\ndata: x\r\ndata: y\r\n\r\n";
        let whole = events(text, text.len());
        assert_eq!(
            whole,
            [
                Event {
                    name: "revision".into(),
                    id: Some("7".into()),
                    data: "{\"a\":1}".into()
                },
                Event {
                    name: "lagged".into(),
                    id: None,
                    data: "x\ny".into()
                },
            ]
        );
        for chunk in 1..text.len() {
            assert_eq!(events(text, chunk), whole, "cut every {chunk} bytes");
        }
    }

    #[test]
    fn an_unfinished_event_is_not_delivered() {
        assert_eq!(events("event: revision\ndata: {}\n", 3), []);
    }

    #[test]
    fn what_is_not_text_or_never_ends_is_refused() {
        let mut parser = Parser::default();
        parser.push(b"\xff\n");
        assert_eq!(parser.next(), Err(Malformed));
        let mut parser = Parser::default();
        parser.push(&vec![b'a'; LONGEST + 1]);
        assert_eq!(parser.next(), Err(Malformed));
    }
}
