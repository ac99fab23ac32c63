//! Targets that a program knows: owns how it is called and what its exit means (`docs/rotation.md`,
//! "Programs"). It must not know what it does.

mod child;
mod redact;
mod request;

use std::ffi::OsString;
use std::time::Duration;

use super::lock::Lock;
use super::{Action, Call, Target, Trouble};
use crate::rotation::plan::ExecPlan;
use child::Ended;
use redact::Redact;

/// The exit code of a program whose target may do it later.
const LATER: i32 = 75;

/// A program that knows a target.
pub struct Exec<'a> {
    /// The program.
    pub plan: &'a ExecPlan,
    /// Its whole environment.
    pub variables: Vec<(OsString, OsString)>,
    /// The lock that it inherits.
    pub lock: &'a Lock,
    /// What it says on stderr, line by line, none of which holds a value.
    pub says: &'a mut dyn FnMut(&str),
}

impl std::fmt::Debug for Exec<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exec")
            .field("plan", self.plan)
            .finish_non_exhaustive()
    }
}

impl Target for Exec<'_> {
    fn perform(&mut self, call: &Call<'_>, limit: Duration) -> Result<(), Trouble> {
        let verb = match call.action {
            Action::Apply => "apply",
            Action::ProbeNew | Action::ProbeOld => "probe",
            Action::Retire => "retire",
            Action::Undo => "undo",
        };
        let failed = |problem: String| Trouble::Failed(format!("the program, asked to {verb}, {problem}"));
        let asked = request::of(call).map_err(|error| Trouble::Failed(error.to_string()))?;
        let start = child::Start {
            program: &self.plan.program,
            arguments: self.plan.arguments.iter().map(String::as_str).chain([verb]),
            variables: &self.variables,
            input: &asked.input,
            limit,
            lock: self.lock,
        };
        let mut redact = Redact::new(&asked.values, self.says);
        let ended = start.run(&mut |bytes| redact.take(bytes));
        redact.end();
        match ended {
            Ok(Ended::Code(0)) => Ok(()),
            Ok(Ended::Code(LATER)) => Err(Trouble::Later(format!(
                "the program, asked to {verb}, said that the target cannot now (exit code 75)"
            ))),
            Ok(Ended::Code(code)) => Err(failed(format!("ended with exit code {code}"))),
            Ok(Ended::Signal(signal)) => Err(failed(format!("was ended by signal {signal}"))),
            Ok(Ended::TimedOut) => Err(failed(format!(
                "was not done after {} s and was ended",
                limit.as_secs()
            ))),
            Err(error) => Err(failed(format!("could not be run: {error}"))),
        }
    }
}
