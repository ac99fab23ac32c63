//! The stream of events of flagd's evaluation: owns telling which flags changed. What is told to whom is decided
//! by policy.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use buffa_types::google::protobuf::Struct;
use connectrpc::{ConnectError, ErrorCode, RequestContext, ServiceStream};
use futures_core::Stream;
use serde_json::{Map, Value, json};
use strongroom_core::policy::{Action, Policies};
use strongroom_core::snapshot::FlagEntry;

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

/// The flags that a client knows of: those that it may evaluate and asks for.
struct Seen {
    /// All there are, by key.
    entries: Arc<[FlagEntry]>,
    /// Which of them it knows of.
    is_known: Box<[bool]>,
    /// By what that was decided.
    policies: Arc<Policies>,
}

impl Seen {
    /// What `following` may know of now, and what that changes for who knew of `before`.
    fn look(following: &Following, current: &Current, before: Option<&Self>) -> (Self, Map<String, Value>) {
        let (flags, policies) = (&current.flags, current.decisions.policies());
        let question = following.question(current);
        let decide = |entry: &FlagEntry| {
            following.selector.may_be(entry)
                && question.allows(Action::EvaluateFlag, &entry.flag)
                && following.selector.is_of(flags, entry.flag.path.as_str())
        };
        let is_decided = before.is_some_and(|before| before.holds(policies));
        let mut known = Vec::with_capacity(flags.shared_entries().len());
        let mut changed = Map::new();
        let mut tell = |entry: &FlagEntry, what: &str| {
            changed.insert(entry.flag.path.as_str().to_owned(), json!({ "type": what }));
        };
        // both are in the order of their keys
        let mut old = before.into_iter().flat_map(Self::each).peekable();
        for entry in flags.entries() {
            let key = &entry.flag.path;
            while let Some((gone, was_known)) = old.next_if(|(old, _)| old.flag.path < *key) {
                if was_known {
                    tell(gone, "delete");
                }
            }
            let was = old.next_if(|(old, _)| old.flag.path == *key);
            let is_same = was.is_some_and(|(old, _)| old.is_as(entry));
            let was_known = was.is_some_and(|(_, was_known)| was_known);
            let is_known = match is_decided && is_same {
                true => was_known,
                false => decide(entry),
            };
            match (was_known, is_known) {
                (false, true) => tell(entry, "write"),
                (true, false) => tell(entry, "delete"),
                (true, true) if !is_same => tell(entry, "update"),
                _ => {}
            }
            known.push(is_known);
        }
        for (gone, _) in old.filter(|(_, was_known)| *was_known) {
            tell(gone, "delete");
        }
        let seen = Self {
            entries: Arc::clone(flags.shared_entries()),
            is_known: known.into(),
            policies: Arc::clone(policies),
        };
        (seen, changed)
    }

    fn each(&self) -> impl Iterator<Item = (&FlagEntry, bool)> {
        self.entries.iter().zip(self.is_known.iter().copied())
    }

    /// Whether `policies` decide of what did not change as was decided here.
    fn holds(&self, policies: &Arc<Policies>) -> bool {
        Arc::ptr_eq(&self.policies, policies) && !policies.is_timed(Action::EvaluateFlag)
    }

    /// Whether nothing can be another than here.
    fn is_of(&self, current: &Current) -> bool {
        Arc::ptr_eq(&self.entries, current.flags.shared_entries()) && self.holds(current.decisions.policies())
    }
}

/// A stream of events, made into messages by `make`.
pub(super) struct Events<T> {
    following: Following,
    seen: Seen,
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
        let current = following.caller.service.state.current();
        let (seen, _) = Seen::look(&following, &current, None);
        drop(current);
        Ok(Box::pin(Self {
            seen,
            following,
            make,
            has_begun: false,
            has_ended: false,
        }))
    }

    /// The flags that are others since the last look, to who may evaluate them or might: what he may not evaluate
    /// any more is gone.
    fn changed(&mut self) -> Option<Struct> {
        let current = self.following.caller.service.state.current();
        if self.seen.is_of(&current) {
            return None;
        }
        let (seen, changed) = Seen::look(&self.following, &current, Some(&self.seen));
        self.seen = seen;
        let is_any = !changed.is_empty();
        let data = Map::from_iter([("flags".to_owned(), Value::Object(changed))]);
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
