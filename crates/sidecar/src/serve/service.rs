//! From request to answer: owns who is let in, and which handler answers. One per connection.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::body::{Body as _, Incoming};
use hyper::header::{CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderValue, ORIGIN};
use hyper::{Method, Request, Response, Version};
use strongroom_core::audit::Decision;
use strongroom_core::id::Revision;
use strongroom_core::name::EnvironmentName;
use strongroom_core::policy::Action;
use strongroom_core::snapshot::{Entry, ReadError, Snapshot};

use super::answer::{self, Refusal};
use super::body::{Body, Handover, Watching};
use super::feed::Feed;
use super::ring::View;
use super::route::{Query, Route};
use super::{host, list, openapi, status, value, whoami};
use crate::grant::{Asker, Grant, Question, Refused, Verdict, Waiting};
use crate::peer::Peer;
use crate::read;
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
    identity: Arc<Identity>,
}

/// How long a process is taken for the program that it was: that it lives is looked at each time.
const LOOK: Duration = Duration::from_secs(1);

/// Who asks on one connection.
#[derive(Debug)]
struct Identity {
    /// As the gate knows it, once that was found out.
    asker: OnceLock<Arc<Asker>>,
    accepted: Instant,
    /// Milliseconds from then to the last look at what it runs.
    looked: AtomicU64,
}

impl Identity {
    fn new() -> Self {
        Self {
            asker: OnceLock::new(),
            accepted: Instant::now(),
            looked: AtomicU64::new(0),
        }
    }

    fn elapsed(&self) -> u64 {
        u64::try_from(self.accepted.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn look(&self) {
        self.looked.store(self.elapsed(), Ordering::Relaxed);
    }

    fn is_due(&self) -> bool {
        let since = self.elapsed().saturating_sub(self.looked.load(Ordering::Relaxed));
        u128::from(since) > LOOK.as_millis()
    }
}

/// What every handler needs to know.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    pub(super) environment: &'a EnvironmentName,
    pub(super) current: &'a Current,
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
        let response = match self.answer(&request, &Known::default()) {
            Ok(Answered::Now(response)) => response,
            Ok(later) => return self.later(is_head, request, later),
            Err(refusal) => refusal.into_response(),
        };
        self.connection.touch();
        Reply::now(without_body(is_head, response))
    }
}

enum Answered {
    Now(Response<Body>),
    /// Who asks is the answer.
    Whoami,
    /// Who asks has to be found out first.
    Attest,
    /// That it still is who it was has to be looked at again.
    Recheck,
    /// A past revision has to be built first.
    Past(Revision),
    /// The decision is being recorded; what comes after it.
    Record(Waiting, Work),
}

/// What waiting has brought.
#[derive(Default)]
struct Known {
    asker: Option<Arc<Asker>>,
    snapshot: Option<Arc<Snapshot>>,
}

