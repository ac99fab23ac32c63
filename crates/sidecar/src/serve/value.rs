//! One opened entry: owns `secrets/`, `configs/` and `flags/`, the path every read takes that
//! must be fast.

use std::sync::Arc;

use hyper::header::{ETAG, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::Value;
use strongroom_core::config::{self, Format, Key};
use strongroom_core::id::Revision;
use strongroom_core::name::{EntryPath, EnvironmentName};
use strongroom_core::snapshot::{Entry, Snapshot};

use zeroize::Zeroizing;

use super::answer::{self, Refusal, VERSION};
use super::body::Body;
use super::heads::Heads;
use super::json::Wiped;
use super::route;
use super::service::Asked;
use crate::grant::Grant;
use crate::read::{self, Form};

const OCTETS: &str = "application/octet-stream";

/// Finds what is asked for, whatever it is: that is told only to those who may know of it.
pub(super) fn found<'a>(
    asked: &Asked<'_>,
    snapshot: &'a Snapshot,
    path: &str,
) -> Result<&'a Arc<Entry>, Refusal> {
    let path = route::decode(path)?;
    named(asked.environment, snapshot, &path)
}

/// The same by a path that is not coded.
pub(super) fn named<'a>(
    environment: &EnvironmentName,
    snapshot: &'a Snapshot,
    path: &str,
) -> Result<&'a Arc<Entry>, Refusal> {
    if let Some(entry) = snapshot.find(environment, path)? {
        return Ok(entry);
    }
    let path = EntryPath::new(path).map_err(|error| Refusal::bad(error.to_string()))?;
    Err(answer::no_entry(environment, path))
}

/// Answers with one entry of `snapshot`, as granted; of a document with `key` alone where there is one.
pub(super) fn answer(
    asked: &Asked<'_>,
    snapshot: &Snapshot,
    grant: Grant,
    key: Option<&Key>,
) -> Result<Response<Body>, Refusal> {
    let raw = wants_octets(asked.said.accept);
    let entry = grant.entry();
    let heads = asked.told.heads(asked.environment, snapshot, entry, raw);
    if is_known(asked.said.if_none_match, &heads.etag) {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        name(&mut response, heads, asked);
        return Ok(response);
    }
    let write = |entry: &Entry, bytes: &[u8]| -> Result<Wiped, Refusal> {
        let Some(key) = key else {
            return Ok(match raw {
                true => copied(bytes),
                false => described(asked, snapshot.revision(), entry, None, bytes),
            });
        };
        let value = found_in(entry, bytes, key)?;
        let text = Zeroizing::new(value.to_string());
        Ok(match (raw, &value) {
            (true, Value::String(text)) => copied(text.as_bytes()),
            (true, _) => copied(text.as_bytes()),
            (false, _) => described(asked, snapshot.revision(), entry, Some(key), text.as_bytes()),
        })
    };
    let body = read::open(grant, snapshot, asked.environment, Form::Whole, write)?;
    // only an injected flag can have nothing to deliver
    let body = body.unwrap_or_else(|| Ok(Wiped::default()))?;
    let content_type = if raw { answer::OCTETS } else { answer::JSON };
    let mut response = answer::ok(content_type, body.into_bytes());
    name(&mut response, heads, asked);
    Ok(response)
}

fn name(response: &mut Response<Body>, heads: Heads, asked: &Asked<'_>) {
    let headers = response.headers_mut();
    headers.insert(VERSION, heads.version);
    headers.insert(ETAG, heads.etag);
    answer::name_revision_as(response, heads.revision, asked.current);
}

/// What a document has under `key`.
fn found_in(entry: &Entry, document: &[u8], key: &Key) -> Result<Value, Refusal> {
    let document =
        config::layer(entry.format, document).map_err(|problem| Refusal::bad(problem.to_string()))?;
    let found = key.find(&document).cloned();
    found.ok_or_else(|| Refusal::not_found(format!("{:?} has no key `{key}`", entry.path)))
}

/// What the bytes are, then the bytes, in memory that is wiped. What stands under one key is JSON.
fn described(asked: &Asked<'_>, revision: Revision, entry: &Entry, key: Option<&Key>, bytes: &[u8]) -> Wiped {
    let names = asked
        .environment
        .as_str()
        .len()
        .saturating_add(entry.path.as_str().len());
    let mut out = Wiped::with_capacity(bytes.len().saturating_add(names).saturating_add(192));
    out.raw(b"{\"environment\":");
    out.name(asked.environment.as_str());
    out.raw(b",\"path\":");
    out.name(entry.path.as_str());
    out.raw(b",\"kind\":\"");
    out.raw(entry.kind.as_str().as_bytes());
    out.raw(b"\",\"version\":");
    out.number(u64::from(entry.version.0));
    out.raw(b",\"revision\":");
    out.number(revision.0);
    out.raw(b",\"format\":\"");
    let format = key.map_or(entry.format, |_| Format::Json);
    out.raw(format.as_str().as_bytes());
    if let Some(key) = key {
        out.raw(b"\",\"key\":");
        out.text(&key.to_string());
        out.raw(b",");
    } else {
        out.raw(b"\",");
    }
    out.value(bytes);
    out.raw(b"}");
    out
}

fn copied(bytes: &[u8]) -> Wiped {
    let mut out = Wiped::with_capacity(bytes.len());
    out.raw(bytes);
    out
}

/// True when the client named `etag`, or any, in `If-None-Match`.
fn is_known(named: Option<&HeaderValue>, etag: &HeaderValue) -> bool {
    let Some((Ok(named), Ok(etag))) = named.map(|named| (named.to_str(), etag.to_str())) else {
        return false;
    };
    named
        .split(',')
        .map(str::trim)
        .any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == etag)
}

/// True when the client accepts bytes and does not accept JSON by name.
fn wants_octets(accept: Option<&HeaderValue>) -> bool {
    let Some(accept) = accept.and_then(|accept| accept.to_str().ok()) else {
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
