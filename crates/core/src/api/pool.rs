//! The connections of one client: owns how many there are at a time, keeping those that are idle, and
//! asking again when one was closed meanwhile. It must not know what is asked.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::HeaderMap;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use super::connection::{self, Connection, Get};
use super::error::ClientError;

/// Requests at a time; others wait.
const MOST: usize = 16;
/// The longest answer that is a failure.
const MOST_FAILURE: usize = 1024 * 1024;

/// One whole answer, whatever it says.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Zeroizing<Vec<u8>>,
}

pub(super) struct Pool {
    pub(super) socket: PathBuf,
    /// From waiting for a place to the last byte.
    pub(super) timeout: Duration,
    /// Those that nothing is asked on; the one that was used last is taken first.
    idle: Mutex<Vec<Connection>>,
    places: Semaphore,
}

impl Pool {
    pub(super) fn new(socket: PathBuf, timeout: Duration) -> Self {
        Self {
            socket,
            timeout,
            idle: Mutex::default(),
            places: Semaphore::new(MOST),
        }
    }

    /// What is sent may be sent twice: reads, evaluations and confirmations can be repeated.
    ///
    /// A connection comes back only after a whole answer: one whose request was given up cannot be used again.
    pub(super) async fn send(
        &self,
        get: &Get<'_>,
        limit: usize,
        body: Option<Bytes>,
    ) -> Result<Answer, ClientError> {
        connection::within(self.timeout, &self.socket, async {
            // it is never closed
            let _place = self.places.acquire().await.ok();
            let reused = self.usable().await;
            let is_reused = reused.is_some();
            let mut connection = match reused {
                Some(connection) => connection,
                None => Connection::open(&self.socket).await?,
            };
            let response = match connection.send(get, body.clone()).await {
                // an idle connection may be closed under the request
                Err(_) if is_reused => {
                    connection = Connection::open(&self.socket).await?;
                    connection.send(get, body).await
                }
                other => other,
            };
            let response = response.map_err(|source| ClientError::Broken {
                socket: self.socket.clone(),
                source,
            })?;
            let (status, headers) = (response.status(), response.headers().clone());
            let limit = if status == StatusCode::OK {
                limit
            } else {
                MOST_FAILURE
            };
            let body = connection::collect(response, limit, &self.socket).await?;
            self.idle().push(connection);
            Ok(Answer {
                status,
                headers,
                body,
            })
        })
        .await
    }

    /// One that is open still.
    async fn usable(&self) -> Option<Connection> {
        loop {
            let mut connection = self.idle().pop()?;
            if connection.is_usable().await {
                return Some(connection);
            }
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
