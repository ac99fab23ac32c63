//! `plan`: what a changing command would do. Owns finding that command; what it shows is its own.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _};

use crate::args::{Cli, Color};
use crate::error::CliError;

const EXAMPLES: &str = "\
The same as the command with --plan: entries with their versions, keys of documents, what schemas say, which
consumers reload, restart or are signalled, as sidecars report, and which templates give another text or cannot be
rendered any more. Nothing is changed and no value is shown.

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
    /// The command has no plan.
    Unplanned(CliError),
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
    // Behind the command's name: at the end it could become the value of an option.
    let end = end_of_name(&words);
    words.insert(end, PLAN.into());
    words.insert(0, "strongroom".into());
    let matches = Cli::command().try_get_matches_from(words).map_err(|error| {
        let argument = error.get(ContextKind::InvalidArg);
        let is_ours = matches!(argument, Some(ContextValue::String(argument)) if argument == PLAN);
        if error.kind() == ErrorKind::UnknownArgument && is_ours {
            no_plan()
        } else {
            NotPlanned::Grammar(Box::new(error))
        }
    })?;
    // Whatever became of the words: without this nothing is run.
    if !is_plan(&matches) {
        return Err(no_plan());
    }
    let mut cli = Cli::from_arg_matches(&matches).map_err(|error| NotPlanned::Grammar(Box::new(error)))?;
    cli.json |= json;
    if cli.color == Color::Auto {
        cli.color = color;
    }
    cli.settings = std::mem::take(&mut cli.settings).or(settings);
    Ok(cli)
}

fn no_plan() -> NotPlanned {
    NotPlanned::Unplanned(CliError::usage(
        "this command has no plan: `strongroom COMMAND --help` shows --plan where there is one",
    ))
}

/// How many words name the command: `put` is one, `config set` two.
fn end_of_name(words: &[OsString]) -> usize {
    let mut command = Cli::command();
    let mut end = 0;
    for word in words {
        let Some(below) = word
            .to_str()
            .and_then(|word| command.find_subcommand(word).cloned())
        else {
            break;
        };
        (command, end) = (below, end + 1);
    }
    end
}

/// Whether the command that would run only plans.
fn is_plan(matches: &ArgMatches) -> bool {
    let mut leaf = matches;
    while let Some((_, below)) = leaf.subcommand() {
        leaf = below;
    }
    // how the options of changes and of rotations are called
    let is_set = |id| matches!(leaf.try_get_one::<bool>(id), Ok(Some(true)));
    is_set("dry_run") || is_set("plan")
}
