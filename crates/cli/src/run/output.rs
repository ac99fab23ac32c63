//! Messages of a running supervisor: owns which are shown and how. The command's own output must
//! stay clear of them, so only what needs attention is said unless more is asked for.

use std::fmt::Display;
use std::io::Write as _;

use strongroom_core::inject::WithCauses;
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
        self.say(WithCauses(error));
    }

    pub(super) fn report(self, report: &Report<'_>) {
        if self.verbose || report.needs_attention() {
            self.say(report);
        }
    }
}
