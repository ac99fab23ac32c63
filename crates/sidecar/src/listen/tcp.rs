//! The listener for guests: owns its TCP socket, which is made before the fence, behind which none can be. It must not
//! know HTTP.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use strongroom_core::policy::PolicyError;

use super::socket::ListenError;
use super::{NotAdmitted, Quota, Troubles};
use crate::caller::Caller;
use crate::guest::Guest;
use crate::settings;
use crate::state::State;
use crate::worker::{Accepted, Socket, Workers};

/// A listening TCP socket, and who comes by it.
#[derive(Debug)]
pub struct Door {
    listener: TcpListener,
    /// Where it listens.
    pub address: SocketAddr,
    guest: Arc<Guest>,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// Its address cannot be listened on.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// Guests cannot be described to policies.
    #[error(transparent)]
    Policy(#[from] PolicyError),
}

impl Door {
    /// Listens as the settings say.
    ///
    /// # Errors
    /// [`DoorError`].
    pub fn open(settings: &settings::Listener) -> Result<Self, DoorError> {
        let wanted = settings.address;
        let failed = |source| ListenError::Tcp {
            address: wanted,
            source,
        };
        let listener = TcpListener::bind(wanted).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self {
            guest: Arc::new(Guest::new(settings, address)?),
            listener,
            address,
        })
    }

    /// Accepts connections for ever; drop it, and then the door, to stop.
    ///
    /// # Errors
    /// The system's, before the first one.
    pub async fn accept(&self, quota: &Arc<Quota>, workers: &Workers, state: &State) -> io::Result<()> {
        let listener = tokio::net::TcpListener::from_std(self.listener.try_clone()?)?;
        let mut troubles = Troubles::default();
        loop {
            quota.wait_for_room(|| state.rules().limits.connections).await;
            let accepted = match listener.accept().await {
                Ok((stream, _)) => self.admit(stream, quota, workers, state),
                Err(error) => Err(NotAdmitted::System(error)),
            };
            troubles.met(accepted).await;
        }
    }

    fn admit(
        &self,
        stream: tokio::net::TcpStream,
        quota: &Arc<Quota>,
        workers: &Workers,
        state: &State,
    ) -> Result<(), NotAdmitted> {
        let most = state.rules().limits.connections_per_uid;
        let Some(permit) = quota.admit(None, most) else {
            // before it is closed: who sees that sees it counted
            state.tallies.refused();
            return Err(NotAdmitted::TooMany { uid: None });
        };
        // answers are small, and written whole
        stream.set_nodelay(true).map_err(NotAdmitted::System)?;
        workers.hand_over(Accepted {
            socket: Socket::Tcp(stream.into_std().map_err(NotAdmitted::System)?),
            caller: Caller::Guest(Arc::clone(&self.guest)),
            permit,
        });
        Ok(())
    }
}
