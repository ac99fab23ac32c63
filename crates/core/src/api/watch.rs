//! Following a sidecar: owns the stream of revisions and making it again when it breaks. It must
//! not read values.

use std::path::PathBuf;
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::StatusCode;
use hyper::body::Incoming;
use tokio::time::Instant;

use super::client::refusal;
use super::connection::{self, Connection, Get};
use super::error::ClientError;
use super::sse::{Event, Parser};
use super::{PREFIX, uri, wire};
use crate::name::EntryPath;

/// The sidecar gives a sign of life every 15 seconds; after three of them missed it is gone.
const SILENCE: Duration = Duration::from_secs(45);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What a watch delivers.
#[derive(Debug)]
pub enum WatchEvent {
    /// The revision that is served now, and what changed. The first event after connecting is one.
    Revision(wire::RevisionEvent),
    /// This watch was too slow and so many events were dropped; a revision follows.
    Lagged {
        /// How many.
        missed: u64,
    },
    /// The sidecar is out of reach; told once until it is back, while it is tried again.
    Lost(ClientError),
}

/// A stream of revisions; dropped, it ends.
#[derive(Debug)]
pub struct Watch {
    socket: PathBuf,
    timeout: Duration,
    target: String,
    /// The last revision seen, to resume from.
    last: Option<u64>,
    stream: Option<Stream>,
    pause: Duration,
    /// No attempt before this.
    not_before: Option<Instant>,
    told: bool,
}

struct Stream {
    body: Incoming,
    parser: Parser,
    /// Keeps the connection open.
    _connection: Connection,
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stream")
    }
}

impl Watch {
    pub(super) fn new(socket: PathBuf, timeout: Duration, prefix: Option<EntryPath>) -> Self {
        let query = prefix.map(|prefix| format!("?prefix={}", uri::encode(prefix.as_str())));
        Self {
            socket,
            timeout,
            target: format!("{PREFIX}watch{}", query.unwrap_or_default()),
            last: None,
            stream: None,
            pause: FIRST_PAUSE,
            not_before: None,
            told: false,
        }
    }

    /// The next event; waits for as long as it takes. It may be dropped and called again without
    /// losing an event.
    pub async fn next(&mut self) -> WatchEvent {
        loop {
            match self.step().await {
                Ok(Some(event)) => {
                    self.pause = FIRST_PAUSE;
                    self.told = false;
                    return event;
                }
                Ok(None) => {}
                Err(error) => {
                    self.stream = None;
                    self.not_before = Some(Instant::now() + self.pause);
                    self.pause = self.pause.saturating_mul(2).min(LONGEST_PAUSE);
                    if !std::mem::replace(&mut self.told, true) {
                        return WatchEvent::Lost(error);
                    }
                }
            }
        }
    }

    async fn step(&mut self) -> Result<Option<WatchEvent>, ClientError> {
        let Some(stream) = &mut self.stream else {
            if let Some(not_before) = self.not_before {
                tokio::time::sleep_until(not_before).await;
            }
            self.stream = Some(self.connect().await?);
            return Ok(None);
        };
        let foreign = |_| ClientError::Foreign {
            problem: "a stream that is not one of events",
        };
        if let Some(event) = stream.parser.next().map_err(foreign)? {
            return self.read(&event);
        }
        let frame = tokio::time::timeout(SILENCE, stream.body.frame()).await;
        let frame = frame.map_err(|_| ClientError::TimedOut {
            socket: self.socket.clone(),
        })?;
        match frame {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    stream.parser.push(data);
                }
                Ok(None)
            }
            Some(Err(source)) => Err(ClientError::Broken {
                socket: self.socket.clone(),
                source,
            }),
            None => Err(ClientError::Unreachable {
                socket: self.socket.clone(),
                source: std::io::ErrorKind::UnexpectedEof.into(),
            }),
        }
    }

    async fn connect(&self) -> Result<Stream, ClientError> {
        let get = Get {
            target: &self.target,
            accept: "text/event-stream",
            last_event: self.last,
        };
        connection::within(self.timeout, &self.socket, async {
            let mut connection = Connection::open(&self.socket).await?;
            let broken = |source| ClientError::Broken {
                socket: self.socket.clone(),
                source,
            };
            let response = connection.get(&get).await.map_err(broken)?;
            let status = response.status();
            if status != StatusCode::OK {
                return Err(refusal(status, response, &self.socket).await);
            }
            Ok(Stream {
                body: response.into_body(),
                parser: Parser::default(),
                _connection: connection,
            })
        })
        .await
    }

    fn read(&mut self, event: &Event) -> Result<Option<WatchEvent>, ClientError> {
        let foreign = |_| ClientError::Foreign {
            problem: "an event that cannot be read",
        };
        match event.name.as_str() {
            "revision" => {
                let revision: wire::RevisionEvent = serde_json::from_str(&event.data).map_err(foreign)?;
                self.last = Some(revision.revision);
                Ok(Some(WatchEvent::Revision(revision)))
            }
            "lagged" => {
                let lagged: wire::LaggedEvent = serde_json::from_str(&event.data).map_err(foreign)?;
                Ok(Some(WatchEvent::Lagged {
                    missed: lagged.missed,
                }))
            }
            // of a newer sidecar
            _ => Ok(None),
        }
    }
}
