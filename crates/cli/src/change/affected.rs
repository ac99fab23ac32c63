//! Whom a change concerns, as sidecars report it: owns finding consumers of what would change, and saying
//! what they do then. It must not know how reports come about.

use std::fmt::Write as _;

use serde::Serialize;
use strongroom_core::kind::Kind;
use strongroom_core::name::EntryPath;
use strongroom_core::snapshot::{Snapshot, governed_by};
use strongroom_core::uptake::{Consumer, ConsumerKind, Presence, Reaction};
use strongroom_core::vault::Planned;

use crate::open::Opened;
use crate::output::{FAINT, harmless};

/// Most consumers that a plan lists.
const MAX_LISTED: usize = 20;

/// A consumer and what of a change it uses.
#[derive(Debug, Serialize)]
pub(crate) struct Affected {
    consumer: String,
    kind: &'static str,
    host: String,
    environment: String,
    does: &'static str,
    paths: Vec<String>,
}

/// What a consumer does when a value that it uses is another one.
pub(crate) fn does(consumer: &Consumer) -> &'static str {
    match (consumer.kind, consumer.reaction) {
        (ConsumerKind::Sidecar, _) => "serves it",
        (ConsumerKind::Socket, _) => "reads it, and confirms where it ever did",
        (ConsumerKind::Files, Reaction::Nothing) => "switches",
        (ConsumerKind::Files, Reaction::Signal) => "switches, and a process is signalled",
        (ConsumerKind::Files, Reaction::Command) => "switches, and a program runs",
        (ConsumerKind::Files, _) => "switches, and its `on_change` follows",
        (ConsumerKind::Process, Reaction::Nothing) => "keeps what it was started with",
        (ConsumerKind::Process, Reaction::Signal) => "is signalled",
        (ConsumerKind::Process, Reaction::Command) => "goes on, and a program runs",
        (ConsumerKind::Process, Reaction::Restart) => "is started again",
        (ConsumerKind::Process, Reaction::Unknown) => "is told by its `on_change`",
    }
}

/// Who uses what would change; `None` where reports cannot be read.
pub(super) fn affected(opened: &Opened, planned: &[Planned]) -> Option<Vec<Affected>> {
    let changes = planned.iter().any(|planned| !planned.unchanged);
    if !changes {
        return Some(Vec::new());
    }
    let uptake = opened.vault.uptake().ok()?;
    let snapshot = opened.vault.snapshot();
    let consumers = uptake.reported.iter().map(|reported| &reported.consumer);
    let present =
        consumers.filter(|one| one.presence == Presence::Present && one.kind != ConsumerKind::Sidecar);
    let found = present.filter_map(|consumer| {
        let paths = used(&snapshot, planned, consumer);
        (!paths.is_empty()).then(|| Affected {
            consumer: consumer.name.clone(),
            kind: consumer.kind.as_str(),
            host: consumer.host.clone(),
            environment: consumer.environment.to_string(),
            does: does(consumer),
            paths: paths.iter().map(ToString::to_string).collect(),
        })
    });
    Some(found.collect())
}

/// What of a plan a consumer uses, as it sees it now.
fn used(snapshot: &Snapshot, planned: &[Planned], consumer: &Consumer) -> Vec<EntryPath> {
    let layers = snapshot.layers(&consumer.environment).unwrap_or_default();
    let mut paths: Vec<EntryPath> = Vec::new();
    for planned in planned.iter().filter(|planned| !planned.unchanged) {
        let change = &planned.change;
        let is_seen = match change.kind {
            Kind::Secret => change.environment == consumer.environment,
            _ => layers.contains(&change.environment),
        };
        let path = governed_by(change.kind, &change.path).unwrap_or_else(|| change.path.clone());
        let entry = snapshot.entry(&consumer.environment, &path);
        let uses = entry.is_ok_and(|entry| consumer.of(entry.id).is_some());
        if is_seen && uses && !paths.contains(&path) {
            paths.push(path);
        }
    }
    paths
}

/// The same as lines of a plan.
pub(super) fn lines(affected: Option<&[Affected]>) -> String {
    let mut text = String::new();
    let Some(affected) = affected else {
        return format!("{FAINT}Who uses it is not known: reports cannot be read.{FAINT:#}\n");
    };
    if affected.is_empty() {
        return text;
    }
    text.push_str("Sidecars report that these use it:\n");
    for one in affected.iter().take(MAX_LISTED) {
        let Affected {
            consumer,
            kind,
            host,
            does,
            paths,
            ..
        } = one;
        let line = format!("{kind} {consumer} at {host} {does}");
        let _ = writeln!(
            text,
            "  {}  {FAINT}{}{FAINT:#}",
            harmless(&line),
            paths.join(", ")
        );
    }
    if affected.len() > MAX_LISTED {
        let _ = writeln!(text, "  and {} more", affected.len() - MAX_LISTED);
    }
    text
}
