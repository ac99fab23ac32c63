//! From request to answer: owns who is let in, and which handler answers. One per connection.

use std::convert::Infallible;
use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use hyper::body::{Body as _, Incoming};
use hyper::header::{CONTENT_LENGTH, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, Uri};
use serde_json::Value;
use strongroom_core::audit::{Decision, Name, Record, RequestId, Subject};
use strongroom_core::name::EnvironmentName;
use strongroom_core::policy::Action;
use strongroom_core::snapshot::Entry;
use strongroom_core::workload::{Kernel, Workload};

use super::answer::{self, Refusal};
use super::body::{Body, Handover};
use super::feed::Feed;
use super::heads::Told;
use super::identity::{Identity, Standing};
use super::later::{Answered, Known, Seen};
use super::reply::Reply;
use super::ring::Form;
use super::route::Route;
use super::rpc::Rpc;
use super::said::Said;
use super::taken::Taken;
use super::{metrics, openapi, status};
use crate::caller::Caller;
use crate::grant::{Question, Refused};
use crate::state::{Current, Rules, State};
use crate::tally::Tally;
use crate::worker::Connection;

/// Answers the requests of one connection.
#[derive(Clone, Debug)]
pub struct Service {
    /// What is served.
    pub state: Arc<State>,
    /// Where its worker's watchers get their events.
    pub feed: Arc<Feed>,
    /// Where its worker counts.
    pub tally: Arc<Tally>,
    /// Who asks.
    pub caller: Caller,
    /// Its connection.
    pub connection: Arc<Connection>,
    /// What reads the frames of flagd's protocols.
    pub(super) rpc: Rpc,
    pub(super) handover: Arc<Handover>,
    pub(super) own: Arc<Own>,
}

/// What belongs to one connection.
#[derive(Debug, Default)]
pub(super) struct Own {
    pub(super) identity: Identity,
    /// Who it is, for rules of flags.
    pub(super) described: OnceLock<Arc<Value>>,
    pub(super) taken: Taken,
    numbers: Numbers,
    told: Told,
}

/// The numbers of a connection's next requests: taken many at a time, since counting all requests
/// in one place is slow from several threads.
#[derive(Debug, Default)]
struct Numbers(Mutex<Range<u64>>);

impl Numbers {
    fn next(&self, state: &State) -> RequestId {
        let mut numbers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let next = numbers.next().or_else(|| {
            *numbers = state.requests();
            numbers.next()
        });
        RequestId(next.unwrap_or_default())
    }
}

/// What every handler needs to know.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    pub(super) environment: &'a EnvironmentName,
    pub(super) current: &'a Arc<Current>,
    pub(super) headers: &'a HeaderMap,
    pub(super) said: Said<'a>,
    pub(super) told: &'a Told,
}

impl hyper::service::Service<Request<Incoming>> for Service {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Reply;

    fn call(&self, request: Request<Incoming>) -> Reply {
        let seen = Seen {
            request: self.own.numbers.next(&self.state),
            is_head: request.method() == Method::HEAD,
            place: Route::place(request.uri().path()),
        };
        match &self.caller {
            Caller::Process(_) => self.reply(request, seen),
            Caller::Guest(guest) => self.visited(guest, request, seen),
        }
    }
}

impl Service {
    /// Answers a request that is let in.
    pub(super) fn reply(&self, request: Request<Incoming>, seen: Seen) -> Reply {
        let known = Known::of(seen);
        if request.method() == Method::POST {
            match Route::of(request.uri().path()) {
                Some(Route::Confirm) => return self.confirm(request, known),
                Some(Route::Evaluate(_) | Route::Evaluations) => return self.evaluation(request, known),
                Some(Route::Rpc) => return self.call_rpc(request, known),
                _ => {}
            }
        }
        let response = match self.answer(&request, &known) {
            Ok(Answered::Now(response)) => response,
            Ok(later) => return self.later(request, known, later),
            Err(refusal) => refusal.into_response(),
        };
        self.connection.touch();
        Reply::now(self.finished(seen, response))
    }

    /// Answers `caller` on `connection`.
    #[must_use]
    pub fn new(
        state: Arc<State>,
        feed: Arc<Feed>,
        tally: Arc<Tally>,
        caller: Caller,
        connection: Arc<Connection>,
        rpc: Rpc,
    ) -> Self {
        Self {
            state,
            feed,
            tally,
            caller,
            connection,
            rpc,
            handover: Arc::default(),
            own: Arc::default(),
        }
    }

    /// Forgets what only makes the next answer quicker.
    pub(crate) fn rest(&self) {
        self.own.told.forget();
    }

