//! Who a process is: owns finding out what the kernel says of it, from `/proc`. A container
//! engine is asked by [`engine`]. It must not know what a workload may do, nor how it connected.
//!
//! Reading `/proc` is I/O in a crate that otherwise has it passed in: the sidecar and
//! `strongroom workload explain` must see the same, so it is here once.

pub mod cgroup;
pub mod engine;

mod bounded;
mod digest;
mod process;

pub use digest::Digests;
pub use process::{Process, Program};

use crate::workload::{Executable, Kernel};

/// Why nothing can be said about a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// It ended.
    #[error("the process ended")]
    Ended,
    /// It runs another program than when it was first looked at.
    #[error("the process runs another program now")]
    Changed,
    /// Its groups or control groups cannot be read, though it lives.
    #[error("what the kernel says of the process cannot be read whole")]
    Unread,
}

/// What the kernel says of `process`, which connected as `uid` and `gid`. What may not be read is
/// absent. Reads the whole program when `digests` does not know it: not for a thread that serves.
///
/// # Errors
/// [`Lost`] when the process ended or began another program meanwhile, or its groups cannot be read.
pub fn kernel(process: &Process, uid: u32, gid: u32, digests: &Digests) -> Result<Kernel, Lost> {
    let before = process.program();
    // a process that was opened says both; without them, what a policy forbids them would be allowed
    let unread = |_| {
        if process.is_alive() {
            Lost::Unread
        } else {
            Lost::Ended
        }
    };
    let groups = process.groups().map_err(unread)?;
    let place = cgroup::place(&process.cgroup().map_err(unread)?);
    let executable = process.executable(digests);
    if !process.is_alive() {
        return Err(Lost::Ended);
    }
    if process.program() != before {
        return Err(Lost::Changed);
    }
    Ok(Kernel {
        uid,
        gid,
        groups,
        pid: Some(process.pid()),
        executable: executable.map(|(path, sha256)| Executable {
            path,
            sha256: sha256.map(|hash| hash.to_string()),
        }),
        cgroup: place.path,
        container: place.container,
        unit: place.unit,
        user_unit: place.user_unit,
    })
}
