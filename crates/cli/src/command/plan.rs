//! `plan`: what a changing command would do. Owns finding that command; what it shows is its own.

use std::ffi::OsString;

use clap::Parser as _;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::args::{Cli, Color};
use crate::error::CliError;

const EXAMPLES: &str = "\
The same as the command with --plan: entries with their versions, keys of documents, what schemas say, and which
consumers reload, restart or are signalled, as sidecars report. Nothing is changed and no value is shown.

Examples:
  strongroom plan config set prod web pool.size=20
  strongroom plan promote staging prod --only 'web/**'
  strongroom plan rollback prod --to 17 --json | jq '.consumers[]'";

/// Show what a changing command would do, and whom it concerns
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The command with its arguments
    #[arg(
        value_name = "COMMAND",
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    words: Vec<OsString>,
}

/// Why there is nothing to be run.
pub(crate) enum NotPlanned {
    /// The words are no command line.
    Grammar(Box<clap::Error>),
    /// The command changes nothing.
    Unchanging(CliError),
}

const PLAN: &str = "--plan";

/// The command line that the words make with `--plan`. Options that stood before `plan` hold.
pub(crate) fn planned(
    args: Args,
    json: bool,
    color: Color,
    settings: &crate::settings::SettingOptions,
) -> Result<Cli, NotPlanned> {
    let mut words = args.words;
    let end = words.iter().position(|word| word == "--").unwrap_or(words.len());
    words.insert(end, PLAN.into());
    words.insert(0, "strongroom".into());
    let mut cli = Cli::try_parse_from(words).map_err(|error| {
        let argument = error.get(ContextKind::InvalidArg);
        let is_ours = matches!(argument, Some(ContextValue::String(argument)) if argument == PLAN);
        if error.kind() == ErrorKind::UnknownArgument && is_ours {
            NotPlanned::Unchanging(CliError::usage(
                "this command changes nothing, so that there is nothing to plan",
            ))
        } else {
            NotPlanned::Grammar(Box::new(error))
        }
    })?;
    cli.json |= json;
    if cli.color == Color::Auto {
        cli.color = color;
    }
    cli.settings = std::mem::take(&mut cli.settings).or(settings);
    Ok(cli)
}