/// An answer that lacks only its grants, and the revision it is of.
struct Work {
    current: Arc<Current>,
    snapshot: Arc<Snapshot>,
    /// The one entry; everything that is granted when `None`.
    found: Option<value::Found>,
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
            identity: Arc::new(Identity::new()),
        }
    }

    fn answer(&self, request: &Request<Incoming>, known: &Known) -> Result<Answered, Refusal> {
        let current = self.state.current();
        self.admit(request, &self.state.rules())?;
        let uri = request.uri();
        let route = Route::of(uri.path()).ok_or_else(no_route)?;
        let query = route.query(uri.query())?;
        let asked = self.asked(&current, request);
        let answered = match route {
            Route::Status => status::status(&asked, &self.state)?,
            Route::OpenApi => openapi::document(),
            Route::Healthz => status::healthz(),
            Route::Readyz => status::readyz(&asked, &self.state)?,
            Route::Whoami => return Ok(Answered::Whoami),
            Route::Watch | Route::Entry(..) | Route::Entries | Route::Values => {
                let asker = known.asker.as_ref().or_else(|| self.identity.asker.get());
                let Some(asker) = asker else {
                    return Ok(Answered::Attest);
                };
                if self.identity.is_due() {
                    return Ok(Answered::Recheck);
                }
                self.still_there()?;
                if route == Route::Watch {
                    return Ok(Answered::Now(self.watch(&asked, request.version(), query, asker)));
                }
                return self.read(&asked, route, &query, asker, known);
            }
        };
        Ok(Answered::Now(answered))
    }

    fn asked<'a>(&'a self, current: &'a Current, request: &'a Request<Incoming>) -> Asked<'a> {
        Asked {
            environment: self.state.environment(),
            current,
            headers: request.headers(),
        }
    }

    /// Answers a route that reads a snapshot.
    fn read(
        &self,
        asked: &Asked<'_>,
        route: Route<'_>,
        query: &Query,
        asker: &Asker,
        known: &Known,
    ) -> Result<Answered, Refusal> {
        let current = asked.current;
        let snapshot = match (query.at, &known.snapshot) {
            (None, _) => &current.snapshot,
            (Some(at), _) if at == current.snapshot.revision() => &current.snapshot,
            (Some(at), Some(past)) if at == past.revision() => past,
            (Some(at), _) => return self.past(at, &current.snapshot),
        };
        let question = Question {
            request: Some(self.state.request()),
            ..self.state.question(current, asker, snapshot)
        };
        let gate = self.state.gate();
        let (verdict, found) = match route {
            Route::Entry(kind, path) => {
                let found = value::found(asked, snapshot, kind, path)?;
                let verdict = gate.ask(&question, Arc::clone(&found.entry));
                (
                    verdict.map_err(|error| hidden(error, &question, &found.entry))?,
                    Some(found),
                )
            }
            Route::Values => {
                let entries = list::matching(asked, snapshot, query)?.into_iter();
                let injected = entries.filter(|entry| read::is_injected(entry.kind));
                (gate.ask_all(&question, injected)?, None)
            }
            _ => {
                gate.note(
                    &question,
                    Action::Describe,
                    query.prefix.as_ref(),
                    Decision::Allow,
                );
                return list::entries(asked, snapshot, query, &question).map(Answered::Now);
            }
        };
        match verdict {
            Verdict::Granted(grants) => finish(asked, snapshot, found.as_ref(), grants).map(Answered::Now),
            Verdict::Waiting(waiting) => {
                let work = Work {
                    current: Arc::clone(&self.state.current()),
                    snapshot: Arc::clone(snapshot),
                    found,
                };
                Ok(Answered::Record(waiting, work))
            }
        }
    }

    fn past(&self, at: Revision, served: &Snapshot) -> Result<Answered, Refusal> {
        if at > served.revision() {
            let message = format!("revision {at} is not there yet; {} is served", served.revision());
            return Err(Refusal::not_found(message));
        }
        Ok(Answered::Past(at))
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

    fn watch(&self, asked: &Asked<'_>, version: Version, query: Query, asker: &Arc<Asker>) -> Response<Body> {
        let last = asked
            .headers
            .get("last-event-id")
            .and_then(|id| id.to_str().ok()?.trim().parse().ok());
        let question = Question {
            request: Some(self.state.request()),
            ..self.state.question(asked.current, asker, &asked.current.snapshot)
        };
        let gate = self.state.gate();
        gate.note(&question, Action::Watch, query.prefix.as_ref(), Decision::Allow);
        let view = View {
            prefix: query.prefix,
            asker: Arc::clone(asker),
        };
        let cursor = self.feed.watch(view, last);
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

    /// Answers after waiting for what is missing.
    fn later(&self, is_head: bool, request: Request<Incoming>, first: Answered) -> Reply {
        let service = self.clone();
        let in_progress = InProgress::new(&self.connection);
        Reply::Later(Box::pin(async move {
            let _in_progress = in_progress;
            let response = service.wait(&request, first).await;
            without_body(is_head, response.unwrap_or_else(Refusal::into_response))
        }))
    }

    async fn wait(&self, request: &Request<Incoming>, first: Answered) -> Result<Response<Body>, Refusal> {
        let mut known = Known::default();
        let mut answered = first;
        loop {
            match answered {
                Answered::Now(response) => return Ok(response),
                Answered::Whoami => return Ok(whoami::whoami(&self.peer).await),
                Answered::Attest => known.asker = Some(self.attest().await?),
                Answered::Recheck => {
                    self.peer.recheck().await?;
                    self.identity.look();
                }
                Answered::Past(revision) => {
                    let built = self.state.past.at(self.state.vault(), revision).await;
                    let built = built.ok_or_else(|| Refusal::unavailable("the sidecar is going down"))?;
                    known.snapshot = Some(built?);
                }
                Answered::Record(waiting, work) => {
                    let grants = waiting.granted().await.map_err(Refused::from)?;
                    self.still_there()?;
                    let asked = self.asked(&work.current, request);
                    return finish(&asked, &work.snapshot, work.found.as_ref(), grants);
                }
            }
            answered = self.answer(request, &known)?;
        }
    }

    /// The last look before a value is written.
    fn still_there(&self) -> Result<(), Refusal> {
        if self.peer.is_alive() {
            Ok(())
        } else {
            Err(Refusal::denied("the process that connected has ended"))
        }
    }

    /// Finds out who asks; remembered for the connection when nothing of it is missing.
    async fn attest(&self) -> Result<Arc<Asker>, Refusal> {
        let workload = self.peer.workload().await?;
        let asker = Asker::workload(&workload).map_err(|error| Refusal::internal(error.to_string()))?;
        let asker = Arc::new(asker);
        if self.peer.workload_now().is_some() {
            let _ = self.identity.asker.set(Arc::clone(&asker));
        }
        self.identity.look();
        Ok(asker)
    }
}

/// Answers with what was granted.
fn finish(
    asked: &Asked<'_>,
    snapshot: &Snapshot,
    found: Option<&value::Found>,
    grants: Vec<Grant>,
) -> Result<Response<Body>, Refusal> {
    let Some(found) = found else {
        return list::values(asked, snapshot, grants);
    };
    let grant = grants.into_iter().next();
    // the gate grants what it was asked for
    let grant = grant.ok_or_else(|| Refusal::internal("nothing was granted"))?;
    value::answer(asked, snapshot, found, grant)
}

/// Who may not even know of an entry is told what is told of one that is not there.
fn hidden(error: Refused, question: &Question<'_>, entry: &Entry) -> Refusal {
    match error {
        Refused::Denied {
            environment, path, ..
        } if !question.allows(Action::Describe, entry) => ReadError::NoEntry { environment, path }.into(),
        told => told.into(),
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
