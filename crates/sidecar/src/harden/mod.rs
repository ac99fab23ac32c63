//! What the process gives up: owns [`process`], before it reads a secret, and [`fence`], before it
//! reads what others send.
//!
//! The fence holds for the thread that puts it up and for every thread started from it: those
//! that accept and serve connections, follow the store, keep the copy and report. Threads that were
//! started before are outside, because they must do what it forbids: the injecting thread starts
//! programs and writes where the settings say, also after a reload; who finds out about peers
//! looks at other processes; the audit log's own makes its directory again when it is gone.

mod calls;
mod files;
mod process;

use crate::settings::{Sandbox, Settings, Surroundings, Syscalls};

pub use files::{Access, paths};
pub use process::{lock_memory, process};

/// What holds for this thread and those started from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fence {
    /// Files that the settings do not name are out of reach.
    pub files: bool,
    /// System calls that are not needed are not made.
    pub syscalls: bool,
}

/// Puts up what the settings ask for and the kernel has; what it has not is said, and left out.
pub fn fence(settings: &Settings, around: &Surroundings) -> Fence {
    let Sandbox { files, syscalls } = settings.sandbox;
    Fence {
        files: files && hold_files(settings, around),
        syscalls: match syscalls {
            Syscalls::Off => false,
            Syscalls::Refuse => hold_calls(false),
            Syscalls::Kill => hold_calls(true),
        },
    }
}

fn hold_files(settings: &Settings, around: &Surroundings) -> bool {
    match files::restrict(&paths(settings, around)) {
        Ok(files::Held::Whole) => true,
        Ok(files::Held::Part) => {
            tracing::info!("this kernel's Landlock is old: it holds only part of what it should");
            true
        }
        Ok(files::Held::Nothing) => {
            tracing::warn!("this kernel has no Landlock: files that the settings do not name stay in reach");
            false
        }
        Err(error) => {
            tracing::warn!(%error, "files that the settings do not name stay in reach");
            false
        }
    }
}

fn hold_calls(kill: bool) -> bool {
    match calls::restrict(kill) {
        Ok(()) => true,
        Err(error) => {
            tracing::warn!(%error, "system calls that are not needed are not refused");
            false
        }
    }
}
