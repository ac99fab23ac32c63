//! A watcher on a connection of its own: owns writing events to it, once hyper has written the
//! head. What hyper does for each chunk costs more than the chunk, and its buffers would be most of
//! a watcher's memory. It must not know what events say.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use tokio::net::UnixStream;

use super::body::Watching;
use crate::worker::{Connection, Watched};

/// The chunk that ends an answer.
const LAST: Bytes = Bytes::from_static(b"0\r\n\r\n");

/// A connection that is a watcher's alone, with its stream.
#[derive(Debug)]
pub struct Alone<S> {
    pub(super) stream: S,
    pub(super) watching: Box<Watching>,
}

impl Alone<Watched<UnixStream>> {
    /// Writes events until there are no more, or the client leaves.
    pub async fn serve(mut self) {
        let (stream, connection) = self.stream.into_parts();
        let stream = Arc::new(stream);
        self.watching.cursor.write_to(Arc::clone(&stream));
        let mut sender = Sender {
            stream,
            watching: self.watching,
            chunk: Bytes::new(),
            is_last: false,
            is_listening: true,
        };
        let ended = std::future::poll_fn(|context| sender.poll(&connection, context)).await;
        ended.unwrap_or_else(|error| super::note(&connection, &error));
    }
}

struct Sender {
    stream: Arc<UnixStream>,
    watching: Box<Watching>,
    /// What is left of what was begun.
    chunk: Bytes,
    is_last: bool,
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
            match self.stream.try_write(&self.chunk) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(count) => {
                    connection.wrote(true);
                    self.chunk.advance(count);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    connection.wrote(false);
                    ready!(self.stream.poll_write_ready(context))?;
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Ready when the client has left. It has nothing to say: when it says something, its leaving
    /// is noticed with the next event only.
    fn poll_left(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.is_listening {
            ready!(self.stream.poll_read_ready(context))?;
            match self.stream.try_read(&mut [0]) {
                Ok(0) => return Poll::Ready(Ok(())),
                Ok(_) => self.is_listening = false,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Pending
    }
}
