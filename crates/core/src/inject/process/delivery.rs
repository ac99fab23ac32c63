//! What a supervisor does about a new revision: owns checking it, switching its files and telling
//! or replacing the process. It must not know what made it arrive.

use std::ffi::OsString;
use std::time::{Duration, Instant};

use super::child::{Child, Start};
use super::supervisor::{Next, Phase, Refused, Supervisor, Then, later};
use super::{OnChange, ProcessError, Report};
use crate::inject::Material;
use crate::inject::files::Prepared;

/// Files that could not be written, for want of room say, are tried again this much later.
const RETRY: Duration = Duration::from_secs(5);

impl Supervisor<'_> {
    /// Looks at a new revision and, when it is good, sets about delivering it.
    pub(super) fn consider(&mut self, material: Material) -> Result<(), ProcessError> {
        if matches!(
            self.phase,
            Phase::Stopping {
                then: Then::Finish,
                ..
            }
        ) {
            return Ok(());
        }
        let material = self.settings.trimmed(material);
        let files = match self.check(&material) {
            Ok(files) => files,
            Err(reason) => {
                self.refuse(material, &reason);
                return Ok(());
            }
        };
        self.refused = None;
        let next = Next { material, files };
        let changed = !next.material.same_values(&self.current);
        let restarts = self.settings.on_change == OnChange::Restart;
        match std::mem::replace(&mut self.phase, Phase::Running) {
            Phase::Stopping { until, killed, then } => {
                let then = if changed || matches!(then, Then::Replace(_)) {
                    self.drop_next(then);
                    Then::Replace(Box::new(next))
                } else {
                    self.switch(next);
                    then
                };
                self.phase = Phase::Stopping { until, killed, then };
            }
            // it may well be what the process failed for the want of
            Phase::Waiting { .. } if changed => {
                self.pause = self.settings.backoff.first;
                self.replace(next)?;
            }
            Phase::Running if changed && restarts => {
                self.child
                    .iter()
                    .for_each(|child| child.signal_all(self.settings.stop_signal));
                self.phase = self.stopping(Then::Replace(Box::new(next)));
            }
            phase => {
                self.phase = phase;
                if self.switch(next) && changed {
                    self.tell();
                }
            }
        }
        Ok(())
    }

    /// Everything that can be wrong with a revision is found here, before anything is touched.
    fn check(&mut self, material: &Material) -> Result<Option<Prepared>, ProcessError> {
        material.require(self.settings.all_required())?;
        self.settings.env.variables(material)?;
        let files = self.files.as_mut().map(|files| files.prepare(material));
        Ok(files.transpose()?)
    }

    fn refuse(&mut self, material: Material, reason: &ProcessError) {
        let revision = material.revision;
        self.refused = Some(match reason {
            ProcessError::Files(error) if error.is_temporary() => Refused::Later(later(RETRY), material),
            _ => Refused::Bad,
        });
        (self.report)(Report::Refused { revision, reason });
    }

    /// The revision that is to be tried again now.
    pub(super) fn retry(&mut self) -> Option<Material> {
        match self.refused.take() {
            Some(Refused::Later(at, material)) if at <= Instant::now() => Some(material),
            refused => {
                self.refused = refused;
                None
            }
        }
    }

    /// Notes that the values delivered last are of a later revision, too.
    pub(super) fn revise(&mut self) {
        if let Phase::Stopping {
            then: Then::Replace(_),
            ..
        } = self.phase
        {
            return;
        }
        let Some(revision) = self.revised.take() else {
            return;
        };
        match &mut self.refused {
            Some(Refused::Bad) => return,
            Some(Refused::Later(_, material)) => {
                material.revision = revision;
                return;
            }
            None => {}
        }
        if revision <= self.current.revision {
            return;
        }
        self.current.revision = revision;
        if let Some(Err(error)) = self.files.as_mut().map(|files| files.revise(revision)) {
            let reason = &error.into();
            (self.report)(Report::Refused { revision, reason });
            return;
        }
        (self.report)(Report::Delivered {
            revision,
            changed: false,
        });
    }

    /// Puts a checked revision's files into use, and its values in the place of the current.
    fn switch(&mut self, next: Next) -> bool {
        let Next { material, files } = next;
        let revision = material.revision;
        if let (Some(directory), Some(prepared)) = (&mut self.files, files) {
            match directory.switch(prepared) {
                Ok(applied) => applied
                    .notes
                    .iter()
                    .for_each(|note| (self.report)(Report::Note(note))),
                Err(error) => {
                    self.refuse(material, &error.into());
                    return false;
                }
            }
        }
        let changed = !material.same_values(&self.current);
        self.current = material;
        (self.report)(Report::Delivered { revision, changed });
        true
    }

    /// Starts the process with a new revision; with the one before if that fails.
    pub(super) fn replace(&mut self, next: Next) -> Result<(), ProcessError> {
        let revision = next.material.revision;
        let before = std::mem::replace(
            &mut self.current,
            Material {
                revision,
                values: Vec::new(),
                made: Vec::new(),
            },
        );
        if !self.switch(next) {
            self.current = before;
            return self.start();
        }
        let Err(reason) = self.start() else { return Ok(()) };
        (self.report)(Report::Refused {
            revision,
            reason: &reason,
        });
        self.refused = Some(Refused::Bad);
        self.current = before;
        if let Some(files) = &mut self.files {
            files.apply(&self.current)?;
        }
        self.start()
    }

    /// Tells the running process of a change.
    fn tell(&mut self) {
        match self.settings.on_change {
            OnChange::Signal(signal) => {
                let running = self.child.as_ref().filter(|child| child.is_running());
                if let Some(child) = running {
                    child.signal(signal);
                    (self.report)(Report::Signalled { signal });
                }
            }
            OnChange::Run(_) => self.run_command(),
            OnChange::Restart | OnChange::Nothing => {}
        }
    }

    pub(super) fn start(&mut self) -> Result<(), ProcessError> {
        let child = self.spawn(&self.settings.command, !self.shares_terminal, true)?;
        let pid = child.pid.as_raw_pid();
        let revision = self.current.revision;
        self.child = Some(child);
        self.phase = Phase::Running;
        (self.report)(Report::Started { pid, revision });
        Ok(())
    }

    pub(super) fn spawn(
        &self,
        command: &[OsString],
        own_group: bool,
        stdin: bool,
    ) -> Result<Child, ProcessError> {
        let variables = self.settings.env.variables(&self.current)?;
        let start = Start {
            command,
            variables: &variables,
            clean: self.settings.clean_env,
            own_group,
            stdin,
        };
        Child::start(&start, &self.events)
    }
}
