//! The future of an answer: owns that one at hand costs no allocation. It must not know what is
//! answered.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::Response;

use super::body::Body;

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
    /// An answer at hand.
    pub(super) fn now(response: Response<Body>) -> Self {
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
