//! The supervisor: owns the loop that reacts to revisions, signals and exits, one at a time. It
//! must not know how a process is started or a file written.

use std::time::{Duration, Instant};

use rustix::process::Signal as Raw;

use super::channel::{News, Sender, Updates};
use super::child::{Child, reap_any};
use super::command::OnChangeCommand;
use super::{Exit, ProcessError, ProcessSettings, Report, Restart, Signal};
use crate::inject::Material;
use crate::inject::files::{Directory, Prepared};

/// How often a group is looked at that outlives its leader; nothing tells when it is empty.
const LINGER: Duration = Duration::from_millis(20);

/// What the supervisor is about.
#[derive(Debug)]
pub(super) enum Phase {
    /// The process runs and should.
    Running,
    /// The process, or what is left of its group, has until then to end.
    Stopping {
        until: Instant,
        killed: bool,
        then: Then,
    },
    /// The process is started again at that time.
    Waiting { until: Instant },
}

/// What follows when a process has ended that had to.
#[derive(Debug)]
pub(super) enum Then {
    Finish,
    /// Start it with this revision.
    Replace(Box<Next>),
    /// Start it again after a pause.
    Again,
}

/// A revision that was checked and whose files are written.
#[derive(Debug)]
pub(super) struct Next {
    pub(super) material: Material,
    pub(super) files: Option<Prepared>,
}

/// A revision that could not be delivered.
#[derive(Debug)]
pub(super) enum Refused {
    /// It will not do.
    Bad,
    /// It is tried again at that time.
    Later(Instant, Material),
}

pub(super) struct Supervisor<'a> {
    pub(super) settings: ProcessSettings,
    pub(super) events: Sender,
    pub(super) report: &'a mut dyn FnMut(Report<'_>),
    pub(super) files: Option<Directory>,
    pub(super) current: Material,
    pub(super) shares_terminal: bool,
    pub(super) child: Option<Child>,
    pub(super) command: OnChangeCommand,
    pub(super) phase: Phase,
    pub(super) pause: Duration,
    /// When a signal last asked the process to end.
    pub(super) asked: Option<Instant>,
    /// A later revision that the values delivered last are of, too.
    pub(super) revised: Option<u64>,
    /// Set while the newest values are not those of the process.
    pub(super) refused: Option<Refused>,
}