    pub(super) fn answer(&self, request: &Request<Incoming>, known: &Known) -> Result<Answered, Refusal> {
        let current = self.state.current();
        let rules = self.state.rules();
        let uri = request.uri();
        self.let_in(uri, known, &rules)?;
        let said = Said::of(uri, request.headers());
        admit(said, request.body(), &rules)?;
        if request.method() != Method::GET && request.method() != Method::HEAD {
            return Err(Refusal::method());
        }
        let route = Route::of(uri.path()).ok_or_else(no_route)?;
        let query = route.query(uri.query())?;
        let asked = self.asked(&current, request, said);
        let answered = match route {
            Route::Status => status::status(&asked, &self.state)?,
            Route::OpenApi => openapi::document(),
            Route::Healthz => status::healthz(),
            Route::Readyz => status::readyz(&asked, &self.state)?,
            Route::Whoami => return Ok(Answered::Whoami),
            Route::Confirm | Route::Evaluate(_) | Route::Evaluations | Route::Rpc => {
                return Err(Refusal::only_post());
            }
            Route::Metrics
            | Route::FlagEvents
            | Route::Watch
            | Route::Entry(..)
            | Route::Entries
            | Route::Values => {
                let asker = known.asker.as_ref().or_else(|| self.own.identity.asker());
                let Some(asker) = asker else {
                    return Ok(Answered::Attest);
                };
                match self.own.identity.standing(&self.caller) {
                    Standing::Holds => {}
                    Standing::Due => return Ok(Answered::Recheck),
                    Standing::Ended => return Err(ended()),
                }
                if route == Route::Metrics {
                    let question = self.state.question(&current, asker, &current.snapshot);
                    return metrics::metrics(&asked, &self.state, &question).map(Answered::Now);
                }
                if matches!(route, Route::Watch | Route::FlagEvents) {
                    let form = match route {
                        Route::Watch => Form::Changes,
                        _ => Form::Refetch,
                    };
                    return Ok(Answered::Now(self.watch(
                        &asked,
                        request.version(),
                        query,
                        form,
                        asker,
                        known.seen.request,
                    )));
                }
                return self.read(&asked, route, &query, asker, known);
            }
        };
        Ok(Answered::Now(answered))
    }

    /// Whether its user may ask at all.
    pub(super) fn let_in(&self, uri: &Uri, known: &Known, rules: &Rules) -> Result<(), Refusal> {
        // guests have no uid; what they may ask is decided before
        let Some(uid) = self.caller.uid().filter(|uid| !rules.allows(*uid)) else {
            return Ok(());
        };
        self.stranger(uri, known, "its uid may not use this sidecar");
        Err(Refusal::denied(format!(
            "uid {uid} may not use this sidecar: add it to socket.allow_uids in its settings"
        )))
    }

    pub(super) fn asked<'a>(
        &'a self,
        current: &'a Arc<Current>,
        request: &'a Request<Incoming>,
        said: Said<'a>,
    ) -> Asked<'a> {
        Asked {
            environment: self.state.environment(),
            current,
            headers: request.headers(),
            said,
            told: &self.own.told,
        }
    }

    /// The answer as it is sent.
    pub(super) fn finished(&self, seen: Seen, mut response: Response<Body>) -> Response<Body> {
        self.tally.answered(seen.place, response.status().as_u16());
        if self.state.gate().sink().is_some() {
            answer::name_request(&mut response, seen.request);
        }
        without_body(seen.is_head, response)
    }

    /// Records that somebody asks who is not let in.
    pub(super) fn stranger(&self, uri: &Uri, known: &Known, reason: &'static str) {
        let route = Route::of(uri.path());
        let action = route.map_or(Action::Describe, Route::action);
        let subject = match &self.caller {
            Caller::Process(peer) => Subject::workload(&Workload {
                kernel: Kernel::at_socket(peer.uid, peer.gid, peer.pid),
                engine: None,
            }),
            Caller::Guest(guest) => guest.asker().subject().clone(),
        };
        let path = route.and_then(Route::path);
        self.state.gate().stranger(&Record {
            revision: self.state.current().snapshot.revision(),
            subject: &subject,
            action: action.as_str(),
            entry: None,
            name: Some(Name {
                environment: self.state.environment(),
                path: path.as_ref(),
            }),
            decision: Decision::Deny,
            reason: Some(reason),
            policies: &[],
            request: Some(known.seen.request),
        });
    }
}

/// What holds for every request.
pub(super) fn admit(said: Said<'_>, body: &Incoming, rules: &Rules) -> Result<(), Refusal> {
    if said.is_of_page {
        return Err(Refusal::denied(
            "requests of web pages (with an Origin header) are not answered",
        ));
    }
    if said.is_elsewhere {
        return Err(Refusal::denied(
            "requests for other hosts are not answered: a client of this socket names `localhost`",
        ));
    }
    if body.size_hint().lower() > rules.limits.body_bytes {
        let most = rules.limits.body_bytes;
        return Err(Refusal::too_large(format!(
            "a request's body has at most {most} bytes"
        )));
    }
    Ok(())
}

pub(super) fn ended() -> Refusal {
    Refusal::denied("the process that connected has ended")
}

/// Who may not even know of an entry is told what is told of one that is not there.
pub(super) fn hidden(error: Refused, question: &Question<'_>, entry: &Entry) -> Refusal {
    match error {
        Refused::Denied {
            environment, path, ..
        } if !question.allows(Action::Describe, entry) => answer::no_entry(&environment, path),
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
