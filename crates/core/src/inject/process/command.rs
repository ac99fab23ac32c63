//! The command that runs on changes: owns that one runs at a time, for a limited time, and that
//! none outlives the supervision. It must not know what changed.

use super::child::Child;
use super::supervisor::Supervisor;
use super::{OnChange, Report, Signal};

/// The command of a supervisor.
#[derive(Debug, Default)]
pub(super) struct OnChangeCommand {
    pub(super) running: Option<Child>,
    /// The revision it was started for.
    revision: u64,
    /// It took too long: it was killed and that was told.
    killed: bool,
    /// Values changed again while it ran.
    again: bool,
}

impl Supervisor<'_> {
    /// Runs it now, or once more when the one that runs has ended.
    pub(super) fn run_command(&mut self) {
        if self.command.running.is_some() {
            self.command.again = true;
            return;
        }
        let OnChange::Run(command) = &self.settings.on_change else {
            return;
        };
        match self.spawn(command, true, false) {
            Ok(child) => {
                self.command = OnChangeCommand {
                    running: Some(child),
                    revision: self.current.revision,
                    ..OnChangeCommand::default()
                }
            }
            Err(_) => (self.report)(Report::CommandFailed { exit: None }),
        }
    }

    /// When the one that runs has taken too long.
    pub(super) fn command_limit(&self) -> Option<std::time::Instant> {
        let running = self.command.running.as_ref().filter(|_| !self.command.killed);
        running.and_then(|child| child.since.checked_add(self.settings.command_limit))
    }

    /// Kills one that took too long, and looks whether it has ended.
    pub(super) fn look_after_command(&mut self) {
        let Some(child) = &self.command.running else {
            return;
        };
        if let Some(exit) = child.exit {
            if !self.command.killed {
                let revision = self.command.revision;
                (self.report)(match exit.is_success() {
                    true => Report::CommandDone { revision },
                    false => Report::CommandFailed { exit: Some(exit) },
                });
            }
            if std::mem::take(&mut self.command).again {
                self.run_command();
            }
        } else if self
            .command_limit()
            .is_some_and(|at| at <= std::time::Instant::now())
        {
            child.signal_all(Signal::KILL);
            self.command.killed = true;
            (self.report)(Report::CommandKilled {
                limit: self.settings.command_limit,
            });
        }
    }

    /// Kills the one that runs, and waits until it has ended.
    pub(super) fn end_command(&mut self) {
        if let Some(child) = std::mem::take(&mut self.command).running {
            child.kill();
        }
    }
}
