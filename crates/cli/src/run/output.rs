//! Messages of a running supervisor: owns which are shown and how. The command's own output must
//! stay clear of them, so only what needs attention is said unless more is asked for.

use std::error::Error;
use std::fmt::Display;
use std::io::Write as _;

use strongroom_core::inject::process::{ProcessError, Report};

#[derive(Clone, Copy, Debug)]
pub(super) struct Output {
    pub(super) name: &'static str,
    pub(super) verbose: bool,
}

impl Output {
    pub(super) fn say(self, message: impl Display) {
        // there is nowhere left to complain to
        let _ = writeln!(std::io::stderr(), "{}: {message}", self.name);
    }

    pub(super) fn failed(self, error: &ProcessError) {
        self.say(Chain(error));
    }

    pub(super) fn report(self, report: &Report<'_>) {
        match report {
            Report::Refused { revision, reason } => self.say(format_args!(
                "revision {revision} was not delivered, the one before stays: {}",
                Chain(*reason)
            )),
            report if self.verbose || report.needs_attention() => self.say(report),
            _ => {}
        }
    }
}

/// An error and what caused it, in one line.
struct Chain<'a>(&'a dyn Error);

impl Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Display::fmt(self.0, f)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
