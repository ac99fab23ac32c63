//! What the process gives up before it reads a secret: owns the umask, core dumps, tracing by
//! others, swap, and room for many connections.

use rustix::mm::MlockAllFlags;
use rustix::process::{DumpableBehavior, Resource, Rlimit};

/// No core dump, no debugger of the same user, files of its own for nobody else.
///
/// # Errors
/// The system's: a sidecar that can dump core is not started.
pub fn process() -> std::io::Result<()> {
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    rustix::process::setrlimit(Resource::Core, none)?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    let files = rustix::process::getrlimit(Resource::Nofile);
    let most = Rlimit {
        current: files.maximum,
        maximum: files.maximum,
    };
    // fewer connections are served, and the log says so, when it stays low
    let _ = rustix::process::setrlimit(Resource::Nofile, most);
    Ok(())
}

/// Keeps the whole process out of swap, keys and plaintexts with it, if it may lock as much as it
/// likes. With any lower limit an allocation would fail one day.
pub fn lock_memory() {
    let hard = rustix::process::getrlimit(Resource::Memlock).maximum;
    let raised = Rlimit {
        current: hard,
        maximum: hard,
    };
    let _ = rustix::process::setrlimit(Resource::Memlock, raised);
    // a page is locked once it is used, so this costs no memory
    let all = MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT;
    if rustix::mm::mlockall(all).is_ok() && hard.is_none_or(is_not_held_to) {
        return;
    }
    let _ = rustix::mm::munlockall();
    tracing::info!(
        "memory can be swapped out: give the sidecar an unlimited RLIMIT_MEMLOCK (systemd: LimitMEMLOCK=infinity) or CAP_IPC_LOCK"
    );
}

/// Tries it: room for a stack is never used, and costs nothing.
fn is_not_held_to(limit: u64) -> bool {
    let beyond = usize::try_from(limit).unwrap_or(usize::MAX).saturating_add(1);
    let thread = std::thread::Builder::new().stack_size(beyond).spawn(|| ());
    thread.is_ok_and(|thread| thread.join().is_ok())
}
