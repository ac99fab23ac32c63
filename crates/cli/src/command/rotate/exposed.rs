//! Rotating what somebody who is gone could have read: owns which of it can be, and what is left to do by
//! hand. It must not know how one is rotated.

use std::collections::BTreeSet;

use serde_json::Value;
use strongroom_core::rotator::{Named, PlanTrouble};
use strongroom_core::snapshot::Changed;

use super::drive::Done;
use super::several::Several;
use super::{Options, drive};
use crate::context::Context;
use crate::error::CliError;
use crate::open::Opened;

/// Rotates each secret of `exposed` that has a plan; the exit code is the highest, and how each ended.
pub(crate) fn exposed(
    context: &Context,
    opened: &Opened,
    exposed: &[Changed],
    why: &str,
) -> (u8, Vec<Value>) {
    let secrets: BTreeSet<_> = exposed
        .iter()
        .map(|each| (&each.environment, &each.path))
        .collect();
    let options = Options {
        yes: true,
        message: format!("rotate: {why}"),
        ..Options::default()
    };
    let mut several = Several::default();
    for at in secrets {
        let done = one(context, opened, at, &options);
        several.took(context, at, done);
    }
    several.end()
}

/// One that is rotating is gone on with first: its new value was made when the member was there.
fn one(context: &Context, opened: &Opened, at: drive::At<'_>, options: &Options) -> Result<Done, CliError> {
    let (environment, path) = at;
    opened.vault.refresh()?;
    match Named::of(&opened.vault.snapshot(), environment, path) {
        Err(PlanTrouble::None { .. }) => {
            return Err(CliError::failed(format!(
                "{environment} {path} has no rotation plan and is not rotated"
            ))
            .hint("change it where it is valid, then `strongroom put` the new value"));
        }
        Err(error) => return Err(drive::no_plan(error)),
        Ok(_) => {}
    }
    if opened.vault.rotation(environment, path)?.is_some() {
        let resume = Options {
            resume: true,
            ..options.clone()
        };
        let done = drive::run(context, opened, at, &resume)?;
        if !done.is_rotated() {
            return Ok(done);
        }
    }
    drive::run(context, opened, at, options)
}
