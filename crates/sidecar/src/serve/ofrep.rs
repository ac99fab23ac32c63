//! The OpenFeature Remote Evaluation Protocol, 0.3.0: owns its requests and answers. What a flag is is evaluated
//! elsewhere. <https://github.com/open-feature/protocol>

use std::borrow::Cow;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH};
use hyper::{Request, Response, StatusCode};
use serde::Serialize;
use serde_json::{Map, Value};
use strongroom_core::flag::{Code, Context, Evaluation, Failure};
use strongroom_core::id::Hash;

use super::answer::{self, Refusal};
use super::body::Body;
use super::evaluate::Evaluator;
use super::later::Known;
use super::reply::Reply;
use super::route::{Query, Route, decode};
use super::selector::Selector;
use super::service::Service;
use crate::worker::InProgress;

/// Where clients learn that they are to evaluate anew.
pub(super) const EVENTS: &str = "/ofrep/v1/events";

/// A client that hears nothing for so many seconds connects again.
const INACTIVITY: u32 = 120;

/// One flag for one caller. The members that clients insist on are there even when they say nothing.
#[derive(Serialize)]
struct Success<'a> {
    key: &'a str,
    reason: &'static str,
    variant: &'a str,
    /// Without it the caller's own default holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a Value>,
    metadata: &'a Map<String, Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Failed<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    error_code: &'a str,
    error_details: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a Map<String, Value>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum One<'a> {
    Success(Success<'a>),
    Failed(Failed<'a>),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct All<'a> {
    flags: Vec<One<'a>>,
    metadata: &'a Map<String, Value>,
    event_streams: [EventStream; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EventStream {
    r#type: &'static str,
    endpoint: Endpoint,
    inactivity_delay_sec: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Endpoint {
    request_uri: &'static str,
}

impl<'a> One<'a> {
    fn of(key: &'a str, result: Result<Evaluation<'a>, Failure<'a>>) -> Self {
        match result {
            Ok(evaluation) => Self::Success(Success {
                key,
                reason: evaluation.reason.as_str(),
                variant: evaluation.chosen.map_or("", |chosen| chosen.variant),
                value: evaluation.chosen.map(|chosen| chosen.value),
                metadata: evaluation.metadata,
            }),
            Err(failure) => Self::Failed(Failed {
                key: Some(key),
                error_code: failure.code.as_str(),
                error_details: failure.detail,
                metadata: Some(failure.metadata),
            }),
        }
    }
}

impl Service {
    /// Answers `POST /ofrep/v1/evaluate/flags`, with a key or without.
    pub(super) fn evaluation(&self, request: Request<Incoming>, known: Known) -> Reply {
        let service = self.clone();
        Reply::Later(Box::pin(async move {
            let seen = known.seen;
            let path = request.uri().path().to_owned();
            let route = Route::of(&path).unwrap_or(Route::Evaluations);
            let answered = service.evaluated(request, route, &known).await;
            let response = answered.unwrap_or_else(|refusal| {
                let key = key_of(route).and_then(Result::ok);
                refused(refusal, key.as_deref())
            });
            service.connection.touch();
            service.finished(seen, response)
        }))
    }

    async fn evaluated(
        &self,
        request: Request<Incoming>,
        route: Route<'_>,
        known: &Known,
    ) -> Result<Response<Body>, Refusal> {
        let (head, body) = request.into_parts();
        let body = self.taken_in(&head, body, known, usize::MAX).await?;
        // one that does not decode is refused once it is known who asks
        let key = key_of(route).transpose()?;
        let query = route.query(head.uri.query())?;
        let _in_progress = InProgress::new(&self.connection);
        // a context takes many times its bytes: nothing is waited for with one in hand
        let evaluator = self.evaluator(&head.uri, known).await?;
        let mut response = match key {
            Some(key) => one(&evaluator, &key, &body).await?,
            None => all(&evaluator, &body, &head.headers, &query).await?,
        };
        let current = &evaluator.current;
        answer::name_revision(&mut response, current.snapshot.revision(), current);
        Ok(response)
    }
}

/// The key of the flag that a route is about, if it is about one.
fn key_of(route: Route<'_>) -> Option<Result<Cow<'_, str>, Refusal>> {
    match route {
        Route::Evaluate(key) => Some(decode(key)),
        _ => None,
    }
}

/// The context in a body, which may be empty.
fn context(body: &[u8]) -> Result<Context, &'static str> {
    if body.is_empty() {
        return Ok(Context::new());
    }
    let body: Value = serde_json::from_slice(body).map_err(|_| "the body is not JSON")?;
    let Value::Object(mut body) = body else {
        return Err("the body is not a JSON object");
    };
    match body.remove("context") {
        None | Some(Value::Null) => Ok(Context::new()),
        Some(Value::Object(context)) => Ok(context),
        Some(_) => Err("the context is not an object"),
    }
}

async fn one(evaluator: &Evaluator<'_>, key: &str, body: &[u8]) -> Result<Response<Body>, Refusal> {
    let is_permitted = evaluator.permits(key).await?;
    let context = match context(body) {
        Ok(context) => context,
        Err(details) => return Ok(invalid(Some(key), details)),
    };
    let result = if is_permitted {
        evaluator.evaluate(key, &context)
    } else {
        Err(Failure::not_found())
    };
    let status = match result {
        Ok(_) => StatusCode::OK,
        Err(failure) if failure.code == Code::FlagNotFound => StatusCode::NOT_FOUND,
        Err(_) => StatusCode::BAD_REQUEST,
    };
    let mut response = answer::json(&One::of(key, result));
    *response.status_mut() = status;
    Ok(response)
}

async fn all(
    evaluator: &Evaluator<'_>,
    body: &[u8],
    headers: &HeaderMap,
    query: &Query,
) -> Result<Response<Body>, Refusal> {
    let selector = Selector::of(headers)?;
    let entries = evaluator.permitted(&selector).await?;
    let context = match context(body) {
        Ok(context) => context,
        Err(details) => return Ok(invalid(None, details)),
    };
    let results = evaluator.evaluate_all(&entries, &context).await;
    let results = results.into_iter().map(|(key, result)| One::of(key, result));
    let all = All {
        flags: results.collect(),
        metadata: selector.metadata(),
        event_streams: [EventStream {
            r#type: "sse",
            endpoint: Endpoint { request_uri: EVENTS },
            inactivity_delay_sec: INACTIVITY,
        }],
    };
    let body = serde_json::to_vec(&all).map_err(|_| Refusal::internal("the answer could not be written"))?;
    // of the answer and not of the flags: another context has another one
    let tag = Hash::of(&body).to_string();
    let is_current = query.etag.as_deref().is_none_or(|etag| bare(etag) == tag);
    let is_known = is_current && names(headers, &tag);
    let mut response = match is_known {
        true => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            response
        }
        false => answer::ok(answer::JSON, Bytes::from(body)),
    };
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{tag}\"")) {
        response.headers_mut().insert(ETAG, tag);
    }
    Ok(response)
}

/// Whether a client says that it has `tag`; some send it without quotes.
fn names(headers: &HeaderMap, tag: &str) -> bool {
    let named = headers.get_all(IF_NONE_MATCH).iter();
    let named = named.filter_map(|named| named.to_str().ok());
    let mut named = named.flat_map(|named| named.split(','));
    named.any(|one| one.trim() == "*" || bare(one) == tag)
}

/// An etag without what may stand around it.
fn bare(etag: &str) -> &str {
    let etag = etag.trim();
    etag.strip_prefix("W/").unwrap_or(etag).trim_matches('"')
}

fn invalid(key: Option<&str>, details: &'static str) -> Response<Body> {
    failed(StatusCode::BAD_REQUEST, key, "INVALID_CONTEXT", details)
}

fn failed(status: StatusCode, key: Option<&str>, code: &str, details: &str) -> Response<Body> {
    let mut response = answer::json(&Failed {
        key,
        error_code: code,
        error_details: details,
        metadata: None,
    });
    *response.status_mut() = status;
    response
}

/// A refusal as clients of this protocol read it.
fn refused(refusal: Refusal, key: Option<&str>) -> Response<Body> {
    failed(refusal.status(), key, Code::General.as_str(), refusal.message())
}
