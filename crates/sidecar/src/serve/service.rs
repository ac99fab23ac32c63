//! From request to answer: owns who is let in, and which handler answers. One per connection.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::body::{Body as _, Incoming};
use hyper::header::{CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderValue, ORIGIN};
use hyper::{Method, Request, Response, Version};
use strongroom_core::id::Revision;
use strongroom_core::name::EnvironmentName;
use strongroom_core::snapshot::Snapshot;

use super::answer::{self, Refusal};
use super::body::{Body, Handover, Watching};
use super::feed::Feed;
use super::route::{Query, Route};
use super::{host, list, openapi, status, value, whoami};
use crate::peer::Peer;
use crate::state::{Current, Rules, State};
use crate::worker::{Connection, InProgress};

/// Answers the requests of one connection.
#[derive(Clone, Debug)]
pub struct Service {
    /// What is served.
    pub state: Arc<State>,
    /// Where its worker's watchers get their events.
    pub feed: Arc<Feed>,
    /// Who asks.
    pub peer: Peer,
    /// Its connection.
    pub connection: Arc<Connection>,
    pub(super) handover: Arc<Handover>,
}

/// What every handler needs to know.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    pub(super) environment: &'a EnvironmentName,
    pub(super) current: &'a Current,
    pub(super) peer: &'a Peer,
    pub(super) headers: &'a HeaderMap,
}

impl Asked<'_> {
    /// The revision of `snapshot`, made once for the current one.
    pub(super) fn revision_header(&self, snapshot: &Snapshot) -> HeaderValue {
        if std::ptr::eq(snapshot, &raw const *self.current.snapshot) {
            self.current.revision_header.clone()
        } else {
            HeaderValue::from(snapshot.revision().0)
        }
    }
}

impl hyper::service::Service<Request<Incoming>> for Service {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Reply;

    fn call(&self, request: Request<Incoming>) -> Reply {
        let is_head = request.method() == Method::HEAD;
        match self.answer(&request) {
            Ok(Answered::Now(response)) => {
                self.connection.touch();
                Reply::now(without_body(is_head, response))
            }
            Ok(Answered::Later(answer)) => {
                Reply::Later(Box::pin(async move { without_body(is_head, answer.await) }))
            }
            Ok(Answered::At(revision, query)) => self.later(is_head, request, revision, query),
            Err(refusal) => {
                self.connection.touch();
                Reply::now(without_body(is_head, refusal.into_response()))
            }
        }
    }
}

enum Answered {
    Now(Response<Body>),
    Later(Pin<Box<dyn Future<Output = Response<Body>> + Send>>),
    /// A past revision has to be built first.
    At(Revision, Query),
}

impl Service {
    /// Answers `peer` on `connection`.
    #[must_use]
    pub fn new(state: Arc<State>, feed: Arc<Feed>, peer: Peer, connection: Arc<Connection>) -> Self {
        Self {
            state,
            feed,
            peer,
            connection,
            handover: Arc::default(),
        }
    }

    fn answer(&self, request: &Request<Incoming>) -> Result<Answered, Refusal> {
        let current = self.state.current();
        self.admit(request, &self.state.rules())?;
        let uri = request.uri();
        let route = Route::of(uri.path()).ok_or_else(no_route)?;
        let query = route.query(uri.query())?;
        let asked = Asked {
            environment: self.state.environment(),
            current: &current,
            peer: &self.peer,
            headers: request.headers(),
        };
        let snapshot = &*current.snapshot;
        if let Some(revision) = query.at.filter(|revision| *revision != snapshot.revision()) {
            if revision > snapshot.revision() {
                let message = format!(
                    "revision {revision} is not there yet; {} is served",
                    snapshot.revision()
                );
                return Err(Refusal::not_found(message));
            }
            return Ok(Answered::At(revision, query));
        }
        match route {
            Route::Status => status::status(&asked, &self.state),
            Route::Whoami => return Ok(Answered::Later(whoami::whoami(&self.peer, &self.connection))),
            Route::Watch => Ok(self.watch(&asked, request.version(), query)),
            Route::OpenApi => Ok(openapi::document()),
            Route::Healthz => Ok(status::healthz()),
            Route::Readyz => status::readyz(&asked, &self.state),
            Route::Entry(..) | Route::Entries | Route::Values => read(&asked, snapshot, route, &query),
        }
        .map(Answered::Now)
    }

