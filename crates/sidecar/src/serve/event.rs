//! Server-sent events: owns how a step, a resume and a lag are written. It must not know who
//! gets them.

use bytes::Bytes;
use strongroom_core::api::wire::{self, LaggedEvent, RevisionEvent};
use strongroom_core::name::EntryPath;

use super::feed::Update;

/// A comment, which every client ignores; it shows both ends that the other is there.
pub(super) const KEEP_ALIVE: Bytes = Bytes::from_static(b": keep-alive\n\n");

/// A step, with the changes under `prefix`.
pub(super) fn step(update: &Update, prefix: Option<&EntryPath>) -> Bytes {
    let Some(changes) = &update.changes else {
        return resync(update.revision);
    };
    let changes = changes
        .iter()
        .filter(|change| prefix.is_none_or(|prefix| change.path.is_under(prefix)));
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
            })
            .collect(),
    })
}

/// The first event of a watcher that has seen everything.
pub(super) fn unchanged(at: u64) -> Bytes {
    revision(&RevisionEvent {
        revision: at,
        from: Some(at),
        resync: false,
        changes: Vec::new(),
    })
}

/// The first event of a watcher of whom nothing is known.
pub(super) fn resync(at: u64) -> Bytes {
    revision(&RevisionEvent {
        revision: at,
        from: None,
        resync: true,
        changes: Vec::new(),
    })
}

/// What a watcher is told that was too slow for `missed` events, now that `at` is served.
pub(super) fn lagged(missed: u64, at: u64) -> Bytes {
    let mut out = b"event: lagged\n".to_vec();
    data(&mut out, &LaggedEvent { missed });
    out.extend_from_slice(&resync(at));
    Bytes::from(out)
}

fn revision(event: &RevisionEvent) -> Bytes {
    let mut out = format!("event: revision\nid: {}\n", event.revision).into_bytes();
    data(&mut out, event);
    Bytes::from(out)
}

/// JSON has no raw line breaks, so it is always one `data` line.
fn data(out: &mut Vec<u8>, data: &impl serde::Serialize) {
    out.extend_from_slice(b"data: ");
    // these types are plain text and numbers: writing them into memory cannot fail
    let _ = serde_json::to_writer(&mut *out, data);
    out.extend_from_slice(b"\n\n");
}
