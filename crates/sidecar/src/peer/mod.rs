//! Who is at the other end of a connection: owns what the kernel said when it was accepted, that
//! this process still is there, and finding out the rest once. No header and no name that a client
//! binds can change it. It must not know what a workload may do.

mod attestor;
mod hold;

use std::io;
use std::sync::{Arc, OnceLock};

use strongroom_core::attest::{Lost, Program};
use strongroom_core::workload::Workload;
use tokio::net::UnixStream;
use tokio::sync::OnceCell;

pub use attestor::{Attestor, NotAttested};
pub use hold::Hold;

use attestor::Found;

/// The process that connected, as the sidecar's namespaces see it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its effective user when it connected.
    pub uid: u32,
    /// Its effective group when it connected.
    pub gid: u32,
    /// Its process id.
    pub pid: i32,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    hold: Hold,
    /// What it ran when it was accepted; `None` in it when that may not be known.
    program: OnceLock<Option<Program>>,
    workload: OnceCell<Arc<Workload>>,
    attestor: Arc<Attestor>,
}

/// Why a connection is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum Unaccepted {
    /// It has no process id here.
    #[error(
        "the client's process is not visible to the sidecar: run both in one pid namespace, or the sidecar in the host's"
    )]
    Hidden,
    /// All users that are not mapped look like this one.
    #[error(
        "the client's uid is {uid}, which stands for every user that the sidecar's user namespace does not map: give the service a uid of its own"
    )]
    Unmapped {
        /// The overflow uid.
        uid: u32,
    },
    /// It is gone already.
    #[error("the client's process ended before its connection was accepted")]
    Ended,
    /// The system's.
    #[error("the kernel does not tell who the client is: {0}")]
    Io(#[from] io::Error),
}

impl Peer {
    /// Asks the kernel who is at the other end of `stream`, and holds on to that process.
    ///
    /// # Errors
    /// [`Unaccepted`].
    pub fn of(stream: &UnixStream, attestor: &Arc<Attestor>) -> Result<Self, Unaccepted> {
        let peer = stream.peer_cred()?;
        let (uid, gid) = (peer.uid(), peer.gid());
        let pid = peer.pid().filter(|pid| *pid > 0).ok_or(Unaccepted::Hidden)?;
        if uid == attestor.overflow_uid() {
            return Err(Unaccepted::Unmapped { uid });
        }
        let peer = Self::held(uid, gid, pid, Hold::of(stream, pid, uid)?, attestor);
        // the number was this process's while it was used above
        if !peer.is_alive() {
            return Err(Unaccepted::Ended);
        }
        Ok(peer)
    }

    /// The process that `hold` holds, which has the number `pid`.
    #[must_use]
    pub fn held(uid: u32, gid: u32, pid: i32, hold: Hold, attestor: &Arc<Attestor>) -> Self {
        let peer = Self {
            uid,
            gid,
            pid,
            shared: Arc::new(Shared {
                hold,
                program: OnceLock::new(),
                workload: OnceCell::new(),
                attestor: Arc::clone(attestor),
            }),
        };
        attestor.note(&peer);
        peer
    }

    /// Remembers what it runs.
    fn note(&self) -> Option<&Program> {
        let program = self.shared.program.get_or_init(|| Program::of(self.pid));
        program.as_ref()
    }

    /// Returns when it is remembered what it ran when it was accepted. Nothing may be answered
    /// before: an answer tells a client that it was accepted, and it could go on as another program.
    ///
    /// # Errors
    /// [`NotAttested::Stopped`].
    pub async fn noted(&self) -> Result<(), NotAttested> {
        match self.shared.program.get() {
            Some(_) => Ok(()),
            None => self.shared.attestor.noted(self).await,
        }
    }

    /// True while the process lives. One system call, well under a microsecond.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.shared.hold.is_alive()
    }

    /// Whether the process lives and runs what it ran when it was accepted, as far as the calling
    /// thread may know: behind the fence none sees what others run. One system call more than
    /// [`Self::is_alive`].
    ///
    /// # Errors
    /// [`Lost`].
    pub fn check(&self) -> Result<(), Lost> {
        self.compare(|accepted, now| now.is_none_or(|now| now == *accepted))
    }

    /// The same for a thread that is not behind the fence: a program that it saw and sees no
    /// longer is another one.
    fn check_unfenced(&self) -> Result<(), Lost> {
        self.compare(|accepted, now| now.is_some_and(|now| now == *accepted))
    }

    fn compare(&self, same: impl FnOnce(&Program, Option<Program>) -> bool) -> Result<(), Lost> {
        let accepted = self.shared.program.get().and_then(Option::as_ref);
        let is_same = accepted.is_none_or(|accepted| same(accepted, Program::of(self.pid)));
        // last: the number was its own while it was used
        match (self.is_alive(), is_same) {
            (true, true) => Ok(()),
            (true, false) => Err(Lost::Changed),
            (false, _) => Err(Lost::Ended),
        }
    }

    /// The same by a thread that is not behind the fence: one of the attestor's, if this one is.
    ///
    /// # Errors
    /// [`NotAttested`].
    pub async fn recheck(&self) -> Result<(), NotAttested> {
        // a thread that is not behind the fence sees for itself; one that is sees nothing, and asks
        if self.shared.program.get().is_some() && self.check_unfenced().is_ok() {
            return Ok(());
        }
        self.shared.attestor.check(self).await
    }

    /// True when [`Self::check`] finds nothing.
    #[must_use]
    pub fn is_same(&self) -> bool {
        self.check().is_ok()
    }

    /// Returns when the process has ended.
    pub async fn gone(&self) {
        self.shared.hold.gone().await;
    }

    /// Who it is, when that is known already.
    #[must_use]
    pub fn workload_now(&self) -> Option<&Arc<Workload>> {
        self.shared.workload.get()
    }

    /// Who it is: found out once, by the attestor's threads. When a container engine does not
    /// answer, what it would say is absent, and it is asked again the next time.
    ///
    /// # Errors
    /// [`NotAttested`]: then nothing may be given to it.
    pub async fn workload(&self) -> Result<Arc<Workload>, NotAttested> {
        let shared = &self.shared;
        let found = shared.workload.get_or_try_init(|| async {
            match shared.attestor.attest(self).await {
                Ok(Found::Whole(workload)) => Ok(workload),
                Ok(Found::WithoutEngine(workload)) => Err(Ok(workload)),
                Err(error) => Err(Err(error)),
            }
        });
        match found.await {
            Ok(workload) => Ok(Arc::clone(workload)),
            Err(otherwise) => otherwise,
        }
    }
}
