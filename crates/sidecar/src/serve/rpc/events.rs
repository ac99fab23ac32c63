//! The stream of events of flagd's evaluation: owns telling which flags changed. What is told to whom is decided
//! by policy.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use buffa_types::google::protobuf::Struct;
use connectrpc::{ConnectError, ErrorCode, RequestContext, ServiceStream};
use futures_core::Stream;
use serde_json::{Map, Value, json};
use strongroom_core::policy::Action;
use strongroom_core::vault::{FlagChange, Flags};

use super::super::body::Watching;
use super::super::ring::Form;
use super::super::selector::Selector;
use super::{Caller, convert, refused, stopped};
use crate::asker::Asker;
use crate::grant::Question;
use crate::state::Current;
use crate::worker::Followed;

/// What is said of a stream.
pub(super) enum Said {
    /// Events come from now on.
    Ready,
    /// Flags of these keys are others.
    Changed(Struct),
    /// Nothing; the stream lives.
    Alive,
    /// It ends with the sidecar.
    Shutdown,
}

impl Said {
    /// The event as its type and data.
    pub(super) fn into_parts(self) -> (&'static str, Option<Struct>) {
        match self {
            Self::Ready => ("provider_ready", None),
            Self::Changed(data) => ("configuration_change", Some(data)),
            Self::Alive => ("keep_alive", None),
            Self::Shutdown => ("provider_shutdown", None),
        }
    }
}

/// Follows flags for one client.
pub(super) struct Following {
    pub(super) caller: Arc<Caller>,
    pub(super) selector: Selector,
    watching: Box<Watching>,
    asker: Arc<Asker>,
    _followed: Followed,
}

/// Streams that one connection may follow: what one that is never read keeps is bounded by that.
const MOST: usize = 16;

/// What a followed stream tells.
pub(super) enum Step {
    /// Something changed that concerns flags.
    Changed,
    /// Nothing did.
    Alive,
    /// It has ended.
    Ended,
}

impl Following {
    /// Follows the flags that the caller of `context` asks for, by its headers or by `selector`.
    pub(super) async fn start(context: &RequestContext, selector: &str) -> Result<Self, ConnectError> {
        let caller = Caller::of(context)?;
        let selector = Selector::either(context.headers(), selector).map_err(refused)?;
        let asker = caller
            .service
            .attested(&caller.uri, &caller.known)
            .await
            .map_err(refused)?;
        let followed = Followed::begin(&caller.service.connection, MOST);
        let followed = followed.ok_or_else(|| {
            let message = format!("a connection follows at most {MOST} streams");
            ConnectError::new(ErrorCode::ResourceExhausted, message)
        })?;
        let watching = caller.service.follow(&caller.known, &asker, Form::Refetch);
        Ok(Self {
            caller,
            selector,
            watching,
            asker,
            _followed: followed,
        })
    }

    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Step> {
        Poll::Ready(match ready!(self.watching.cursor.poll_next(context)) {
            None => Step::Ended,
            Some(event) if event.is_sign_of_life() => Step::Alive,
            Some(_) => Step::Changed,
        })
    }

    fn question<'a>(&'a self, current: &'a Current) -> Question<'a> {
        let state = &self.caller.service.state;
        state.question(current, &self.asker, &current.snapshot)
    }
}

/// A stream of events, made into messages by `make`.
pub(super) struct Events<T> {
    following: Following,
    flags: Arc<Flags>,
    make: fn(Said) -> T,
    has_begun: bool,
    has_ended: bool,
}

impl<T: Send + 'static> Events<T> {
    pub(super) async fn start(
        context: &RequestContext,
        make: fn(Said) -> T,
    ) -> Result<ServiceStream<T>, ConnectError> {
        let following = Following::start(context, "").await?;
        let state = &following.caller.service.state;
        let flags = state
            .flags(&state.current())
            .map_err(|error| refused(error.into()))?;
        Ok(Box::pin(Self {
            flags: Arc::clone(&flags),
            following,
            make,
            has_begun: false,
            has_ended: false,
        }))
    }

    /// The flags that changed since the last look; none that the caller may not evaluate.
    fn changed(&mut self) -> Option<Struct> {
        let state = &self.following.caller.service.state;
        let current = state.current();
        let flags = Arc::clone(&*state.flags(&current).ok()?);
        let question = self.following.question(&current);
        let selector = &self.following.selector;
        let mut changed = Map::new();
        for (key, change) in flags.changes(&self.flags) {
            let of = match change {
                FlagChange::Removed => &self.flags,
                FlagChange::Added | FlagChange::Changed => &flags,
            };
            let Some(entry) = of.entry(key.as_str()) else {
                continue;
            };
            if !question.allows(Action::EvaluateFlag, &entry.flag)
                || !selector.may_be(entry)
                || !selector.is_of(of, key.as_str())
            {
                continue;
            }
            let what = match change {
                FlagChange::Added => "write",
                FlagChange::Changed => "update",
                FlagChange::Removed => "delete",
            };
            changed.insert(key.as_str().to_owned(), json!({ "type": what }));
        }
        self.flags = flags;
        let mut data = Map::new();
        let is_any = !changed.is_empty();
        data.insert("flags".to_owned(), Value::Object(changed));
        is_any.then(|| convert::fields(&data))
    }
}

impl<T: Send + 'static> Stream for Events<T> {
    type Item = Result<T, ConnectError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.has_ended {
            return Poll::Ready(Some(Err(stopped())));
        }
        if !std::mem::replace(&mut this.has_begun, true) {
            return Poll::Ready(Some(Ok((this.make)(Said::Ready))));
        }
        loop {
            let said = match ready!(this.following.poll(context)) {
                Step::Alive => Said::Alive,
                Step::Changed => match this.changed() {
                    Some(data) => Said::Changed(data),
                    None => continue,
                },
                Step::Ended => {
                    this.has_ended = true;
                    Said::Shutdown
                }
            };
            return Poll::Ready(Some(Ok((this.make)(said))));
        }
    }
}
