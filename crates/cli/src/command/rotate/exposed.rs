//! Rotating what somebody who is gone could have read: owns which of it can be, and what is left to do by
//! hand. It must not know how one is rotated.

use std::collections::BTreeSet;

use strongroom_core::name::MemberName;
use strongroom_core::rotator::{Named, PlanTrouble};
use strongroom_core::snapshot::Changed;

use super::{Options, drive};
use crate::context::Context;
use crate::error::{CliError, Exit};
use crate::open::Opened;
use crate::output;

/// Rotates each secret of `exposed` that has a plan. One that fails does not keep the others; the exit
/// code is the highest, and 1 when one has no plan.
pub(crate) fn exposed(
    context: &Context,
    opened: &Opened,
    exposed: &[Changed],
    gone: &MemberName,
) -> Result<u8, CliError> {
    let secrets: BTreeSet<_> = exposed
        .iter()
        .map(|each| (&each.environment, &each.path))
        .collect();
    let options = Options {
        yes: true,
        message: format!("rotate: {gone} is removed"),
        ..Options::default()
    };
    let mut worst = 0;
    for at in secrets {
        let (environment, path) = at;
        // Labels of one that is rotating are in the list too: it is gone on with, then rotated again.
        let running = opened.vault.rotation(environment, path)?;
        let code = match Named::of(&opened.vault.snapshot(), environment, path) {
            Err(PlanTrouble::None { .. }) => Err(CliError::new(
                Exit::Failed,
                format!("{environment} {path} has no rotation plan and is not rotated"),
            )
            .hint("change it where it is valid, then `strongroom put` the new value")),
            Err(error) => Err(drive::no_plan(error)),
            Ok(_) if running.is_some() => {
                rotate(context, opened, at, &options, true).and_then(|code| match code {
                    0 => rotate(context, opened, at, &options, false),
                    code => Ok(code),
                })
            }
            Ok(_) => rotate(context, opened, at, &options, false),
        };
        worst = worst.max(code.unwrap_or_else(|error| {
            output::show_error(&error, context.output.json);
            error.exit as u8
        }));
    }
    Ok(worst)
}

fn rotate(
    context: &Context,
    opened: &Opened,
    at: drive::At<'_>,
    options: &Options,
    resume: bool,
) -> Result<u8, CliError> {
    let options = Options {
        resume,
        ..options.clone()
    };
    let done = drive::run(context, opened, at, &options)?;
    done.answer(context)?;
    done.code()
}