    /// What holds for every request.
    fn admit(&self, request: &Request<Incoming>, rules: &Rules) -> Result<(), Refusal> {
        if !rules.allows(self.peer.uid) {
            let uid = self.peer.uid;
            return Err(Refusal::denied(format!(
                "uid {uid} may not use this sidecar: add it to socket.allow_uids in its settings"
            )));
        }
        if request.headers().contains_key(ORIGIN) {
            return Err(Refusal::denied(
                "requests of web pages (with an Origin header) are not answered",
            ));
        }
        if !host::is_known(request) {
            return Err(Refusal::denied(
                "requests for other hosts are not answered: a client of this socket names `localhost`",
            ));
        }
        if request.method() != Method::GET && request.method() != Method::HEAD {
            return Err(Refusal::method());
        }
        if request.body().size_hint().lower() > rules.limits.body_bytes {
            let most = rules.limits.body_bytes;
            return Err(Refusal::too_large(format!(
                "a request's body has at most {most} bytes"
            )));
        }
        Ok(())
    }

    fn watch(&self, asked: &Asked<'_>, version: Version, query: Query) -> Response<Body> {
        let last = asked
            .headers
            .get("last-event-id")
            .and_then(|id| id.to_str().ok()?.trim().parse().ok());
        let cursor = self.feed.watch(query.prefix, last);
        let in_progress = InProgress::new(&self.connection);
        // only there the connection belongs to one request, and events come in chunks
        let is_alone = version == Version::HTTP_11;
        let handover = is_alone.then(|| Arc::clone(&self.handover));
        let watching = Watching::new(cursor, handover, Arc::clone(&self.state), in_progress);
        let mut response = answer::ok(answer::EVENTS, Body::Watch(Some(Box::new(watching))));
        if is_alone {
            // it ends with the stream
            response.headers_mut().insert(CONNECTION, answer::CLOSE);
        }
        answer::name_revision(
            &mut response,
            asked.current.revision_header.clone(),
            asked.current,
        );
        response
    }

    /// Answers from a past revision.
    fn later(&self, is_head: bool, request: Request<Incoming>, revision: Revision, query: Query) -> Reply {
        let service = self.clone();
        let in_progress = InProgress::new(&self.connection);
        Reply::Later(Box::pin(async move {
            let _in_progress = in_progress;
            let snapshot = match service.state.past.at(service.state.vault(), revision).await {
                Some(Ok(snapshot)) => snapshot,
                Some(Err(error)) => return without_body(is_head, Refusal::from(error).into_response()),
                None => {
                    return without_body(
                        is_head,
                        Refusal::unavailable("the sidecar is going down").into_response(),
                    );
                }
            };
            let current = service.state.current();
            let asked = Asked {
                environment: service.state.environment(),
                current: &current,
                peer: &service.peer,
                headers: request.headers(),
            };
            let answered = match Route::of(request.uri().path()) {
                Some(route) => read(&asked, &snapshot, route, &query),
                None => Err(no_route()),
            };
            without_body(is_head, answered.unwrap_or_else(Refusal::into_response))
        }))
    }
}

/// Answers a route that reads a snapshot.
fn read(
    asked: &Asked<'_>,
    snapshot: &Snapshot,
    route: Route<'_>,
    query: &Query,
) -> Result<Response<Body>, Refusal> {
    match route {
        Route::Entry(kind, path) => value::entry(asked, snapshot, kind, path),
        Route::Entries => list::entries(asked, snapshot, query),
        Route::Values => list::values(asked, snapshot, query),
        Route::Status | Route::Whoami | Route::Watch | Route::OpenApi | Route::Healthz | Route::Readyz => {
            Err(no_route())
        }
    }
}

fn no_route() -> Refusal {
    Refusal::not_found("there is no such route: GET /api/v1/openapi.json lists them")
}

/// An answer to HEAD has the headers of the answer to GET, and no body.
fn without_body(is_head: bool, mut response: Response<Body>) -> Response<Body> {
    if is_head {
        if let Some(length) = response.body().size_hint().exact() {
            response
                .headers_mut()
                .insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        *response.body_mut() = Body::empty();
    }
    response
}

/// An answer, now or later.
pub enum Reply {
    /// At hand; taken once.
    Now(Option<Response<Body>>),
    /// Being made.
    Later(Pin<Box<dyn Future<Output = Response<Body>> + Send>>),
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reply")
    }
}

impl Reply {
    fn now(response: Response<Body>) -> Self {
        Self::Now(Some(response))
    }
}

impl Future for Reply {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Self::Now(response) => match response.take() {
                Some(response) => Poll::Ready(Ok(response)),
                None => Poll::Pending,
            },
            Self::Later(answer) => answer.as_mut().poll(context).map(Ok),
        }
    }
}
