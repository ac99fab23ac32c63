//! Streams of events: owns how one begins for who asks, and that it is noted. What is told is decided elsewhere.

use std::sync::Arc;

use hyper::header::CONNECTION;
use hyper::{Response, Version};
use strongroom_core::audit::RequestId;
use strongroom_core::name::EntryPath;
use strongroom_core::policy::Action;

use super::answer;
use super::body::{Body, Watching};
use super::later::Known;
use super::ring::{Form, View};
use super::route::Query;
use super::service::{Asked, Service};
use crate::asker::Asker;
use crate::grant::Question;
use crate::state::Current;
use crate::worker::InProgress;

impl Service {
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

    pub(super) fn watch(
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
