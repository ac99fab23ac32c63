//! The listener: owns the socket file, the accept loop that no error ends, and how many
//! connections there may be. It must not know HTTP.

mod quota;
mod socket;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use tokio::net::{UnixListener, UnixStream};

pub use quota::{Permit, Quota};
pub use socket::{Bound, ListenError, bind, take_over};

use crate::peer::Peer;
use crate::state::State;
use crate::worker::{Accepted, Workers};

/// Pauses after an error of the whole system, so that the loop does not spin.
const PAUSE: Duration = Duration::from_millis(100);

/// Accepts connections for ever; drop it to stop.
pub async fn accept(listener: &UnixListener, quota: &Arc<Quota>, workers: &Workers, state: &State) {
    let mut was_exhausted = false;
    loop {
        quota.wait_for_room(|| state.rules().limits.connections).await;
        match listener.accept().await {
            Ok((stream, _)) => {
                was_exhausted = false;
                let limits = state.rules().limits;
                if let Err(error) = admit(stream, quota, limits.connections_per_uid, workers) {
                    tracing::debug!(%error, "a connection was refused");
                }
            }
            Err(error) => {
                let exhausted = is_exhausted(&error);
                // one line for a whole episode
                if !exhausted || !std::mem::replace(&mut was_exhausted, true) {
                    tracing::warn!(%error, "accepting a connection failed; going on");
                }
                if exhausted || !is_of_one_connection(&error) {
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

fn admit(stream: UnixStream, quota: &Arc<Quota>, per_uid: usize, workers: &Workers) -> io::Result<()> {
    let peer = Peer::of(&stream)?;
    let permit = quota
        .admit(peer.uid, per_uid)
        .ok_or_else(|| io::Error::other(format!("uid {} has as many connections as it may", peer.uid)))?;
    let stream = stream.into_std()?;
    workers.hand_over(Accepted { stream, peer, permit });
    Ok(())
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
