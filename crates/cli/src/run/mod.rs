//! Running a command with injected values: owns what `strongroom run` and `strongroom-run` share,
//! from a source of revisions to an exit code. It must not know stores and keys.

pub mod args;
mod output;
pub mod socket;
pub mod words;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use strongroom_core::inject::Material;
use strongroom_core::inject::process::{self, Handle, ProcessError, ProcessSettings};

use output::Output;

/// Where revisions come from: a store or a sidecar.
pub trait Source: Send + 'static {
    /// The first call gives the values of the current revision, each later one waits for the next
    /// revision. `None` when there will be no more. It is called again after an error, a second
    /// later.
    ///
    /// # Errors
    /// [`SourceError`].
    fn next(&mut self) -> Result<Option<Update>, SourceError>;
}

/// What a source tells.
#[derive(Debug)]
pub enum Update {
    /// The values of a revision. They may be the same as before.
    Values(Material),
    /// A later revision whose values are surely those told last; also the same one again, when it
    /// is known anew after an error.
    Revision(u64),
}

/// Values could not be read.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct SourceError {
    /// What happened, to what, what to do next; never with a value.
    pub message: String,
    /// The exit code if nothing was started yet.
    pub exit: u8,
}

/// How to run a command.
#[derive(Debug)]
pub struct Options {
    /// The command and what it gets.
    pub process: ProcessSettings,
    /// What messages on stderr begin with.
    pub name: &'static str,
    /// True: tell what goes well, too.
    pub verbose: bool,
}

/// Runs a command with the values of `source` and follows it; returns the code to exit with: the
/// command's own, or 128 and the number of the signal that ended it, or 1 to 5, 126 and 127 when
/// it was not started.
///
/// This takes over the process: its signals, its orphaned descendants, and stderr for messages.
pub fn supervise(mut source: impl Source, options: Options) -> u8 {
    let Options {
        mut process,
        name,
        verbose,
    } = options;
    let output = Output { name, verbose };
    protect();
    let early = end_early();
    process.reap_orphans = adopt_orphans();
    let first = match source.next() {
        Ok(Some(Update::Values(material))) => material,
        Ok(Some(Update::Revision(_)) | None) => {
            output.say("there is nothing to deliver: the source ended before its first revision");
            return 1;
        }
        Err(error) => {
            output.say(error.message);
            return error.exit;
        }
    };
    let (handle, updates) = process::channel();
    if process.follows() {
        let follower = std::thread::Builder::new().name("source".into());
        if let Err(error) = follower.spawn(move || follow(source, &handle, output)) {
            output.say(format_args!("could not start a thread: {error}"));
            return 1;
        }
    } else {
        drop(source);
    }
    early.store(false, Ordering::Relaxed);
    match process::supervise(process, first, updates, &mut |report| output.report(&report)) {
        Ok(exit) => u8::try_from(exit.code()).unwrap_or(1),
        Err(error) => {
            output.failed(&error);
            code(&error)
        }
    }
}

fn follow(mut source: impl Source, handle: &Handle, output: Output) {
    // what was told last, until it is over: it is tried every second, and told when it changes
    let mut trouble = None;
    loop {
        match source.next() {
            Ok(Some(update)) => {
                if trouble.take().is_some() {
                    output.say("changes are followed again");
                }
                let heard = match update {
                    Update::Values(material) => handle.deliver(material),
                    Update::Revision(revision) => handle.revised(revision),
                };
                if !heard {
                    return;
                }
            }
            Ok(None) => return,
            Err(error) => {
                if trouble.as_ref() != Some(&error.message) {
                    output.say(&error.message);
                    trouble = Some(error.message);
                }
                std::thread::sleep(Duration::from_secs(1));
            }
        }
    }
}

fn code(error: &ProcessError) -> u8 {
    error
        .exec_code()
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(1)
}

/// Plaintext is in this process's memory: no core dumps, no tracing by the same user.
fn protect() {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    // where the kernel does not know it there is nothing else to do
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

/// Lets process 1 be ended while it waits for values: the kernel drops what it does not handle.
/// True as long as that is so.
fn end_early() -> Arc<AtomicBool> {
    let early = Arc::new(AtomicBool::new(true));
    if rustix::process::getpid().is_init() {
        for signal in [SIGTERM, SIGINT] {
            // failing, it can still be killed
            let _ = flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&early));
        }
    }
    early
}

/// Becomes the parent of orphaned descendants, as process 1 is anyway, so that they are reaped.
fn adopt_orphans() -> bool {
    let own = rustix::process::getpid();
    own.is_init() || rustix::process::set_child_subreaper(Some(own)).is_ok()
}
