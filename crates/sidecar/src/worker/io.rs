//! A stream that tells its [`Connection`] what moves: owns nothing else.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Connection;
use super::authority::Authority;

/// A watched stream.
#[derive(Debug)]
pub struct Watched<S> {
    stream: S,
    connection: Arc<Connection>,
    /// Bytes that were read and given back.
    unread: Bytes,
    /// What mends the bytes of HTTP/2.
    authority: Option<Box<Authority>>,
}

impl<S> Watched<S> {
    /// Watches `stream`.
    pub fn new(stream: S, connection: Arc<Connection>) -> Self {
        Self {
            stream,
            connection,
            unread: Bytes::new(),
            authority: None,
        }
    }

    /// HTTP/2 is read from now on.
    pub(super) fn is_http2(&mut self) {
        self.authority = Some(Box::default());
    }

    /// The stream itself.
    pub(super) fn get(&self) -> &S {
        &self.stream
    }

    /// Gives back bytes that were read: they are read again first.
    pub(crate) fn unread(&mut self, bytes: Bytes) {
        self.unread = bytes;
    }

    /// True when bytes were given back that nobody has read since.
    pub(super) fn has_unread(&self) -> bool {
        !self.unread.is_empty()
    }

    /// The stream, watched by whoever has it from now on.
    pub(crate) fn into_parts(self) -> (S, Arc<Connection>) {
        (self.stream, self.connection)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.has_unread() {
            let again = this.unread.split_to(this.unread.len().min(buffer.remaining()));
            buffer.put_slice(&again);
            this.connection.received();
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(context, buffer);
        if let Some(new) = buffer
            .filled_mut()
            .get_mut(before..)
            .filter(|new| !new.is_empty())
        {
            if let Some(authority) = &mut this.authority {
                authority.mend(new);
            }
            this.connection.received();
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let wrote = Pin::new(&mut this.stream).poll_write(context, bytes);
        this.connection.wrote(wrote.is_ready());
        wrote
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let wrote = Pin::new(&mut this.stream).poll_write_vectored(context, parts);
        this.connection.wrote(wrote.is_ready());
        wrote
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
