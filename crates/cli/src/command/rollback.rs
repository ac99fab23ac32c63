//! `rollback`: sets an entry, or everything, back to what it was, as a new commit.

use strongroom_core::id::Revision;

use crate::change::{self, ChangeOptions};
use crate::context::{Context, OptionalTarget};
use crate::error::CliError;
use crate::open;

const EXAMPLES: &str = "\
The history stays: the old values become new versions, in one commit.

Examples:
  strongroom rollback prod web/database/password --to 17
  strongroom rollback --all --to 17 --dry-run";

/// Set an entry, or everything, back to a revision
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    target: OptionalTarget,
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
    let entry = args.target.resolve(context)?;
    if args.all == entry.is_some() {
        return Err(CliError::usage(
            "what is rolled back is one entry, ENV PATH, or everything, --all",
        ));
    }
    let opened = open::writer(&context.settings)?;
    let wanted = entry.as_ref().map(|(environment, path)| (environment, path));
    let mut change = opened.vault.rollback(wanted, opened.check_revision(args.to)?)?;
    if !args.change.message.is_empty() {
        change.message.clone_from(&args.change.message);
    }
    change::carry_out(context, &opened, &change, &args.change)
}
