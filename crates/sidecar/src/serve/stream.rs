//! A watcher on a connection of its own: owns writing events to it, once hyper has written the
//! head. What hyper does for each chunk costs more than the chunk, and its buffers would be most of
//! a watcher's memory. It must not know what events say.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::body::Watching;
use crate::worker::{Connection, Stream, Watched};

/// The chunk that ends an answer.
const LAST: Bytes = Bytes::from_static(b"0\r\n\r\n");

/// A connection that is a watcher's alone, with its stream.
#[derive(Debug)]
pub struct Alone<S> {
    pub(super) stream: S,
    pub(super) watching: Box<Watching>,
}

impl Alone<Watched<Stream>> {
    /// Writes events until there are no more, or the client leaves.
    pub async fn serve(self) {
        let (stream, connection) = self.stream.into_parts();
        let ended = match stream.into_descriptor() {
            Ok(stream) => write(Arc::new(stream), self.watching, &connection).await,
            Err(error) => Err(error),
        };
        ended.unwrap_or_else(|error| super::note(&connection, &error));
    }
}

async fn write(socket: Arc<OwnedFd>, mut watching: Box<Watching>, connection: &Connection) -> io::Result<()> {
    watching.cursor.write_to(Arc::clone(&socket));
    let mut sender = Sender {
        ready: Some(registered(&socket, Interest::READABLE)?),
        socket,
        watching,
        chunk: Bytes::new(),
        is_last: false,
        is_blocked: false,
        is_listening: true,
    };
    std::future::poll_fn(|context| sender.poll(connection, context)).await
}

/// Sends what `socket` takes at once.
pub(super) fn send(socket: &OwnedFd, bytes: &[u8]) -> Result<usize, Errno> {
    rustix::net::send(socket.as_fd(), bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)
}

#[allow(
    deprecated,
    reason = "its replacement is unsafe, for types that lie about their descriptor: a std socket does not"
)]
fn registered(socket: &Arc<OwnedFd>, interest: Interest) -> io::Result<AsyncFd<Arc<OwnedFd>>> {
    AsyncFd::with_interest(Arc::clone(socket), interest)
}

struct Sender {
    socket: Arc<OwnedFd>,
    /// Waits for the socket; to write only while it is blocked, else each read of the client's
    /// would wake the worker.
    ready: Option<AsyncFd<Arc<OwnedFd>>>,
    watching: Box<Watching>,
    /// What is left of what was begun.
    chunk: Bytes,
    is_last: bool,
    is_blocked: bool,
    is_listening: bool,
}

impl Sender {
    fn poll(&mut self, connection: &Connection, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_write(connection, context))?;
            if self.is_last {
                return Poll::Ready(Ok(()));
            }
            match self.watching.cursor.poll_next(context) {
                Poll::Ready(Some(event)) => self.chunk = event.into_chunk(),
                Poll::Ready(None) => {
                    self.chunk = LAST;
                    self.is_last = true;
                }
                Poll::Pending => return self.poll_left(context),
            }
        }
    }

    fn poll_write(&mut self, connection: &Connection, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.chunk.is_empty() {
            match send(&self.socket, &self.chunk) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(count) => {
                    connection.wrote(true);
                    self.chunk.advance(count);
                }
                Err(Errno::AGAIN) => {
                    connection.wrote(false);
                    self.wait(true)?;
                    if let Some(ready) = &self.ready {
                        ready!(ready.poll_write_ready(context))?.clear_ready();
                    }
                }
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
        self.wait(false)?;
        Poll::Ready(Ok(()))
    }

    /// Waits for room from now on, or not any more.
    fn wait(&mut self, is_blocked: bool) -> io::Result<()> {
        if std::mem::replace(&mut self.is_blocked, is_blocked) != is_blocked {
            let interest = if is_blocked {
                Interest::READABLE | Interest::WRITABLE
            } else {
                Interest::READABLE
            };
            // a socket is waited for once
            self.ready = None;
            self.ready = Some(registered(&self.socket, interest)?);
        }
        Ok(())
    }

    /// Ready when the client has left. It has nothing to say: when it says something, its leaving
    /// is noticed with the next event only.
    fn poll_left(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.is_listening
            && let Some(ready) = &self.ready
        {
            let mut guard = ready!(ready.poll_read_ready(context))?;
            match rustix::net::recv(self.socket.as_fd(), &mut [0; 1], RecvFlags::DONTWAIT) {
                Ok((0, _)) => return Poll::Ready(Ok(())),
                Ok(_) => self.is_listening = false,
                Err(Errno::AGAIN) => guard.clear_ready(),
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
        Poll::Pending
    }
}
