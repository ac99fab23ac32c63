//! Lists: owns `entries` (what there is) and `values` (all of it, as injected).

use std::sync::Arc;

use hyper::Response;
use strongroom_core::api::wire::{EntryList, EntrySummary};
use strongroom_core::policy::Action;
use strongroom_core::snapshot::{Entry, ReadError, Snapshot};

use super::answer::{self, Refusal};
use super::body::Body;
use super::json::Wiped;
use super::route::Query;
use super::service::Asked;
use crate::grant::{Grant, Question};
use crate::read::{self, Form, Unread};

/// The entries that are asked for.
pub(super) fn matching(
    asked: &Asked<'_>,
    snapshot: &Snapshot,
    query: &Query,
) -> Result<Vec<Arc<Entry>>, Refusal> {
    let mut entries = snapshot.entries(asked.environment, query.prefix.as_ref())?;
    entries.retain(|entry| query.kind.is_none_or(|kind| entry.kind == kind));
    Ok(entries)
}

/// Answers with descriptions of what may be described.
pub(super) fn entries(
    asked: &Asked<'_>,
    snapshot: &Snapshot,
    query: &Query,
    question: &Question<'_>,
) -> Result<Response<Body>, Refusal> {
    let summaries = matching(asked, snapshot, query)?
        .into_iter()
        .filter(|entry| question.allows(Action::Describe, entry))
        .map(|entry| EntrySummary {
            path: entry.path.as_str().to_owned(),
            kind: entry.kind.into(),
            version: entry.version.0,
            revision: entry.revision.0,
            format: entry.format.into(),
            labels: entry.labels.clone(),
            compartment: entry.compartment.as_str().to_owned(),
            size: entry.size as u64,
        });
    let mut response = answer::json(&EntryList {
        environment: asked.environment.as_str().to_owned(),
        revision: snapshot.revision().0,
        entries: summaries.collect(),
    });
    answer::name_revision(&mut response, snapshot.revision(), asked.current);
    Ok(response)
}

/// Answers with every value that was granted, in memory that is wiped.
pub(super) fn values(
    asked: &Asked<'_>,
    snapshot: &Snapshot,
    grants: Vec<Grant>,
) -> Result<Response<Body>, Refusal> {
    let entries = grants.iter().map(Grant::entry);
    let sizes: usize = entries.map(|entry| entry.size.saturating_add(160)).sum();
    let mut out = Wiped::with_capacity(sizes.saturating_add(256));
    out.raw(b"{\"environment\":");
    out.name(asked.environment.as_str());
    out.raw(b",\"revision\":");
    out.number(snapshot.revision().0);
    out.raw(b",\"stale_since\":");
    match &asked.current.stale_since {
        Some(since) => out.text(since),
        None => out.raw(b"null"),
    }
    out.raw(b",\"values\":[");
    let mut separator: &[u8] = b"";
    for grant in grants {
        let written = read::open(
            grant,
            snapshot,
            asked.environment,
            Form::Injected,
            |entry, bytes| {
                out.raw(separator);
                value(&mut out, entry, bytes);
            },
        );
        let written = match written {
            // One document that cannot be delivered does not keep all others away.
            Err(Unread::Read(error @ (ReadError::NoSecret { .. } | ReadError::Document { .. }))) => {
                tracing::debug!(%error, "left out of a list");
                continue;
            }
            written => written?,
        };
        if written.is_some() {
            separator = b",";
        }
    }
    out.raw(b"]}");
    let mut response = answer::ok(answer::JSON, out.into_bytes());
    answer::name_revision(&mut response, snapshot.revision(), asked.current);
    Ok(response)
}

fn value(out: &mut Wiped, entry: &Entry, bytes: &[u8]) {
    out.raw(b"{\"path\":");
    out.name(entry.path.as_str());
    out.raw(b",\"kind\":\"");
    out.raw(entry.kind.as_str().as_bytes());
    out.raw(b"\",\"version\":");
    out.number(u64::from(entry.version.0));
    out.raw(b",\"format\":\"");
    out.raw(entry.format.as_str().as_bytes());
    out.raw(b"\",");
    out.value(bytes);
    out.raw(b"}");
}
