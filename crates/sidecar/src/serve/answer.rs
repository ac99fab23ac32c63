//! Answers: owns headers, status codes and the body of a failure. It must not read snapshots.

use std::borrow::Cow;

use bytes::Bytes;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use strongroom_core::api::header;
use strongroom_core::api::wire::{Code, Failure, FailureDetail};
use strongroom_core::audit::RequestId;
use strongroom_core::id::Revision;
use strongroom_core::name::{EntryPath, EnvironmentName};
use strongroom_core::snapshot::ReadError;
use strongroom_core::vault::{Break, OpenError};

use super::body::Body;
use super::text::Text;
use crate::grant::Refused;
use crate::past::PastError;
use crate::peer::NotAttested;
use crate::read::Unread;
use crate::state::Current;

pub(super) const REQUEST: HeaderName = HeaderName::from_static(header::REQUEST);
pub(super) const REVISION: HeaderName = HeaderName::from_static(header::REVISION);
pub(super) const VERSION: HeaderName = HeaderName::from_static(header::VERSION);
pub(super) const STALE_SINCE: HeaderName = HeaderName::from_static(header::STALE_SINCE);

pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");
pub(super) const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");
pub(super) const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");
pub(super) const CLOSE: HeaderValue = HeaderValue::from_static("close");
/// As many as an answer has, so that the map need not grow.
const HEADERS: usize = 8;
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// An answer with a body.
pub(super) fn ok(content_type: HeaderValue, body: impl Into<Body>) -> Response<Body> {
    let mut headers = HeaderMap::with_capacity(HEADERS);
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(CACHE_CONTROL, NO_STORE);
    let mut response = Response::new(body.into());
    *response.headers_mut() = headers;
    response
}

/// An answer with a body of JSON that holds no plaintext.
pub(super) fn json(body: &impl serde::Serialize) -> Response<Body> {
    match serde_json::to_vec(body) {
        Ok(bytes) => ok(JSON, Bytes::from(bytes)),
        Err(_) => Refusal::internal("the answer could not be written").into_response(),
    }
}

/// Says which request it was, as the audit log has it.
pub(super) fn name_request(response: &mut Response<Body>, request: RequestId) {
    let mut text = Text::default();
    text.push_hex(request.0);
    response.headers_mut().insert(REQUEST, text.header());
}

/// Names the revision an answer is of, and since when the store is out of reach.
pub(super) fn name_revision(response: &mut Response<Body>, revision: Revision, current: &Current) {
    // not one value that all answers share: counting its users takes longer, from several threads
    name_revision_as(response, Text::number(revision.0).header(), current);
}

/// The same, with the header made already.
pub(super) fn name_revision_as(response: &mut Response<Body>, revision: HeaderValue, current: &Current) {
    let headers = response.headers_mut();
    headers.insert(REVISION, revision);
    if let Some(stale) = &current.stale_header {
        headers.insert(STALE_SINCE, stale.clone());
    }
}

/// Nothing of that name is there, or nothing that may be known of.
pub(super) fn no_entry(environment: &EnvironmentName, path: EntryPath) -> Refusal {
    let environment = environment.clone();
    ReadError::NoEntry { environment, path }.into()
}

/// Why a request is not answered as asked.
#[derive(Clone, Debug)]
pub struct Refusal {
    status: StatusCode,
    code: Code,
    message: Cow<'static, str>,
    /// The methods that are answered, where it was another one.
    allow: Option<&'static str>,
}

impl Refusal {
    fn new(status: StatusCode, code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        let message = message.into();
        Self {
            status,
            code,
            message,
            allow: None,
        }
    }

    pub(super) fn bad(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, Code::BadRequest, message)
    }

    pub(super) fn method() -> Self {
        let message = "only GET and HEAD are answered here";
        Self {
            allow: Some("GET, HEAD"),
            ..Self::new(StatusCode::METHOD_NOT_ALLOWED, Code::BadRequest, message)
        }
    }

    pub(super) fn only_post() -> Self {
        let message = "what is asked here is sent with POST";
        Self {
            allow: Some("POST"),
            ..Self::new(StatusCode::METHOD_NOT_ALLOWED, Code::BadRequest, message)
        }
    }

    pub(super) fn not_found(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, Code::NotFound, message)
    }

    pub(super) fn denied(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::FORBIDDEN, Code::Denied, message)
    }

    pub(super) fn too_large(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, Code::TooLarge, message)
    }

    pub(super) fn unavailable(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable, message)
    }

    pub(super) fn internal(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, Code::Internal, message)
    }

    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    pub(super) fn message(&self) -> &str {
        &self.message
    }

    pub(super) fn into_response(self) -> Response<Body> {
        let Self {
            status,
            code,
            message,
            allow,
        } = self;
        let failure = Failure {
            error: FailureDetail {
                code,
                message: message.into_owned(),
            },
        };
        // plain text and numbers: writing them into memory cannot fail
        let body = serde_json::to_vec(&failure).unwrap_or_default();
        let mut response = ok(JSON, Bytes::from(body));
        *response.status_mut() = status;
        if let Some(allow) = allow {
            let allow = HeaderValue::from_static(allow);
            response.headers_mut().insert(ALLOW, allow);
        }
        response
    }
}

impl From<ReadError> for Refusal {
    fn from(error: ReadError) -> Self {
        let message = error.to_string();
        match error {
            ReadError::NoEnvironment { .. }
            | ReadError::NoEntry { .. }
            | ReadError::NoLabel { .. }
            | ReadError::Kind { .. } => Self::not_found(message),
            ReadError::Damaged { .. }
            | ReadError::Rotation { .. }
            | ReadError::Document { .. }
            | ReadError::NoSecret { .. } => Self::internal(message),
        }
    }
}

impl From<Unread> for Refusal {
    fn from(error: Unread) -> Self {
        match error {
            Unread::Read(error) => error.into(),
            Unread::Refused(error) => error.into(),
            Unread::Flag { .. } => Self::internal(error.to_string()),
        }
    }
}

/// Why it is not known who asks.
impl From<NotAttested> for Refusal {
    fn from(error: NotAttested) -> Self {
        let message = error.to_string();
        match error {
            NotAttested::Lost(_) => Self::denied(message),
            NotAttested::NoEngine | NotAttested::Slow | NotAttested::Stopped => Self::unavailable(message),
        }
    }
}

impl From<Refused> for Refusal {
    fn from(error: Refused) -> Self {
        let message = error.to_string();
        match error {
            Refused::Denied { .. } => Self::denied(message),
            Refused::Unrecorded(_) => Self::unavailable(message),
        }
    }
}

impl From<PastError> for Refusal {
    fn from(error: PastError) -> Self {
        match error {
            PastError::Open(error) => error.into(),
            PastError::Busy | PastError::Stopped => Self::unavailable(error.to_string()),
        }
    }
}

/// Why a past revision cannot be read.
impl From<OpenError> for Refusal {
    fn from(error: OpenError) -> Self {
        let message = error.to_string();
        match error {
            OpenError::Integrity(error) if error.what == Break::MissingCommit => {
                Self::new(StatusCode::GONE, Code::Gone, message)
            }
            OpenError::Store(_) | OpenError::Empty { .. } => Self::unavailable(message),
            OpenError::NotMember => Self::new(StatusCode::FORBIDDEN, Code::Denied, message),
            OpenError::Integrity(_) => Self::internal(message),
        }
    }
}
