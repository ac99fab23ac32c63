//! `flag on` and `flag off`: the kill switch. Off leaves every caller its own default.

use serde_json::Value;

use crate::change::{self, ChangeOptions};
use crate::context::{Context, Target};
use crate::error::CliError;
use crate::open;

const EXAMPLES: &str = "\
A flag that is off leaves every caller its own default, whatever its rule says; the rule and all
else stays for when it is on again. An inherited flag is copied into the environment, so that the
others keep it as it is.

Examples:
  strongroom flag off prod new-checkout -m 'orders fail'
  strongroom flag on prod new-checkout";

/// Switch a flag on again
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct On {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    change: ChangeOptions,
}

/// Switch a flag off: every caller has its own default
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Off {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    change: ChangeOptions,
}

pub(super) fn on(args: &On, context: &Context) -> Result<(), CliError> {
    switch(&args.target, &args.change, ("ENABLED", "flag on"), context)
}

pub(super) fn off(args: &Off, context: &Context) -> Result<(), CliError> {
    switch(&args.target, &args.change, ("DISABLED", "flag off"), context)
}

fn switch(
    target: &Target,
    options: &ChangeOptions,
    (state, command): (&str, &'static str),
    context: &Context,
) -> Result<(), CliError> {
    let (environment, path) = target.resolve(context)?;
    let opened = open::writer(&context.settings)?;
    let edit = super::edit(&opened, &environment, &path, command, |_| {
        Ok(("state", Value::from(state)))
    })?;
    let change = options.change(vec![edit]);
    change::carry_out(context, &opened, &change, options)
}
