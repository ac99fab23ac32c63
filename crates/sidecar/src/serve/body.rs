//! Bodies of answers: owns the shapes there are, bytes at hand, a stream of events and what others make, and
//! handing a stream over to who writes it to its connection himself.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use connectrpc::ConnectRpcBody;
use hyper::body::{Frame, SizeHint};

use super::feed::Cursor;
use crate::state::State;
use crate::worker::InProgress;

/// The body of an answer.
pub enum Body {
    /// All of it.
    Whole(Option<Bytes>),
    /// Events until the client leaves; `None` when they were handed over.
    Watch(Option<Box<Watching>>),
    /// What a protocol of flagd makes of it.
    Rpc(Pin<Box<ConnectRpcBody>>),
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Whole(_) => "Whole",
            Self::Watch(_) => "Watch",
            Self::Rpc(_) => "Rpc",
        })
    }
}

impl Body {
    /// No bytes.
    #[must_use]
    pub fn empty() -> Self {
        Self::Whole(None)
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self::Whole((!bytes.is_empty()).then_some(bytes))
    }
}

/// A stream of events, counted while it lives.
#[derive(Debug)]
pub struct Watching {
    pub(super) cursor: Cursor,
    handover: Option<Arc<Handover>>,
    state: Arc<State>,
    _in_progress: InProgress,
}

impl Watching {
    /// With a `handover`, the stream is handed over once nothing is left to be sent at once.
    pub(super) fn new(
        cursor: Cursor,
        handover: Option<Arc<Handover>>,
        state: Arc<State>,
        in_progress: InProgress,
    ) -> Self {
        state.watchers.fetch_add(1, Ordering::Relaxed);
        Self {
            cursor,
            handover,
            state,
            _in_progress: in_progress,
        }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.state.watchers.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Where a connection finds the stream that it is to write from now on.
#[derive(Debug, Default)]
pub(super) struct Handover(Mutex<Option<Box<Watching>>>);

impl Handover {
    fn put(&self, watching: Option<Box<Watching>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = watching;
    }

    pub(super) fn take(&self) -> Option<Box<Watching>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Rpc(body) => body.as_mut().poll_frame(context),
            Self::Watch(watch) => {
                let Some(watching) = watch else {
                    return Poll::Pending;
                };
                let next = watching.cursor.poll_next(context);
                if next.is_pending()
                    && let Some(handover) = watching.handover.take()
                {
                    handover.put(watch.take());
                }
                next.map(|event| event.map(|event| Ok(Frame::data(event.into_text()))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_none(),
            Self::Watch(_) => false,
            Self::Rpc(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Watch(_) => SizeHint::default(),
            Self::Rpc(_) => SizeHint::default(),
        }
    }
}
