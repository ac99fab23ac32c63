//! Server-sent events: owns how a step, a resume and a lag are written. It must not know who
//! gets them.

use bytes::Bytes;
use strongroom_core::api::wire::{self, LaggedEvent, RevisionEvent};

use super::ring::Update;
use crate::change::Change;

/// A comment, which every client ignores; it shows both ends that the other is there.
pub(super) const KEEP_ALIVE: Event = Event {
    chunk: Bytes::from_static(b"e\r\n: keep-alive\n\n\r\n"),
    start: 3,
};

/// One event, inside the chunk that HTTP/1.1 sends it in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    chunk: Bytes,
    /// Where the event begins in it.
    start: usize,
}

impl Event {
    fn new(text: &[u8]) -> Self {
        let mut chunk = format!("{:x}\r\n", text.len()).into_bytes();
        let start = chunk.len();
        chunk.extend_from_slice(text);
        chunk.extend_from_slice(b"\r\n");
        Self {
            chunk: Bytes::from(chunk),
            start,
        }
    }

    /// What is left of a chunk of which some was sent.
    pub(super) fn rest(chunk: Bytes) -> Self {
        Self { chunk, start: 0 }
    }

    /// Whether it only shows that the other end is there.
    pub(super) fn is_sign_of_life(&self) -> bool {
        *self == KEEP_ALIVE
    }

    /// The event as a chunk of HTTP/1.1.
    #[must_use]
    pub fn into_chunk(self) -> Bytes {
        self.chunk
    }

    /// The event alone.
    #[must_use]
    pub fn into_text(self) -> Bytes {
        let end = self.chunk.len().saturating_sub(2);
        self.chunk.slice(self.start..end)
    }
}

/// A step, with the changes that `sees` holds for, and the keys of those that `reads` holds for.
pub(super) fn step(
    update: &Update,
    sees: impl Fn(&Change) -> bool,
    reads: impl Fn(&Change) -> bool,
) -> Event {
    let Some(changes) = &update.changes else {
        return resync(update.revision);
    };
    let changes = changes.iter().filter(|change| sees(change));
    revision(&RevisionEvent {
        revision: update.revision,
        from: Some(update.from),
        resync: false,
        changes: changes
            .map(|change| wire::Change {
                path: change.path.as_str().to_owned(),
                kind: change.kind.into(),
                action: change.action.into(),
                version: change.version,
                keys: match &change.keys {
                    Some(keys) if reads(change) => Some(keys.iter().map(ToString::to_string).collect()),
                    _ => None,
                },
            })
            .collect(),
    })
}

/// That flags are to be evaluated anew, as the OpenFeature Remote Evaluation Protocol has it.
pub(super) fn refetch(at: u64) -> Event {
    Event::new(format!("id: {at}\nevent: message\ndata: {{\"type\":\"refetchEvaluation\"}}\n\n").as_bytes())
}

/// The first event of a watcher that has seen everything.
pub(super) fn unchanged(at: u64) -> Event {
    revision(&RevisionEvent {
        revision: at,
        from: Some(at),
        resync: false,
        changes: Vec::new(),
    })
}

/// The first event of a watcher of whom nothing is known.
pub(super) fn resync(at: u64) -> Event {
    let mut out = Vec::new();
    write_resync(&mut out, at);
    Event::new(&out)
}

/// What a watcher is told that was too slow for `missed` events, now that `at` is served.
pub(super) fn lagged(missed: u64, at: u64) -> Event {
    let mut out = b"event: lagged\n".to_vec();
    data(&mut out, &LaggedEvent { missed });
    write_resync(&mut out, at);
    Event::new(&out)
}

fn write_resync(out: &mut Vec<u8>, at: u64) {
    let event = RevisionEvent {
        revision: at,
        from: None,
        resync: true,
        changes: Vec::new(),
    };
    write_revision(out, &event);
}

fn revision(event: &RevisionEvent) -> Event {
    let mut out = Vec::new();
    write_revision(&mut out, event);
    Event::new(&out)
}

fn write_revision(out: &mut Vec<u8>, event: &RevisionEvent) {
    out.extend_from_slice(format!("event: revision\nid: {}\n", event.revision).as_bytes());
    data(out, event);
}

/// JSON has no raw line breaks, so it is always one `data` line.
fn data(out: &mut Vec<u8>, data: &impl serde::Serialize) {
    out.extend_from_slice(b"data: ");
    // these types are plain text and numbers: writing them into memory cannot fail
    let _ = serde_json::to_writer(&mut *out, data);
    out.extend_from_slice(b"\n\n");
}
