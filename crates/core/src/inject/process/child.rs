//! One started process: owns spawning, signalling and reaping it. It must not know revisions.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use rustix::io::Errno;
use rustix::process::{Pid, WaitId, WaitIdOptions, WaitOptions, WaitStatus};

use super::channel::Sender;
use super::{Exit, ProcessError, Signal};
use crate::inject::env::Variables;

/// A process that was started and, until `exit` is set, not reaped.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) pid: Pid,
    /// True when it leads a group of its own that is not known to be gone.
    leads: bool,
    pub(super) since: Instant,
    pub(super) exit: Option<Exit>,
}

/// What a command is started with.
pub(super) struct Start<'a> {
    pub(super) command: &'a [std::ffi::OsString],
    pub(super) variables: &'a Variables<'a>,
    pub(super) clean: bool,
    pub(super) own_group: bool,
    /// False: it reads from nowhere.
    pub(super) stdin: bool,
}

impl Child {
    pub(super) fn start(start: &Start<'_>, events: &Sender) -> Result<Self, ProcessError> {
        let (program, arguments) = start.command.split_first().ok_or(ProcessError::NoCommand)?;
        let mut command = Command::new(program);
        command.args(arguments);
        if start.clean {
            command.env_clear();
        }
        start.variables.apply(&mut command);
        if start.own_group {
            command.process_group(0);
        }
        if !start.stdin {
            command.stdin(Stdio::null());
        }
        // before there is anything to watch: a process that nobody would reap is not started
        let (tell, told) = channel();
        watch(told, events.clone()).map_err(|source| ProcessError::System {
            action: "start a thread",
            source,
        })?;
        let child = command.spawn().map_err(|source| {
            let program = program.clone();
            match Errno::from_io_error(&source) {
                Some(Errno::NOENT) => ProcessError::NotFound { program },
                Some(Errno::ACCESS | Errno::NOEXEC | Errno::PERM) => ProcessError::NotExecutable { program },
                Some(Errno::TOOBIG) => ProcessError::TooLarge { program },
                _ => ProcessError::System {
                    action: "start the process",
                    source,
                },
            }
        })?;
        let pid = Pid::from_child(&child);
        // the thread waits for this and for nothing else
        let _ = tell.send(pid);
        Ok(Self {
            pid,
            leads: start.own_group,
            since: Instant::now(),
            exit: None,
        })
    }

    pub(super) fn is_running(&self) -> bool {
        self.exit.is_none()
    }

    /// Sends a signal to the process alone.
    pub(super) fn signal(&self, signal: Signal) {
        if self.is_running() {
            // it may be gone already: then there is nobody to tell
            let _ = rustix::process::kill_process(self.pid, signal.raw());
        }
    }

    /// Sends a signal to its whole group, or to it alone when the group is not its own.
    pub(super) fn signal_all(&self, signal: Signal) {
        if self.leads {
            let _ = rustix::process::kill_process_group(self.pid, signal.raw());
        } else {
            self.signal(signal);
        }
    }

    /// True while it, or anything else in a group of its own, is there.
    pub(super) fn is_group_alive(&self) -> bool {
        self.is_running() || (self.leads && rustix::process::test_kill_process_group(self.pid).is_ok())
    }

    /// Never signals its group again: once that is gone its number may become another's.
    pub(super) fn forget_group(&mut self) {
        self.leads = false;
    }

    /// Kills it and its group, and waits until it has ended.
    pub(super) fn kill(self) {
        if self.is_running() {
            self.signal_all(Signal::KILL);
            while matches!(
                rustix::process::waitpid(Some(self.pid), WaitOptions::empty()),
                Err(Errno::INTR)
            ) {}
        }
    }

    /// Reaps it if it has ended.
    pub(super) fn reap(&mut self) {
        if !self.is_running() {
            return;
        }
        match rustix::process::waitpid(Some(self.pid), WaitOptions::NOHANG) {
            Ok(Some((_, status))) => self.exit = exit_of(status),
            // somebody else in this process took its exit: all that is known is that it ended
            Err(Errno::CHILD) => self.exit = Some(Exit::Code(1)),
            _ => {}
        }
    }
}

/// Reaps any one descendant that has ended.
pub(super) fn reap_any() -> Option<(Pid, Option<Exit>)> {
    match rustix::process::wait(WaitOptions::NOHANG) {
        Ok(Some((pid, status))) => Some((pid, exit_of(status))),
        _ => None,
    }
}

fn exit_of(status: WaitStatus) -> Option<Exit> {
    let code = status.exit_status().map(Exit::Code);
    code.or_else(|| status.terminating_signal().map(Exit::Signal))
}

/// Says when the process that is told of has ended, without reaping it: that is the supervisor's
/// alone.
fn watch(told: Receiver<Pid>, events: Sender) -> io::Result<()> {
    std::thread::Builder::new()
        .name("wait".into())
        .spawn(move || {
            // nothing was started when nothing is told
            let Ok(pid) = told.recv() else { return };
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            while matches!(
                rustix::process::waitid(WaitId::Pid(pid), options),
                Err(Errno::INTR)
            ) {}
            events.ended();
        })
        .map(drop)
}
