//! `label promote|take-back|drop|retire`: moves the labels of a secret's versions by hand.

use strongroom_core::vault::{Edit, Expect, LabelEdit, Relabel};

use crate::change::{self, ChangeOptions};
use crate::context::{Context, Target};
use crate::error::CliError;
use crate::open;

const EXAMPLES: &str = "\
A new credential by hand: make it pending, let the server take it too, deliver it, and end the old
one when nobody uses it any more.

Example:
  strongroom put prod web/database/password --pending --generate password
  strongroom get prod web/database/password --label pending
  strongroom label promote prod web/database/password
  strongroom label retire prod web/database/password";

/// Deliver the pending version of a secret, or end the previous one
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Deliver the pending version: it becomes current, and the current one previous
    #[command(after_help = EXAMPLES)]
    Promote(Args),
    /// Deliver the previous version again: it becomes current, and the current one pending
    #[command(after_help = EXAMPLES)]
    TakeBack(Args),
    /// Take the label off the pending version, for good
    #[command(after_help = EXAMPLES)]
    Drop(Args),
    /// Take the label off the previous version, for good
    #[command(after_help = EXAMPLES)]
    Retire(Args),
}

/// What each of them is given.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    change: ChangeOptions,
}

pub(crate) fn run(command: Command, context: &Context) -> Result<(), CliError> {
    let (to, args) = match command {
        Command::Promote(args) => (Relabel::Promote, args),
        Command::TakeBack(args) => (Relabel::TakeBack, args),
        Command::Drop(args) => (Relabel::Drop, args),
        Command::Retire(args) => (Relabel::Retire, args),
    };
    let (environment, path) = args.target.resolve(context)?;
    let opened = open::writer(&context.settings)?;
    // What the answer to a question, or the plan, was about.
    let seen = opened.vault.snapshot().entry(&environment, &path)?;
    let expect = Expect::Revision(seen.changed_at());
    let edit = LabelEdit {
        environment,
        path,
        to,
        expect,
    };
    let change = args.change.change(vec![Edit::Label(edit)]);
    change::carry_out(context, &opened, &change, &args.change)
}
