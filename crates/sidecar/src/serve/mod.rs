//! The socket's API: owns HTTP from a connection's first byte on. Values come from
//! [`crate::read`] alone.

mod answer;
mod body;
mod event;
pub mod feed;
mod json;
mod list;
mod openapi;
mod route;
mod service;
mod status;
mod value;

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};

pub use body::Body;
pub use route::{Query, Route};
pub use service::Service;

use crate::worker::Connection;

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

/// Serves one connection until it ends or its worker drains it. Deadlines are the worker's: see
/// [`Connection`].
pub async fn connection<S>(stream: S, protocol: Protocol, service: Service, header_bytes: usize)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let connection = Arc::clone(&service.connection);
    let stream = TokioIo::new(stream);
    let ended = match protocol {
        Protocol::Http1 => {
            let mut builder = http1::Builder::new();
            builder
                // the worker's clock does this, for less than a timer a request
                .header_read_timeout(None)
                .max_header_size(header_bytes)
                .max_buf_size(header_bytes.max(8192))
                .half_close(false);
            let served = builder.serve_connection(stream, service);
            until_drained(served, &connection, http1::Connection::graceful_shutdown).await
        }
        Protocol::Http2 => {
            connection.multiplex();
            let mut builder = http2::Builder::new(TokioExecutor::new());
            builder
                .max_header_list_size(u32::try_from(header_bytes).unwrap_or(u32::MAX))
                .max_concurrent_streams(STREAMS)
                .max_send_buf_size(STREAM_BUFFER);
            let served = builder.serve_connection(stream, service);
            until_drained(served, &connection, http2::Connection::graceful_shutdown).await
        }
    };
    if let Err(error) = ended {
        // hyper's errors name what broke in the protocol, never what was sent
        tracing::debug!(%error, uid = connection.uid, "a connection ended early");
    }
}

async fn until_drained<C>(
    served: C,
    connection: &Connection,
    shut_down: impl Fn(Pin<&mut C>),
) -> Result<(), hyper::Error>
where
    C: Future<Output = Result<(), hyper::Error>>,
{
    let mut served = pin!(served);
    let mut is_told = false;
    std::future::poll_fn(|context| {
        if connection.is_draining() && !std::mem::replace(&mut is_told, true) {
            shut_down(served.as_mut());
        }
        let polled: Poll<_> = served.as_mut().poll(context);
        polled
    })
    .await
}
