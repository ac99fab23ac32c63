//! Holding on to a process: owns telling it from whoever has its number later, and noticing its
//! end. It must not know what the process is.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{getsockopt, sockopt::PeerPidfd};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use strongroom_core::attest::Process;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::UnixStream;

use super::Unaccepted;
use crate::timer;

/// How often a process is looked at that cannot be waited for.
const LOOK: Duration = Duration::from_secs(1);

/// A process that is held.
#[derive(Debug)]
pub enum Hold {
    /// By a descriptor that the kernel made of the connection: no other process was ever meant.
    Pidfd(OwnedFd),
    /// By its directory in `/proc` and its start time, on kernels before 6.5: a process that ended
    /// before its connection was accepted, and whose number and user another had by then, is not
    /// told from that one.
    Directory(Process),
}

impl Hold {
    /// Holds the process at the other end of `stream`, which has the number `pid` and the user `uid`.
    pub(super) fn of(stream: &UnixStream, pid: i32, uid: u32) -> Result<Self, Unaccepted> {
        match getsockopt(stream, PeerPidfd) {
            Ok(descriptor) => Ok(Self::Pidfd(descriptor)),
            Err(Errno::ENOPROTOOPT) => Self::directory(pid, uid),
            Err(Errno::ESRCH | Errno::EINVAL | Errno::ENODATA) => Err(Unaccepted::Ended),
            Err(errno) => Err(io::Error::from(errno).into()),
        }
    }

    /// Holds the process that has the number `pid` now, if it is of `uid`.
    ///
    /// # Errors
    /// [`Unaccepted`].
    pub fn directory(pid: i32, uid: u32) -> Result<Self, Unaccepted> {
        let process = Process::open(pid)?;
        if process.owner()?.0 != uid {
            return Err(Unaccepted::Ended);
        }
        Ok(Self::Directory(process))
    }

    /// True while it lives.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        match self {
            Self::Pidfd(descriptor) => {
                let mut wait = [PollFd::new(descriptor, PollFlags::IN)];
                // a descriptor of a process is readable once it ended
                matches!(poll(&mut wait, Some(&Timespec::default())), Ok(0))
            }
            Self::Directory(process) => process.is_alive(),
        }
    }

    /// Returns when it has ended.
    pub async fn gone(&self) {
        if let Self::Pidfd(descriptor) = self
            && let Ok(watched) = watch(descriptor)
            && watched.readable().await.is_ok()
        {
            return;
        }
        // who cannot look again takes it for gone
        while self.is_alive() && timer::sleep(LOOK).await.is_some() {}
    }
}

/// Watches a descriptor by the runtime of the calling thread.
#[expect(
    deprecated,
    reason = "unsound where a descriptor may close under it; this one is borrowed for as long"
)]
fn watch(descriptor: &OwnedFd) -> io::Result<AsyncFd<BorrowedFd<'_>>> {
    AsyncFd::with_interest(descriptor.as_fd(), Interest::READABLE)
}