impl Supervisor<'_> {
    pub(super) fn run(&mut self, updates: &Updates) -> Result<Exit, ProcessError> {
        if let Some(files) = &mut self.files {
            let applied = files.apply(&self.current)?;
            applied
                .notes
                .iter()
                .for_each(|note| (self.report)(Report::Note(note)));
        }
        self.start()?;
        loop {
            let News {
                newest,
                revised,
                signals,
                stop,
                kill,
            } = updates.wait(self.due());
            if newest.is_some() || revised.is_some() {
                self.revised = revised;
            }
            signals.into_iter().for_each(|signal| self.signalled(signal));
            if stop {
                self.stop(self.settings.stop_signal);
            }
            if kill {
                self.kill();
            }
            self.reap();
            self.look_after_command();
            // an exit counts before a revision that arrived with it
            if let Some(exit) = self.advance()? {
                return Ok(exit);
            }
            if let Some(material) = newest.or_else(|| self.retry()) {
                self.consider(material)?;
            }
            self.revise();
        }
    }

    /// When it is time for something, whatever arrives until then.
    fn due(&self) -> Option<Instant> {
        let running = self.child.as_ref().is_some_and(Child::is_running);
        let phase = match &self.phase {
            Phase::Running => None,
            Phase::Waiting { until } => Some(*until),
            Phase::Stopping {
                until, killed: false, ..
            } if running => Some(*until),
            Phase::Stopping { .. } => Some(later(LINGER)),
        };
        let retry = match &self.refused {
            Some(Refused::Later(at, _)) => Some(*at),
            _ => None,
        };
        [phase, retry, self.command_limit()].into_iter().flatten().min()
    }

    fn signalled(&mut self, signal: Signal) {
        match signal.raw() {
            Raw::CHILD => {}
            Raw::TERM => self.stop(signal),
            // the terminal has given these to the whole group already
            Raw::INT | Raw::QUIT if self.shares_terminal => self.ask(),
            Raw::INT | Raw::QUIT => {
                self.ask();
                self.child.iter().for_each(|child| child.signal_all(signal));
            }
            Raw::WINCH | Raw::TSTP | Raw::CONT => {
                self.child.iter().for_each(|child| child.signal_all(signal));
            }
            _ => self.child.iter().for_each(|child| child.signal(signal)),
        }
    }

    /// Notes that the process was asked to end by a signal that it may also take otherwise.
    fn ask(&mut self) {
        self.asked = Some(Instant::now());
        if let Phase::Waiting { .. } = self.phase {
            self.finish_now();
        }
    }

    /// Asks the process to end; supervision ends with it.
    fn stop(&mut self, signal: Signal) {
        self.asked = Some(Instant::now());
        self.child.iter().for_each(|child| child.signal_all(signal));
        match std::mem::replace(&mut self.phase, Phase::Running) {
            Phase::Running => self.phase = self.stopping(Then::Finish),
            Phase::Stopping { until, killed, then } => {
                self.drop_next(then);
                self.phase = Phase::Stopping {
                    until,
                    killed,
                    then: Then::Finish,
                };
            }
            Phase::Waiting { .. } => self.finish_now(),
        }
    }

    /// Ends the process without asking; supervision ends with it.
    fn kill(&mut self) {
        self.stop(Signal::KILL);
        if let Phase::Stopping { killed, .. } = &mut self.phase {
            *killed = true;
        }
    }

    /// There is no process to wait for: supervision ends in the next step.
    fn finish_now(&mut self) {
        self.phase = Phase::Stopping {
            until: Instant::now(),
            killed: true,
            then: Then::Finish,
        };
    }

    pub(super) fn stopping(&self, then: Then) -> Phase {
        Phase::Stopping {
            until: later(self.settings.grace),
            killed: false,
            then,
        }
    }

    pub(super) fn drop_next(&mut self, then: Then) {
        if let Then::Replace(next) = then
            && let (Some(files), Some(prepared)) = (&mut self.files, next.files)
        {
            files.discard(prepared);
        }
    }

    fn reap(&mut self) {
        if self.settings.reap_orphans {
            while let Some((pid, exit)) = reap_any() {
                let own = [&mut self.child, &mut self.command.running].into_iter().flatten();
                own.filter(|child| child.pid == pid)
                    .for_each(|child| child.exit = exit);
            }
        }
        [&mut self.child, &mut self.command.running]
            .into_iter()
            .flatten()
            .for_each(Child::reap);
    }

    /// Does what is due: after an exit, at the end of a pause or of a grace. `Some` at the end.
    fn advance(&mut self) -> Result<Option<Exit>, ProcessError> {
        let now = Instant::now();
        match &mut self.phase {
            Phase::Running => match self.child.as_ref().and_then(|child| child.exit) {
                Some(exit) => Ok(self.ended(exit)),
                None => Ok(None),
            },
            Phase::Waiting { until } => {
                if *until <= now {
                    self.start()?;
                }
                Ok(None)
            }
            Phase::Stopping { until, killed, .. } => {
                let there = self.child.as_ref().is_some_and(Child::is_group_alive);
                let running = self.child.as_ref().is_some_and(Child::is_running);
                if there && !*killed {
                    if *until <= now {
                        *killed = true;
                        self.child.iter().for_each(|child| child.signal_all(Signal::KILL));
                        (self.report)(Report::Killed {
                            grace: self.settings.grace,
                        });
                    }
                    return Ok(None);
                }
                // killed descendants vanish by themselves; the process itself is waited for
                if running { Ok(None) } else { self.stopped() }
            }
        }
    }

    /// The process ended without a deadline set for it.
    fn ended(&mut self, exit: Exit) -> Option<Exit> {
        let lived = self
            .child
            .as_ref()
            .map_or(Duration::ZERO, |child| child.since.elapsed());
        let asked = self.asked.is_some_and(|at| at.elapsed() <= self.settings.grace);
        let again = match self.settings.restart {
            Restart::Never => false,
            Restart::OnFailure => !exit.is_success(),
            Restart::Always => true,
        };
        (self.report)(Report::Exited { exit });
        if asked || !again {
            return Some(exit);
        }
        if lived >= self.settings.backoff.reset {
            self.pause = self.settings.backoff.first;
        }
        // what it left in its group must not meet its successor
        self.child
            .iter()
            .for_each(|child| child.signal_all(self.settings.stop_signal));
        self.phase = self.stopping(Then::Again);
        None
    }

    /// The process and its group are gone, as they had to be.
    fn stopped(&mut self) -> Result<Option<Exit>, ProcessError> {
        self.child.iter_mut().for_each(Child::forget_group);
        let exit = self.child.as_ref().and_then(|child| child.exit);
        let Phase::Stopping { then, .. } = std::mem::replace(&mut self.phase, Phase::Running) else {
            return Ok(None);
        };
        match then {
            Then::Finish => {
                let exit = exit.unwrap_or(Exit::Signal(self.settings.stop_signal.number()));
                (self.report)(Report::Exited { exit });
                return Ok(Some(exit));
            }
            Then::Replace(next) => self.replace(*next)?,
            Then::Again => {
                let pause = self.pause;
                self.pause = pause.saturating_mul(2).min(self.settings.backoff.most);
                self.phase = Phase::Waiting { until: later(pause) };
                (self.report)(Report::Waiting { pause });
            }
        }
        Ok(None)
    }

    pub(super) fn clear(&mut self) {
        if self.settings.clear_files
            && let Some(files) = &mut self.files
            && let Err(reason) = files.clear()
        {
            (self.report)(Report::NotCleared { reason: &reason });
        }
    }
}

/// The moment so long from now; a year at most, which every clock can tell.
pub(super) fn later(pause: Duration) -> Instant {
    Instant::now() + pause.min(Duration::from_secs(365 * 24 * 60 * 60))
}
