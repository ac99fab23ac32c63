//! flagd's protocols, over gRPC, gRPC-Web and Connect: owns handing requests to whoever reads their frames, and who
//! asks to the handlers. <https://github.com/open-feature/flagd-schemas>

mod convert;
mod discreet;
mod evaluation;
mod events;
mod sync;

use std::sync::Arc;

use connectrpc::{
    ConnectError, ConnectRpcBody, ConnectRpcService, ErrorCode, Limits, RequestContext, Router,
};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::http::request::Parts;
use hyper::{Request, StatusCode, Uri};
use strongroom_core::flag::{Code, Failure};
use tower_service::Service as _;

use discreet::Discreet;

use super::answer::Refusal;
use super::body::Body;
use super::evaluate::Evaluator;
use super::later::Known;
use super::reply::Reply;
use super::service::Service;
use crate::worker::InProgress;

/// Messages and services, made of `proto/`.
#[allow(
    clippy::all,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    missing_docs,
    rust_2018_idioms,
    unreachable_pub,
    reason = "made by a program"
)]
pub(super) mod protocols {
    include!(concat!(env!("OUT_DIR"), "/protocols.rs"));
}

/// What the parts of one message may take in memory: many small ones take many times their bytes.
const MOST_PARTS: usize = 1024 * 1024;

/// Headers by which a client says how long it waits: it knows by itself when that is over, and workers have no timers.
const TIMEOUTS: [&str; 2] = ["grpc-timeout", "connect-timeout-ms"];

/// What reads and writes the frames: one for each worker.
#[derive(Clone)]
pub struct Rpc(Arc<ConnectRpcService<Discreet>>);

impl std::fmt::Debug for Rpc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Rpc")
    }
}

impl Default for Rpc {
    fn default() -> Self {
        let router = evaluation::routes(sync::routes(Router::new()));
        // how long a body may be is looked at before
        let limits = Limits::unlimited().with_element_memory_limit(MOST_PARTS);
        Self(Arc::new(
            ConnectRpcService::new(Discreet(router)).with_limits(limits),
        ))
    }
}

/// Who asks, for handlers.
struct Caller {
    service: Service,
    known: Known,
    uri: Uri,
}

impl Caller {
    /// The one of a request.
    fn of(context: &RequestContext) -> Result<Arc<Self>, ConnectError> {
        let caller = context.extensions().get::<Arc<Self>>();
        caller
            .map(Arc::clone)
            .ok_or_else(|| ConnectError::internal("it is not known who asks"))
    }

    async fn evaluator(&self) -> Result<Evaluator<'_>, ConnectError> {
        self.service
            .evaluator(&self.uri, &self.known)
            .await
            .map_err(refused)
    }
}

impl Service {
    /// Answers one of flagd's calls.
    pub(super) fn call_rpc(&self, request: Request<Incoming>, known: Known) -> Reply {
        let service = self.clone();
        Reply::Later(Box::pin(async move {
            let seen = known.seen;
            let (mut head, body) = request.into_parts();
            let response = match service.called(&head, body, &known).await {
                Ok(body) => {
                    let _in_progress = InProgress::new(&service.connection);
                    let mut rpc = ConnectRpcService::clone(&service.rpc.0);
                    let caller = Caller {
                        uri: head.uri.clone(),
                        service: service.clone(),
                        known,
                    };
                    head.extensions.insert(Arc::new(caller));
                    for timeout in TIMEOUTS {
                        head.headers.remove(timeout);
                    }
                    let Ok(answered) = rpc.call(Request::from_parts(head, Full::new(body))).await;
                    answered
                }
                Err(refusal) => refused(refusal).into_http_response(&head.headers),
            };
            service.connection.touch();
            service.finished(seen, response.map(Body::from))
        }))
    }

    /// The body of a call, once it is known who makes it: what is in it may take many times its bytes.
    async fn called(&self, head: &Parts, body: Incoming, known: &Known) -> Result<Bytes, Refusal> {
        let body = self.taken_in(head, body, known, usize::MAX).await?;
        let _in_progress = InProgress::new(&self.connection);
        self.attested(&head.uri, known).await?;
        Ok(body)
    }
}

fn code_of(refusal: &Refusal) -> ErrorCode {
    match refusal.status() {
        StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE => ErrorCode::InvalidArgument,
        StatusCode::FORBIDDEN => ErrorCode::PermissionDenied,
        StatusCode::NOT_FOUND => ErrorCode::NotFound,
        StatusCode::SERVICE_UNAVAILABLE => ErrorCode::Unavailable,
        _ => ErrorCode::Internal,
    }
}

#[allow(clippy::needless_pass_by_value, reason = "what map_err takes")]
fn refused(refusal: Refusal) -> ConnectError {
    ConnectError::new(code_of(&refusal), refusal.message())
}

/// The end of a stream that its client is to ask for again. Node's provider does so at an error only.
fn stopped() -> ConnectError {
    ConnectError::new(ErrorCode::Unavailable, "the stream has ended: ask for it again")
}

/// A failure as flagd tells it, but for [`Code::General`]: clients ask again and again at `unknown`.
fn failed(failure: &Failure<'_>) -> ConnectError {
    let code = match failure.code {
        Code::FlagNotFound => ErrorCode::NotFound,
        Code::Parse => ErrorCode::DataLoss,
        Code::TypeMismatch => ErrorCode::InvalidArgument,
        Code::General => ErrorCode::Internal,
    };
    ConnectError::new(code, failure.to_string())
}

impl From<ConnectRpcBody> for Body {
    fn from(body: ConnectRpcBody) -> Self {
        match body {
            // whose length is known
            ConnectRpcBody::Full(whole) => Self::from(whole.into_inner().unwrap_or_default()),
            body => Self::Rpc(Box::pin(body)),
        }
    }
}
