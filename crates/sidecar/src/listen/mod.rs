//! Listening: owns the socket file and the TCP address, the accept loops that no error ends, and how many
//! connections there may be. It must not know HTTP.

mod quota;
mod socket;
mod tcp;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use tokio::net::{UnixListener, UnixStream};

pub use quota::{Permit, Quota};
pub use socket::{Bound, ListenError, bind, take_over};
pub use tcp::{Door, DoorError};

use crate::caller::Caller;
use crate::peer::{Attestor, Peer, Unaccepted};
use crate::state::State;
use crate::worker::{Accepted, Socket, Workers};

/// Pauses after an error of the whole system, so that the loop does not spin.
const PAUSE: Duration = Duration::from_millis(100);

/// From one line about clients that are refused to the next.
const QUIET: Duration = Duration::from_secs(1);

/// Accepts connections for ever; drop it to stop.
pub async fn accept(
    listener: &UnixListener,
    quota: &Arc<Quota>,
    workers: &Workers,
    attestor: &Arc<Attestor>,
    state: &State,
) {
    let mut troubles = Troubles::default();
    loop {
        quota.wait_for_room(|| state.rules().limits.connections).await;
        let accepted = match listener.accept().await {
            Ok((stream, _)) => {
                let limits = state.rules().limits;
                let admitted = admit(&stream, attestor, quota, limits.connections_per_uid);
                // before it is closed: who sees that sees it counted
                let admitted = admitted.inspect_err(|_| state.tallies.refused());
                admitted.and_then(|(peer, permit)| {
                    let stream = stream.into_std().map_err(NotAdmitted::System)?;
                    workers.hand_over(Accepted {
                        socket: Socket::Unix(stream),
                        caller: Caller::Process(peer),
                        permit,
                    });
                    Ok(())
                })
            }
            Err(error) => Err(NotAdmitted::System(error)),
        };
        troubles.met(accepted).await;
    }
}

/// What goes wrong where connections are accepted: told, but not as often as it happens.
#[derive(Default)]
struct Troubles {
    was_exhausted: bool,
    refused: Refused,
}

impl Troubles {
    /// Takes what became of a connection, and pauses after an error of the whole system.
    async fn met(&mut self, accepted: Result<(), NotAdmitted>) {
        match accepted {
            Ok(()) => self.was_exhausted = false,
            Err(NotAdmitted::TooMany { uid: Some(uid) }) => {
                tracing::debug!(uid, "a connection was refused: its uid has as many as it may");
            }
            Err(NotAdmitted::TooMany { uid: None }) => {
                tracing::debug!("a connection was refused: there are as many over TCP as may be");
            }
            Err(NotAdmitted::Unaccepted(reason)) => self.refused.tell(&reason),
            Err(NotAdmitted::System(error)) => {
                let exhausted = is_exhausted(&error);
                // one line for a whole episode
                if !exhausted || !std::mem::replace(&mut self.was_exhausted, true) {
                    tracing::warn!(%error, "accepting a connection failed; going on");
                }
                if exhausted || !is_of_one_connection(&error) {
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

/// Why a connection goes to no worker.
enum NotAdmitted {
    TooMany { uid: Option<u32> },
    Unaccepted(Unaccepted),
    System(io::Error),
}

impl From<Unaccepted> for NotAdmitted {
    fn from(error: Unaccepted) -> Self {
        match error {
            Unaccepted::Io(error) => Self::System(error),
            error => Self::Unaccepted(error),
        }
    }
}

fn admit(
    stream: &UnixStream,
    attestor: &Arc<Attestor>,
    quota: &Arc<Quota>,
    per_uid: usize,
) -> Result<(Peer, Permit), NotAdmitted> {
    let peer = Peer::of(stream, attestor)?;
    let uid = Some(peer.uid);
    let permit = quota.admit(uid, per_uid).ok_or(NotAdmitted::TooMany { uid })?;
    Ok((peer, permit))
}

/// Clients that are refused for who they are: told, but not as often as they like to try.
#[derive(Default)]
struct Refused {
    told: Option<Instant>,
    untold: u64,
}

impl Refused {
    fn tell(&mut self, reason: &Unaccepted) {
        if self.told.is_some_and(|told| told.elapsed() < QUIET) {
            self.untold = self.untold.saturating_add(1);
            return;
        }
        self.told = Some(Instant::now());
        let more = std::mem::take(&mut self.untold);
        tracing::warn!(%reason, more_before = more, "a connection was refused");
    }
}

fn is_exhausted(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM]
        .map(Some)
        .contains(&errno)
}

fn is_of_one_connection(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    [Errno::CONNABORTED, Errno::INTR, Errno::PROTO, Errno::PERM]
        .map(Some)
        .contains(&errno)
}
