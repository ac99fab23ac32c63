//! Answers that wait: owns what a request can wait for, and going on after it. What is at hand is
//! answered without it.

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::{Request, Response, Uri};
use strongroom_core::audit::RequestId;
use strongroom_core::id::Revision;
use strongroom_core::snapshot::Snapshot;

use super::answer::Refusal;
use super::body::Body;
use super::identity::{Standing, Unknown};
use super::reply::Reply;
use super::route::Part;
use super::said::Said;
use super::service::{Service, ended};
use super::whoami;
use crate::asker::Asker;
use crate::grant::{Grant, Waiting};
use crate::past::Then;
use crate::state::Current;
use crate::worker::InProgress;

/// How far an answer has come.
pub(super) enum Answered {
    Now(Response<Body>),
    /// Who asks is the answer.
    Whoami,
    /// Who asks has to be found out first.
    Attest,
    /// That it still is who it was has to be looked at again.
    Recheck,
    /// A past revision has to be built first.
    Past(Revision),
    /// The decision is being recorded.
    Record(Recording),
}

/// What is known of a request as soon as it comes.
#[derive(Clone, Copy)]
pub(super) struct Seen {
    pub(super) request: RequestId,
    pub(super) is_head: bool,
    /// The number of its address ([`Route::place`]).
    pub(super) place: usize,
}

/// What is known of a request, and what waiting has brought.
pub(super) struct Known {
    pub(super) seen: Seen,
    pub(super) asker: Option<Arc<Asker>>,
    pub(super) then: Option<Arc<Then>>,
}

impl Known {
    pub(super) fn of(seen: Seen) -> Self {
        Self {
            seen,
            asker: None,
            then: None,
        }
    }
}

/// An answer that lacks only its grants, and what it is of.
pub(super) struct Recording {
    pub(super) current: Arc<Current>,
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) wanted: Wanted,
    /// What of a document is wanted.
    pub(super) part: Option<Part>,
    /// Whether whoever gets it has what is current.
    pub(super) is_taken: bool,
}

pub(super) enum Wanted {
    One(Waiting<Grant>),
    Many(Waiting<Vec<Grant>>),
}

impl Service {
    /// Answers after waiting for what is missing.
    pub(super) fn later(&self, request: Request<Incoming>, known: Known, first: Answered) -> Reply {
        let service = self.clone();
        let in_progress = InProgress::new(&self.connection);
        Reply::Later(Box::pin(async move {
            let _in_progress = in_progress;
            let seen = known.seen;
            let response = service.wait(&request, known, first).await;
            service.finished(seen, response.unwrap_or_else(Refusal::into_response))
        }))
    }

    async fn wait(
        &self,
        request: &Request<Incoming>,
        mut known: Known,
        first: Answered,
    ) -> Result<Response<Body>, Refusal> {
        let mut answered = first;
        loop {
            match answered {
                Answered::Now(response) => return Ok(response),
                Answered::Whoami => return Ok(whoami::whoami(&self.caller).await),
                Answered::Attest => {
                    let attested = self.own.identity.attest(&self.caller, &self.state.askers).await;
                    known.asker =
                        Some(attested.map_err(|unknown| self.unknown(request.uri(), &known, unknown))?);
                }
                Answered::Recheck => {
                    let checked = self.own.identity.recheck(&self.caller).await;
                    checked.map_err(|error| self.unknown(request.uri(), &known, error.into()))?;
                }
                Answered::Past(revision) => {
                    known.then = Some(self.state.past.at(self.state.vault(), revision).await?);
                }
                Answered::Record(recording) => return self.recorded(request, recording).await,
            }
            answered = self.answer(request, &known)?;
        }
    }

    /// Who asks, who still is who it was.
    pub(super) async fn attested(&self, uri: &Uri, known: &Known) -> Result<Arc<Asker>, Refusal> {
        let identity = &self.own.identity;
        let asker = match identity.asker() {
            Some(asker) => Arc::clone(asker),
            None => {
                let attested = identity.attest(&self.caller, &self.state.askers).await;
                attested.map_err(|unknown| self.unknown(uri, known, unknown))?
            }
        };
        match identity.standing(&self.caller) {
            Standing::Holds => Ok(asker),
            Standing::Ended => Err(ended()),
            Standing::Due => {
                let checked = identity.recheck(&self.caller).await;
                checked.map_err(|error| self.unknown(uri, known, error.into()))?;
                Ok(asker)
            }
        }
    }

    pub(super) fn unknown(&self, uri: &Uri, known: &Known, unknown: Unknown) -> Refusal {
        self.stranger(uri, known, unknown.reason);
        unknown.refusal
    }

    /// Answers once the decision is recorded.
    async fn recorded(
        &self,
        request: &Request<Incoming>,
        recording: Recording,
    ) -> Result<Response<Body>, Refusal> {
        let Recording {
            current,
            snapshot,
            wanted,
            part,
            is_taken,
        } = recording;
        let asked = self.asked(&current, request, Said::of(request.uri(), request.headers()));
        match wanted {
            Wanted::One(waiting) => {
                let grant = waiting.granted().await?;
                self.still_there()?;
                self.one(&asked, &snapshot, grant, part.as_ref(), is_taken)
            }
            Wanted::Many(waiting) => {
                let grants = waiting.granted().await?;
                self.still_there()?;
                self.values(&asked, &snapshot, grants, is_taken)
            }
        }
    }

    /// The last look after a wait.
    pub(super) fn still_there(&self) -> Result<(), Refusal> {
        if self.caller.is_alive() {
            Ok(())
        } else {
            Err(ended())
        }
    }
}
