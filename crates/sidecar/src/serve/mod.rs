//! The socket's API: owns HTTP from a connection's first byte on. Values come from
//! [`crate::read`] alone.

mod answer;
mod body;
mod collect;
mod confirm;
mod evaluate;
mod event;
pub mod feed;
mod heads;
mod host;
mod identity;
mod json;
mod later;
mod list;
mod metrics;
mod ofrep;
mod openapi;
mod picked;
mod reply;
mod ring;
mod route;
mod rpc;
mod said;
mod selector;
mod service;
mod status;
mod stream;
mod taken;
mod text;
mod value;
mod visit;
mod watch;
mod whoami;

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};

pub use body::Body;
pub use event::Event;
pub use ring::{Form, Update, View};
pub use route::{Query, Route};
pub use rpc::Rpc;
pub use service::Service;
pub use stream::Alone;

use crate::worker::{Connection, Watched};

/// What a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 with prior knowledge.
    Http2,
}

/// Streams of one HTTP/2 connection at a time.
const STREAMS: u32 = 256;
/// Bytes waiting on one HTTP/2 stream for its client.
const STREAM_BUFFER: usize = 64 * 1024;

/// What became of a connection that was served.
#[derive(Debug)]
pub enum Served<S> {
    /// It has ended.
    Ended,
    /// It is a watcher's alone from now on.
    Alone(Alone<Watched<S>>),
    /// Nothing is asked on it; to be served again with its next byte.
    Resting(Watched<S>, Service),
}

/// Serves one connection until it ends, rests or its worker drains it, or until it is a watcher's
/// alone. Deadlines are the worker's: see [`Connection`].
pub async fn connection<S>(
    stream: Watched<S>,
    protocol: Protocol,
    service: Service,
    header_bytes: usize,
) -> Served<S>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let connection = Arc::clone(&service.connection);
    let stream = TokioIo::new(stream);
    let ended = match protocol {
        Protocol::Http1 => http1(stream, service, header_bytes).await,
        Protocol::Http2 => http2(stream, service, header_bytes).await.map(|()| Served::Ended),
    };
    ended.unwrap_or_else(|error| {
        note(&connection, &error);
        Served::Ended
    })
}

/// Errors name what broke in the protocol, never what was sent.
fn note(connection: &Connection, error: &dyn std::fmt::Display) {
    tracing::debug!(%error, uid = ?connection.uid, "a connection ended early");
}

async fn http1<S>(
    stream: TokioIo<Watched<S>>,
    service: Service,
    header_bytes: usize,
) -> Result<Served<S>, hyper::Error>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let connection = Arc::clone(&service.connection);
    let handover = Arc::clone(&service.handover);
    let mut builder = http1::Builder::new();
    builder
        // the worker's clock does this, for less than a timer a request
        .header_read_timeout(None)
        .max_header_size(header_bytes)
        .max_buf_size(header_bytes.max(8192))
        .half_close(false);
    let mut served = builder.serve_connection(stream, service);
    let mut is_told = false;
    let given_up = std::future::poll_fn(|context| {
        let mut served = Pin::new(&mut served);
        if connection.is_draining() && !std::mem::replace(&mut is_told, true) {
            served.as_mut().graceful_shutdown();
        }
        if let Poll::Ready(ended) = served.poll(context) {
            return Poll::Ready(ended.map(|()| GivenUp::Ended));
        }
        if connection.rests() {
            return Poll::Ready(Ok(GivenUp::Resting));
        }
        // what was written before, the head at least, must be out
        if !connection.is_in_progress() || connection.is_blocked() {
            return Poll::Pending;
        }
        handover
            .take()
            .map_or(Poll::Pending, |watching| Poll::Ready(Ok(GivenUp::To(watching))))
    });
    let given_up = given_up.await?;
    Ok(match given_up {
        GivenUp::Ended => Served::Ended,
        GivenUp::To(watching) => Served::Alone(Alone {
            stream: served.into_parts().io.into_inner(),
            watching,
        }),
        GivenUp::Resting => {
            let parts = served.into_parts();
            let mut stream = parts.io.into_inner();
            stream.unread(parts.read_buf);
            Served::Resting(stream, parts.service)
        }
    })
}

/// Why hyper does not serve a connection any longer.
enum GivenUp {
    Ended,
    To(Box<body::Watching>),
    Resting,
}

async fn http2<S>(stream: TokioIo<S>, service: Service, header_bytes: usize) -> Result<(), hyper::Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let connection = Arc::clone(&service.connection);
    connection.multiplex();
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .max_header_list_size(u32::try_from(header_bytes).unwrap_or(u32::MAX))
        .max_concurrent_streams(STREAMS)
        .max_send_buf_size(STREAM_BUFFER);
    let mut served = pin!(builder.serve_connection(stream, service));
    let mut is_told = false;
    std::future::poll_fn(|context| {
        if connection.is_draining() && !std::mem::replace(&mut is_told, true) {
            served.as_mut().graceful_shutdown();
        }
        served.as_mut().poll(context)
    })
    .await
}
