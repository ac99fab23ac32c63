//! Who is at the other end of a connection: owns telling a process that the kernel names from a guest that nobody names.
//! It must not know what either may do.

use std::sync::Arc;

use crate::guest::Guest;
use crate::peer::{NotAttested, Peer};

/// Who asks. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Caller {
    /// A process at the socket.
    Process(Peer),
    /// Somebody at the listener.
    Guest(Arc<Guest>),
}

impl Caller {
    /// The process.
    #[must_use]
    pub fn peer(&self) -> Option<&Peer> {
        match self {
            Self::Process(peer) => Some(peer),
            Self::Guest(_) => None,
        }
    }

    /// Its effective user when it connected.
    #[must_use]
    pub fn uid(&self) -> Option<u32> {
        self.peer().map(|peer| peer.uid)
    }

    /// True while a process lives. Of a guest nothing is known but its connection.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.peer().is_none_or(Peer::is_alive)
    }

    /// See [`Peer::noted`].
    ///
    /// # Errors
    /// [`NotAttested::Stopped`].
    pub async fn noted(&self) -> Result<(), NotAttested> {
        match self {
            Self::Process(peer) => peer.noted().await,
            Self::Guest(_) => Ok(()),
        }
    }

    /// See [`Peer::recheck`].
    ///
    /// # Errors
    /// [`NotAttested`].
    pub async fn recheck(&self) -> Result<(), NotAttested> {
        match self {
            Self::Process(peer) => peer.recheck().await,
            Self::Guest(_) => Ok(()),
        }
    }

    /// Returns when a process has ended.
    pub async fn gone(&self) {
        match self {
            Self::Process(peer) => peer.gone().await,
            Self::Guest(_) => std::future::pending().await,
        }
    }
}
