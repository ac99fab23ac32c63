//! `template`: whether templates can be rendered, before a sidecar has to.

use clap::Subcommand;
use serde_json::json;
use strongroom_core::name::{EntryPath, EnvironmentName};

use crate::context::Context;
use crate::error::CliError;
use crate::open;
use crate::output::harmless;
use crate::source::{self, Values};

const EXAMPLES: &str = "\
The template at PATH, or every one that ENV sees. Each is rendered into memory with the values that
this member opens, and thrown away. It fails when one does not render; what is said of it has the
line and what is missing, and no value.

Examples:
  strongroom template check prod
  strongroom template check prod template/nginx.conf";

/// Check templates
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Check(Args),
}

/// Render templates into memory and say what is wrong
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The environment
    #[arg(value_name = "ENV")]
    environment: EnvironmentName,
    /// The path of one template, under template/
    #[arg(value_name = "PATH")]
    path: Option<EntryPath>,
}

pub(crate) fn run(command: Command, context: &Context) -> Result<(), CliError> {
    let Command::Check(args) = command;
    let opened = open::reader(&context.settings)?;
    let values = Values::new(opened, args.environment.clone(), "template check");
    let paths = match args.path {
        Some(path) => vec![path],
        None => source::templates(values.snapshot(), &args.environment)?,
    };
    let mut problems = Vec::new();
    for path in &paths {
        problems.extend(values.rendered(path).err().map(|error| error.said));
    }
    let mut text: String = problems
        .iter()
        .map(|line| format!("{}\n", harmless(line)))
        .collect();
    if text.is_empty() {
        text = format!("{} checked: all render\n", paths.len());
    }
    let json = json!({
        "revision": values.snapshot().revision().0,
        "checked": paths.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "problems": problems,
    });
    context.output.answer(&json, &text)?;
    if problems.is_empty() {
        Ok(())
    } else {
        Err(CliError::failed("templates do not render"))
    }
}
