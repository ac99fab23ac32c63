//! `rollback`: sets an entry, a part of an environment, or everything, back to what it was, as a new
//! commit.

use strongroom_core::id::Revision;
use strongroom_core::name::{EntryPath, EnvironmentName};
use strongroom_core::vault::{Paths, Scope};

use crate::change::{self, ChangeOptions};
use crate::context::{Context, OptionalTarget};
use crate::error::CliError;
use crate::open;

const EXAMPLES: &str = "\
The history stays: the old values become new versions, in one commit, which policies and schemas
are asked about like any other. What was not there at REV is deleted.

Examples:
  strongroom rollback prod web/database/password --to 17
  strongroom rollback --environment prod --prefix web --to 17
  strongroom rollback --environment prod --to 17 --plan
  strongroom rollback --all --to 17 --dry-run";

/// Set an entry, an environment, or everything, back to a revision
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    target: OptionalTarget,
    /// Every entry of this environment itself that this identity opens
    #[arg(long, short = 'e', value_name = "ENV")]
    environment: Option<EnvironmentName>,
    /// The entry at this path and all below it [environment: --environment, or that of the settings]
    #[arg(long, short = 'p', value_name = "PATH")]
    prefix: Option<EntryPath>,
    /// Every entry that this identity opens
    #[arg(long)]
    all: bool,
    /// The revision to go back to, as `strongroom history` shows it
    #[arg(long, value_name = "REV")]
    to: Revision,
    #[command(flatten)]
    change: ChangeOptions,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let scope = scope(args, context)?;
    let opened = open::writer(&context.settings)?;
    let mut change = opened.vault.rollback(&scope, opened.check_revision(args.to)?)?;
    if !args.change.message.is_empty() {
        change.message.clone_from(&args.change.message);
    }
    change::carry_out(context, &opened, &change, &args.change)
}

/// Exactly one of the ways to say what is meant.
fn scope(args: &Args, context: &Context) -> Result<Scope, CliError> {
    let entry = args.target.resolve(context)?;
    let is_part = args.environment.is_some() || args.prefix.is_some();
    match (entry, is_part, args.all) {
        (Some((environment, path)), false, false) => Ok(Scope::entry(environment, path)),
        (None, true, false) => Ok(Scope {
            // A path alone is never meant in all environments at once.
            environment: Some(context.environment(args.environment.as_ref())?),
            paths: args.prefix.clone().map_or(Paths::All, Paths::Under),
        }),
        (None, false, true) => Ok(Scope::default()),
        _ => Err(CliError::usage(
            "what is rolled back is one entry, ENV PATH, a part, --environment ENV --prefix PATH, or \
             everything, --all",
        )),
    }
}
