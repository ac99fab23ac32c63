//! One opened entry: owns `secrets/`, `configs/` and `flags/`, the path every read takes that
//! must be fast.

use std::sync::Arc;

use hyper::header::{ETAG, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::Value;
use strongroom_core::config::{self, Delivered, Format, Key};
use strongroom_core::id::Revision;
use strongroom_core::name::{EntryPath, EnvironmentName};
use strongroom_core::secret::Secret;
use strongroom_core::snapshot::{Entry, Snapshot};

use super::answer::{self, Refusal, VERSION};
use super::body::Body;
use super::heads::Heads;
use super::json::Wiped;
use super::route::{self, Part};
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

/// Answers with one entry of `snapshot`, as granted; of a document `part` alone where that is wanted.
pub(super) fn answer(
    asked: &Asked<'_>,
    snapshot: &Snapshot,
    grant: Grant,
    part: Option<&Part>,
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
        let Some(part) = part else {
            return Ok(match raw {
                true => copied(bytes),
                false => described(asked, snapshot.revision(), entry, None, bytes),
            });
        };
        let extract = Extract::of(entry, bytes, part, raw)?;
        extract.text.expose(|bytes| {
            Ok(match raw {
                true => copied(bytes),
                false => described(asked, snapshot.revision(), entry, Some(&extract), bytes),
            })
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

/// A part of a document, or the whole in another format.
struct Extract<'a> {
    key: Option<&'a Key>,
    format: Format,
    text: Secret,
}

impl<'a> Extract<'a> {
    /// A text under one key is bare where nothing says what it is.
    fn of(entry: &Entry, document: &[u8], part: &'a Part, raw: bool) -> Result<Self, Refusal> {
        let document = config::delivered(entry.format, document);
        let document = document.map_err(|problem| Refusal::bad(problem.to_string()))?;
        let (key, format, text) = match part {
            Part::Key(key) => {
                let found = key.find(&document);
                let found = found
                    .ok_or_else(|| Refusal::not_found(format!("{:?} has no key `{key}`", entry.path)))?;
                let text = match found {
                    Value::String(text) if raw => text.clone(),
                    other => other.to_string(),
                };
                (Some(key), Format::Json, Secret::new(text.into_bytes()))
            }
            Part::As(delivered) => {
                let text = config::deliver(*delivered, &document);
                let text = text.map_err(|error| Refusal::bad(format!("{:?}: {error}", entry.path)))?;
                let format = match delivered {
                    Delivered::Toml => Format::Toml,
                    _ => Format::Json,
                };
                (None, format, text)
            }
        };
        Ok(Self { key, format, text })
    }
}

/// What the bytes are, then the bytes, in memory that is wiped; `extract` where they are not the whole.
fn described(
    asked: &Asked<'_>,
    revision: Revision,
    entry: &Entry,
    extract: Option<&Extract<'_>>,
    bytes: &[u8],
) -> Wiped {
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
    let format = extract.map_or(entry.format, |extract| extract.format);
    out.raw(format.as_str().as_bytes());
    if let Some(key) = extract.and_then(|extract| extract.key) {
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
