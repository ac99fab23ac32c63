//! `flag lint`: what is odd about flags.

use std::fmt::Write as _;

use serde_json::json;
use strongroom_core::flag;
use strongroom_core::name::{EntryPath, EnvironmentName};

use crate::context::Context;
use crate::error::CliError;
use crate::open;
use crate::output::{CHANGED, FAINT, harmless};

const EXAMPLES: &str = "\
It tells conditions that always or never hold, parts that are never reached, and users that clients
which evaluate by themselves would give another variant: `fractional` comes in two generations, of
which `metadata.bucketing` of the set chooses one, v2 or v3. A thousand sample users are tried, with
a targeting key and nothing else.

Examples:
  strongroom flag lint prod
  strongroom flag lint prod new-checkout --json";

/// Find what is odd about flags
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The environment
    #[arg(value_name = "ENV")]
    environment: EnvironmentName,
    /// One flag, or those below a path
    #[arg(value_name = "PATH")]
    path: Option<EntryPath>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let opened = open::reader(&context.settings)?;
    let flags = super::open_all(&opened, &args.environment, args.path.as_ref(), "flag lint")?;
    let now = super::now();
    let mut text = String::new();
    let mut json = Vec::new();
    for opening in &flags {
        for finding in flag::lint(opening.key(), &opening.definition, &opening.set, now) {
            let _ = writeln!(
                text,
                "{} {CHANGED}{}{CHANGED:#} {FAINT}{}{FAINT:#}\n  {}",
                opening.key(),
                finding.kind,
                harmless(&finding.position),
                harmless(&finding.text),
            );
            json.push(json!({
                "key": opening.key(), "kind": finding.kind, "position": finding.position, "text": finding.text,
            }));
        }
    }
    if json.is_empty() {
        let _ = writeln!(text, "{} flags, nothing odd", flags.len());
    }
    let json = json!({"flags": flags.len(), "findings": json});
    context.output.answer(&json, &text)
}
