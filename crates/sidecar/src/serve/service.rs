//! From request to answer: owns who is let in, and which handler answers. One per connection.

use std::convert::Infallible;
use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use hyper::body::{Body as _, Incoming};
use hyper::header::{CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, Uri, Version};
use serde_json::Value;
use strongroom_core::audit::{Decision, Name, Record, RequestId, Subject};
use strongroom_core::id::Revision;
use strongroom_core::kind::Kind;
use strongroom_core::name::{EntryPath, EnvironmentName};
use strongroom_core::policy::Action;
use strongroom_core::snapshot::{Entry, Label, ReadError, Snapshot};
use strongroom_core::workload::{Kernel, Workload};

use super::answer::{self, Refusal};
use super::body::{Body, Handover, Watching};
use super::feed::Feed;
use super::heads::Told;
use super::identity::{Identity, Standing};
use super::later::{Answered, Known, Recording, Seen, Wanted};
use super::reply::Reply;
use super::ring::{Form, View};
use super::route::{Query, Route};
use super::rpc::Rpc;
use super::said::Said;
use super::taken::Taken;
use super::{list, metrics, openapi, status, value};
use crate::asker::Asker;
use crate::caller::Caller;
use crate::grant::{Question, Refused, Verdict};
use crate::read;
use crate::state::{Current, Rules, State};
use crate::tally::Tally;
use crate::worker::{Connection, InProgress};

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
        let then = query.at.filter(|at| *at != current.snapshot.revision());
        let then = match (then, &known.then) {
            (None, _) => None,
            (Some(at), Some(then)) if at == then.snapshot.revision() => Some(then),
            (Some(at), _) => return self.past(at, &current.snapshot),
        };
        let snapshot = then.map_or(&current.snapshot, |then| &then.snapshot);
        let decisions = then.map(|then| then.decisions(current.decisions.policies()));
        let mut question = Question {
            request: Some(known.seen.request),
            ..self.state.question(current, asker, snapshot)
        };
        if let Some(decisions) = &decisions {
            question.decisions = decisions;
            question.today = Some(current);
        }
        // what was, and what is not current, is nobody's uptake
        let is_taken =
            then.is_none() && !known.seen.is_head && query.label.is_none_or(|label| label == Label::Current);
        let gate = self.state.gate();
        let wanted = match route {
            Route::Entry(kind, path) => {
                let mut entry = value::found(asked, snapshot, path)?;
                if entry.kind != kind {
                    return Err(self.mistaken(&question, entry, kind));
                }
                let labelled;
                if let Some(label) = query.label {
                    labelled = self.labelled(&question, snapshot, entry, label)?;
                    entry = &labelled;
                }
                let item = read::item(&question, snapshot, entry)?;
                let verdict = gate.ask(&question, item);
                match verdict.map_err(|error| hidden(error, &question, entry))? {
                    Verdict::Granted(grant) => {
                        let part = query.part.as_ref();
                        return self
                            .one(asked, snapshot, grant, part, is_taken)
                            .map(Answered::Now);
                    }
                    Verdict::Waiting(waiting) => Wanted::One(waiting),
                }
            }
            Route::Values => {
                let entries = list::matching(asked, snapshot, query)?;
                let items = read::listable(&question, snapshot, &entries);
                match gate.ask_all(&question, items)? {
                    Verdict::Granted(grants) => {
                        return self.values(asked, snapshot, grants, is_taken).map(Answered::Now);
                    }
                    Verdict::Waiting(waiting) => Wanted::Many(waiting),
                }
            }
            _ => {
                gate.note(&question, Action::Describe, query.prefix.as_ref());
                return list::entries(asked, snapshot, query, &question).map(Answered::Now);
            }
        };
        Ok(Answered::Record(Recording {
            current: Arc::clone(current),
            snapshot: Arc::clone(snapshot),
            wanted,
            part: query.part.clone(),
            is_taken,
        }))
    }

    /// The version of an entry that a label points at; that there is none is told to those who may
    /// know of the entry.
    fn labelled(
        &self,
        question: &Question<'_>,
        snapshot: &Snapshot,
        entry: &Entry,
        label: Label,
    ) -> Result<Arc<Entry>, Refusal> {
        let found = snapshot.labelled_entry(&entry.environment, &entry.path, label);
        found.map_err(|error| {
            if question.allows(Action::Describe, entry) {
                error.into()
            } else {
                hidden(self.state.gate().refuse(question, entry), question, entry)
            }
        })
    }

    /// What is told when an entry is asked for as something else.
    fn mistaken(&self, question: &Question<'_>, entry: &Entry, wanted: Kind) -> Refusal {
        if !question.allows(Action::Describe, entry) {
            return hidden(self.state.gate().refuse(question, entry), question, entry);
        }
        let error = ReadError::Kind {
            environment: question.environment.clone(),
            path: entry.path.clone(),
            found: entry.kind,
            wanted,
        };
        error.into()
    }

    fn past(&self, at: Revision, served: &Snapshot) -> Result<Answered, Refusal> {
        if at > served.revision() {
            let message = format!("revision {at} is not there yet; {} is served", served.revision());
            return Err(Refusal::not_found(message));
        }
        Ok(Answered::Past(at))
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

    /// A stream of events for `asker`, which is not handed over.
    pub(super) fn follow(&self, known: &Known, asker: &Arc<Asker>, form: Form) -> Box<Watching> {
        self.note_watch(&self.state.current(), asker, known.seen.request, None);
        let view = View {
            prefix: None,
            asker: Arc::clone(asker),
            form,
        };
        let cursor = self.feed.watch(view, None);
        let in_progress = InProgress::new(&self.connection);
        Box::new(Watching::new(cursor, None, Arc::clone(&self.state), in_progress))
    }

    fn note_watch(&self, current: &Current, asker: &Asker, request: RequestId, prefix: Option<&EntryPath>) {
        let question = Question {
            request: Some(request),
            ..self.state.question(current, asker, &current.snapshot)
        };
        self.state.gate().note(&question, Action::Watch, prefix);
    }

    fn watch(
        &self,
        asked: &Asked<'_>,
        version: Version,
        query: Query,
        form: Form,
        asker: &Arc<Asker>,
        request: RequestId,
    ) -> Response<Body> {
        let last = asked
            .headers
            .get("last-event-id")
            .and_then(|id| id.to_str().ok()?.trim().parse().ok());
        self.note_watch(asked.current, asker, request, query.prefix.as_ref());
        let view = View {
            prefix: query.prefix,
            asker: Arc::clone(asker),
            form,
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
        answer::name_revision(&mut response, asked.current.snapshot.revision(), asked.current);
        response
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
