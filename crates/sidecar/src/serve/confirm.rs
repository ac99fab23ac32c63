//! Confirmations: owns `POST /api/v1/confirm`, with which a client says that it uses a version. It is
//! attested, judged and recorded like a read, and opens nothing.

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::{Request, Response};
use strongroom_core::api::wire;
use strongroom_core::policy::Action;
use strongroom_core::snapshot::Entry;

use super::answer::{self, Refusal};
use super::body::Body;
use super::later::Known;
use super::reply::Reply;
use super::service::{Service, hidden};
use super::taken::Given;
use super::value;
use crate::grant::Question;
use crate::state::Current;
use crate::worker::InProgress;

/// Longest body, bytes: a path and a number.
const LONGEST: usize = 4096;

impl Service {
    pub(super) fn confirm(&self, request: Request<Incoming>, known: Known) -> Reply {
        let service = self.clone();
        Reply::Later(Box::pin(async move {
            let seen = known.seen;
            let response = service.confirmed(request, known).await;
            service.connection.touch();
            service.finished(seen, response.unwrap_or_else(Refusal::into_response))
        }))
    }

    async fn confirmed(&self, request: Request<Incoming>, known: Known) -> Result<Response<Body>, Refusal> {
        let (head, body) = request.into_parts();
        let body = self.taken_in(&head, body, &known, LONGEST).await?;
        if head.uri.query().is_some() {
            return Err(Refusal::bad("this route takes no query"));
        }
        let _in_progress = InProgress::new(&self.connection);
        let confirmation: wire::Confirmation = serde_json::from_slice(&body).map_err(|_| {
            Refusal::bad("the body is not {\"path\":PATH,\"version\":NUMBER}, or \"revision\"")
        })?;
        let asker = self.attested(&head.uri, &known).await?;
        let current = Arc::clone(&self.state.current());
        let entry = self.confirmable(&current, &confirmation)?;
        let question = Question {
            request: Some(known.seen.request),
            ..self.state.question(&current, &asker, &current.snapshot)
        };
        let verdict = self.state.gate().permit(&question, Action::Confirm, &entry);
        let verdict = verdict.map_err(|error| hidden(error, &question, &entry))?;
        // what is current is told to those who may confirm it
        let is_current = is_current(&current, &entry, &confirmation)?;
        verdict.granted().await?;
        self.still_there()?;
        if is_current {
            let client = self.client().filter(|client| client.is_one());
            let client = client.ok_or_else(|| {
                Refusal::unavailable(
                    "it is not noted who confirms: there are too many clients, or the engine does not answer",
                )
            })?;
            if client.confirmed(self.taking(&current.snapshot, Given::of(&entry))) {
                self.state.uptake().ring();
            }
        }
        let mut response = answer::json(&wire::Confirmed {
            environment: self.state.environment().as_str().to_owned(),
            path: entry.path.as_str().to_owned(),
            version: entry.version.0,
            revision: current.snapshot.revision().0,
            current: is_current,
        });
        answer::name_revision(&mut response, current.snapshot.revision(), &current);
        Ok(response)
    }

    fn confirmable(
        &self,
        current: &Current,
        confirmation: &wire::Confirmation,
    ) -> Result<Arc<Entry>, Refusal> {
        let environment = self.state.environment();
        value::named(environment, &current.snapshot, &confirmation.path).map(Arc::clone)
    }
}

/// Whether what is confirmed is what is current.
fn is_current(current: &Current, entry: &Entry, confirmation: &wire::Confirmation) -> Result<bool, Refusal> {
    let served = current.snapshot.revision().0;
    match (confirmation.version, confirmation.revision) {
        (Some(version), None) if version > entry.version.0 => Err(Refusal::not_found(format!(
            "version {version} is not current yet: {} is",
            entry.version
        ))),
        (Some(version), None) => Ok(version == entry.version.0),
        (None, Some(revision)) if revision > served => Err(Refusal::not_found(format!(
            "revision {revision} is not there yet; {served} is served"
        ))),
        (None, Some(revision)) => Ok(revision >= entry.revision.0),
        _ => Err(Refusal::bad("one of version and revision is confirmed")),
    }
}
