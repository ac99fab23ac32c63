//! `delete`: takes entries away; their versions stay in the history.

use strongroom_core::vault::{Edit, Expect};

use crate::change::{self, ChangeOptions};
use crate::context::{Context, Target};
use crate::error::CliError;
use crate::open;

const EXAMPLES: &str = "\
Old versions stay in the history: `strongroom rollback` brings an entry back. A secret that should
be worthless must be rotated where it is used.

Examples:
  strongroom delete prod web/database/password
  strongroom delete prod web --recursive";

/// Delete an entry; its versions stay in the history
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    target: Target,
    /// Delete every entry at or below the path
    #[arg(long, short = 'r')]
    recursive: bool,
    #[command(flatten)]
    change: ChangeOptions,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let (environment, path) = args.target.resolve(context)?;
    let opened = open::writer(&context.settings)?;
    let paths = if args.recursive {
        let found = opened.vault.snapshot().entries(&environment, Some(&path))?;
        let own = found.iter().filter(|entry| entry.environment == environment);
        own.map(|entry| entry.path.clone()).collect()
    } else {
        vec![path.clone()]
    };
    if paths.is_empty() {
        return Err(CliError::failed(format!(
            "{environment} has no entry at or below {path}"
        )));
    }
    let edits = paths
        .into_iter()
        .map(|path| Edit::Delete {
            environment: environment.clone(),
            path,
            expect: Expect::Any,
        })
        .collect();
    let change = args.change.change(edits);
    change::carry_out(context, &opened, &change, &args.change)
}
