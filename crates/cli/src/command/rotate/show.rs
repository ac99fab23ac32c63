//! `rotate --plan`: owns saying what a rotation would do. It must not do anything.

use serde_json::json;
use strongroom_core::name::{EntryPath, EnvironmentName};
use strongroom_core::rotation::Strategy;
use strongroom_core::rotator::Named;

use super::drive;
use crate::context::Context;
use crate::error::CliError;
use crate::open::Opened;

/// What happens, step by step.
pub(super) fn steps(named: &Named) -> Vec<String> {
    let plan = &named.plan;
    let program = &plan.target.program;
    let (apply, retire) = match plan.strategy {
        Strategy::Replace => (
            "the new value takes the place of the old one: from here until consumers have it is an outage",
            None,
        ),
        Strategy::Overlap => (
            "the target takes the new value beside the old one",
            Some("the target takes the old value no more"),
        ),
        Strategy::Alternate => (
            "the resting account gets the new value",
            Some("the account of the old value is locked"),
        ),
    };
    let mut steps = vec![
        "a new value is made and is pending".to_owned(),
        format!("{program} apply: {apply}"),
        format!("{program} probe: the new value is tried; when that fails, all is undone"),
        "the new value is delivered".to_owned(),
        format!(
            "consumers have {} s to take it up: nobody knows which have",
            plan.settle.as_secs()
        ),
    ];
    steps.extend(retire.map(|retire| format!("{program} retire: {retire}")));
    steps
}

pub(super) fn plan(
    context: &Context,
    opened: &Opened,
    (environment, path): (&EnvironmentName, &EntryPath),
) -> Result<(), CliError> {
    let snapshot = opened.vault.snapshot();
    if let Some(rotation) = opened.vault.rotation(environment, path)? {
        return Err(drive::under_way(&rotation));
    }
    let named = Named::of(&snapshot, environment, path).map_err(drive::no_plan)?;
    let steps = steps(&named);
    let mut text = format!(
        "Rotating {environment} {path} by `{}`, plan {}:\n",
        named.plan.strategy, named.path
    );
    for (number, step) in steps.iter().enumerate() {
        text.push_str(&format!("  {}. {step}\n", number + 1));
    }
    let document = json!({
        "environment": environment.as_str(), "path": path.as_str(), "plan": named.path.as_str(),
        "strategy": named.plan.strategy.as_str(), "steps": steps,
    });
    context.output.answer(&document, &text)
}
