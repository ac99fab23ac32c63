//! One opened entry: owns `secrets/`, `configs/` and `flags/`, the path every read takes that
//! must be fast.

use std::fmt::Write as _;
use std::sync::Arc;

use hyper::header::{ACCEPT, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH};
use hyper::{Response, StatusCode};
use strongroom_core::config::Format;
use strongroom_core::id::Revision;
use strongroom_core::kind::Kind;
use strongroom_core::name::EntryPath;
use strongroom_core::snapshot::{Entry, Snapshot};

use super::answer::{self, Refusal, VERSION};
use super::body::Body;
use super::json::Wiped;
use super::route;
use super::service::Asked;
use crate::change;
use crate::grant::Grant;
use crate::read::{self, Form};

const OCTETS: &str = "application/octet-stream";

/// One entry that was asked for, before anyone decided about it.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) entry: Arc<Entry>,
    raw: bool,
}

/// Finds what is asked for, whatever it is: that is told only to those who may know of it.
pub(super) fn found(asked: &Asked<'_>, snapshot: &Snapshot, path: &str) -> Result<Found, Refusal> {
    let path = EntryPath::new(&route::decode(path)?).map_err(|error| Refusal::bad(error.to_string()))?;
    Ok(Found {
        entry: snapshot.entry(asked.environment, &path)?,
        raw: wants_octets(asked.headers),
    })
}

/// Answers with one entry of `snapshot`, as granted.
pub(super) fn answer(
    asked: &Asked<'_>,
    snapshot: &Snapshot,
    found: &Found,
    grant: Grant,
) -> Result<Response<Body>, Refusal> {
    let Found { entry, raw } = found;
    let etag = etag(asked, snapshot, entry, *raw);
    let revision = asked.revision_header(snapshot);
    if is_known(asked.headers, &etag) {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        name(&mut response, entry, etag, revision, asked);
        return Ok(response);
    }
    let body = read::open(grant, snapshot, asked.environment, Form::Whole, |bytes| {
        if *raw {
            copied(bytes)
        } else {
            described(asked, snapshot.revision(), entry, bytes)
        }
    })?;
    // only an injected flag can have nothing to deliver
    let body = body.unwrap_or_default();
    let content_type = if *raw { answer::OCTETS } else { answer::JSON };
    let mut response = answer::ok(content_type, body.into_bytes());
    name(&mut response, entry, etag, revision, asked);
    Ok(response)
}

fn name(
    response: &mut Response<Body>,
    entry: &Entry,
    etag: HeaderValue,
    revision: HeaderValue,
    asked: &Asked<'_>,
) {
    let headers = response.headers_mut();
    headers.insert(VERSION, HeaderValue::from(entry.version.0));
    headers.insert(ETAG, etag);
    answer::name_revision(response, revision, asked.current);
}

/// What the bytes are, then the bytes, in memory that is wiped.
fn described(asked: &Asked<'_>, revision: Revision, entry: &Entry, bytes: &[u8]) -> Wiped {
    let names = asked
        .environment
        .as_str()
        .len()
        .saturating_add(entry.path.as_str().len());
    let mut out = Wiped::with_capacity(bytes.len().saturating_add(names).saturating_add(192));
    out.raw(b"{\"environment\":");
    out.text(asked.environment.as_str());
    out.raw(b",\"path\":");
    out.text(entry.path.as_str());
    out.raw(b",\"kind\":\"");
    out.raw(entry.kind.as_str().as_bytes());
    out.raw(b"\",\"version\":");
    out.number(u64::from(entry.version.0));
    out.raw(b",\"revision\":");
    out.number(revision.0);
    out.raw(b",\"format\":\"");
    out.raw(entry.format.as_str().as_bytes());
    out.raw(b"\",");
    out.value(bytes);
    out.raw(b"}");
    out
}

fn copied(bytes: &[u8]) -> Wiped {
    let mut out = Wiped::with_capacity(bytes.len());
    out.raw(bytes);
    out
}

/// The revisions of the version and, where a document is merged, of every layer; then the form,
/// because JSON and bytes are two representations.
fn etag(asked: &Asked<'_>, snapshot: &Snapshot, entry: &Entry, raw: bool) -> HeaderValue {
    let mut out = format!("\"{}", entry.revision.0);
    if entry.kind == Kind::Config && entry.format != Format::Text {
        let layers = change::layer_revisions(snapshot, asked.environment, &entry.path);
        // the nearest is the entry itself; a farther one may be of the same revision, and counts
        for layer in layers.into_iter().skip(1) {
            let _ = write!(out, ".{layer}");
        }
    }
    out.push_str(if raw { "r\"" } else { "j\"" });
    // digits, dots and quotes are legal in a header
    HeaderValue::from_str(&out).unwrap_or(HeaderValue::from_static("\"\""))
}

/// True when the client named `etag`, or any, in `If-None-Match`.
fn is_known(headers: &HeaderMap, etag: &HeaderValue) -> bool {
    let Some(named) = headers.get(IF_NONE_MATCH) else {
        return false;
    };
    let (Ok(named), Ok(etag)) = (named.to_str(), etag.to_str()) else {
        return false;
    };
    named
        .split(',')
        .map(str::trim)
        .any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == etag)
}

/// True when the client accepts bytes and does not accept JSON by name.
pub(super) fn wants_octets(headers: &HeaderMap) -> bool {
    let Some(accept) = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()) else {
        return false;
    };
    // nearly every client accepts anything, in fewer bytes than the type has
    if accept.len() < OCTETS.len() {
        return false;
    }
    let names = |wanted: &str| {
        let mut ranges = accept.split(',').filter_map(|range| range.split(';').next());
        ranges.any(|range| range.trim().eq_ignore_ascii_case(wanted))
    };
    names(OCTETS) && !names("application/json")
}
