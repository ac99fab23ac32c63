//! What a supervisor said: owns which revision the process has by that, and what keeps a newer one
//! away. It must not know how it is supervised.

use strongroom_core::inject::WithCauses;
use strongroom_core::inject::process::{Exit, ProcessError, Report};

/// What was said so far.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// The revision that was delivered last.
    pub(super) revision: Option<u64>,
    /// What is wrong.
    pub(super) problem: Option<String>,
    /// It was never started, because of `problem`.
    pub(super) failed_to_start: bool,
    /// It does not run, and is to be started again.
    pub(super) is_down: bool,
    /// It ended for good.
    pub(super) has_ended: bool,
    /// The revision that the process was started with, or took up since.
    told: u64,
    /// The revision that brought the values delivered last; those after it changed nothing.
    changed: u64,
}

impl Heard {
    /// The revision that the process has: started with it, or was told of it and did not fail.
    pub(super) fn has(&self) -> Option<u64> {
        match self.told {
            0 => None,
            told if told < self.changed => Some(told),
            _ => self.revision,
        }
    }

    pub(super) fn hear(&mut self, report: &Report<'_>) {
        match report {
            Report::Started { revision, .. } => {
                self.revision = Some(*revision);
                (self.told, self.changed) = (*revision, *revision);
                self.is_down = false;
                self.problem = None;
            }
            Report::Delivered { revision, changed } => {
                self.revision = Some(*revision);
                if *changed {
                    self.changed = *revision;
                }
                // what failed for these values has not been made good by a revision that changes none
                if *changed || self.told >= self.changed {
                    self.problem = None;
                }
            }
            Report::Signalled { .. } => self.told = self.revision.unwrap_or_default(),
            Report::CommandDone { revision } => {
                self.told = *revision;
                self.problem = None;
            }
            Report::CommandFailed { .. } | Report::CommandKilled { .. } => {
                self.problem = Some(report.to_string());
            }
            Report::Exited { exit } => {
                self.is_down = true;
                self.problem = Some(format!("it ended: {exit}"));
            }
            Report::Refused { reason, .. } => self.problem = Some(WithCauses(*reason).to_string()),
            _ => {}
        }
    }

    /// The supervision is over.
    pub(super) fn end(&mut self, ended: &Result<Exit, ProcessError>) {
        self.is_down = true;
        match ended {
            Ok(exit) => {
                self.has_ended = true;
                self.problem = Some(format!("it ended: {exit}"));
            }
            Err(error) => {
                self.failed_to_start = self.revision.is_none();
                self.problem = Some(WithCauses(error).to_string());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(reports: &[Report<'_>]) -> Heard {
        let mut heard = Heard::default();
        reports.iter().for_each(|report| heard.hear(report));
        heard
    }

    const STARTED: Report<'_> = Report::Started { pid: 9, revision: 4 };

    const fn delivered(revision: u64, changed: bool) -> Report<'static> {
        Report::Delivered { revision, changed }
    }

    #[test]
    fn a_process_has_what_it_was_started_with_and_what_changed_nothing_since() {
        assert_eq!(heard(&[]).has(), None);
        assert_eq!(heard(&[STARTED]).has(), Some(4));
        assert_eq!(heard(&[STARTED, delivered(5, false)]).has(), Some(5));
        // not before it was told, or started anew
        assert_eq!(heard(&[STARTED, delivered(5, true)]).has(), Some(4));
        assert_eq!(
            heard(&[STARTED, delivered(5, true), delivered(6, false)]).has(),
            Some(4)
        );
        let again = Report::Started { pid: 10, revision: 5 };
        assert_eq!(heard(&[STARTED, delivered(5, true), again]).has(), Some(5));
    }

    #[test]
    fn a_command_that_fails_leaves_it_where_it_was_until_one_succeeds() {
        let failed = || [STARTED, delivered(5, true), Report::CommandFailed { exit: None }];
        let problem = Some("the command run on changes could not be started".to_owned());
        assert_eq!(
            (heard(&failed()).has(), heard(&failed()).problem),
            (Some(4), problem.clone())
        );
        let mut later = heard(&failed());
        later.hear(&delivered(6, false));
        assert_eq!((later.has(), &later.problem), (Some(4), &problem));
        later.hear(&Report::CommandDone { revision: 5 });
        assert_eq!((later.has(), later.problem), (Some(6), None));
    }
}
