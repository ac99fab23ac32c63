//! Bodies of requests: owns that one is taken in only from who is let in, collecting it up to its limit, and what all
//! those of a connection may hold at a time. It must not know what is in them.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use hyper::http::request::Parts;

use super::answer::Refusal;
use super::later::Known;
use super::said::Said;
use super::service::{Service, admit};
use crate::worker::{Connection, Held};

/// Bytes of bodies that have not come whole, of all requests of one connection.
const MOST_HELD: usize = 1024 * 1024;

impl Service {
    /// The body of a request that is let in, of at most `most` bytes, or fewer where the settings say so.
    ///
    /// # Errors
    /// [`Refusal`].
    pub(super) async fn taken_in(
        &self,
        head: &Parts,
        body: Incoming,
        known: &Known,
        most: usize,
    ) -> Result<Bytes, Refusal> {
        let rules = self.state.rules();
        self.let_in(&head.uri, known, &rules)?;
        admit(Said::of(&head.uri, &head.headers), &body, &rules)?;
        let most = usize::try_from(rules.limits.body_bytes).map_or(most, |limit| limit.min(most));
        drop(rules);
        collected(body, most, &self.connection).await
    }
}

/// The whole body, of at most `most` bytes. It is not in progress meanwhile: a body that does not come ends a
/// connection that has nothing else to do.
///
/// # Errors
/// [`Refusal`] for one that is longer, or does not come.
async fn collected(mut body: Incoming, most: usize, connection: &Arc<Connection>) -> Result<Bytes, Refusal> {
    let mut held = Held::new(connection);
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Refusal::bad("the body did not come"))?;
        let Ok(data) = frame.into_data() else { continue };
        if whole.len().saturating_add(data.len()) > most {
            return Err(Refusal::too_large(format!(
                "the body of a request has at most {most} bytes here"
            )));
        }
        if held.more(data.len()) > most.max(MOST_HELD) {
            return Err(Refusal::too_large(
                "too many bodies are sent at a time on this connection",
            ));
        }
        // most bodies come at once
        if whole.is_empty() && body.is_end_stream() {
            return Ok(data);
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}
