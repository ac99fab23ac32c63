//! What the process gives up before it reads a secret: owns the umask, core dumps, tracing by
//! others, and room for many connections.

use rustix::process::{DumpableBehavior, Resource, Rlimit};

/// Does it.
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
