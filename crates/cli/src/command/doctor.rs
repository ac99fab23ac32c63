//! `doctor`: which protections hold here, and why the others do not.

use serde::Serialize;

use crate::checkup::{Finding, State, files, machine, process};
use crate::context::Context;
use crate::error::CliError;
use crate::output::{ADDED, CHANGED, FAINT, REMOVED, harmless};

const EXAMPLES: &str = "\
Looks, and changes nothing. Without --pid at this machine and the files of the settings; run it as the user, and
under the limits, that the sidecar has. With --pid at a running sidecar.

Ends with 1 when there is a problem: values are open to others, or something will not work. A warning is
a protection that does not hold, and ends with 0.

Examples:
  strongroom doctor
  strongroom doctor --json | jq '.findings[] | select(.state != \"ok\")'
  strongroom doctor --pid \"$(pidof strongroom-sidecar)\"";

/// Say which protections hold here, and why the others do not
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Look at this running sidecar instead
    #[arg(long, value_name = "PID")]
    pid: Option<u32>,
}

#[derive(Debug, Serialize)]
struct Report {
    version: &'static str,
    problems: usize,
    warnings: usize,
    findings: Vec<Finding>,
}

/// The exit code tells problems from everything else.
pub(crate) fn run(args: &Args, context: &Context) -> Result<u8, CliError> {
    let findings = match args.pid {
        Some(pid) => process::findings(pid).ok_or_else(|| {
            CliError::failed(format!("there is no process {pid}"))
                .hint("`pidof strongroom-sidecar` shows its number")
        })?,
        None => {
            let mut findings = machine::findings();
            findings.extend(files::findings(&context.settings));
            findings
        }
    };
    let count = |state| findings.iter().filter(|finding| finding.state == state).count();
    let report = Report {
        version: env!("CARGO_PKG_VERSION"),
        problems: count(State::Problem),
        warnings: count(State::Warning),
        findings,
    };
    let text = text(&report);
    context.output.answer(&report, &text)?;
    Ok(u8::from(report.problems > 0))
}

fn text(report: &Report) -> String {
    let mut out = String::new();
    for finding in &report.findings {
        let (style, word) = match finding.state {
            State::Ok => (ADDED, "ok"),
            State::Warning => (CHANGED, "warning"),
            State::Problem => (REMOVED, "problem"),
            State::Skipped => (FAINT, "skipped"),
        };
        let detail = harmless(&finding.detail);
        out.push_str(&format!(
            "{style}{word:<8}{style:#} {:<19} {detail}\n",
            finding.check
        ));
        if let Some(next) = &finding.next {
            out.push_str(&format!("{:29}{FAINT}next: {}{FAINT:#}\n", "", harmless(next)));
        }
    }
    let (problems, warnings) = (report.problems, report.warnings);
    out.push_str(&format!("\n{problems} problems, {warnings} warnings\n"));
    out
}
