//! `rotate --plan`: owns saying what a rotation would do. It must not do anything.

use serde_json::json;
use strongroom_core::name::{EntryPath, EnvironmentName};
use strongroom_core::rotation::Strategy;
use strongroom_core::rotator::Named;
use strongroom_core::snapshot::Entry;
use strongroom_core::uptake::{Consumer, Presence};

use super::drive;
use crate::change;
use crate::context::Context;
use crate::error::CliError;
use crate::open::Opened;
use crate::output;

/// What happens, step by step.
pub(super) fn steps(named: &Named) -> Vec<String> {
    let plan = &named.plan;
    let target = &plan.target.kind;
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
        format!("{target} apply: {apply}"),
        format!("{target} probe: the new value is tried; when that fails, all is undone"),
        "the new value is delivered".to_owned(),
        format!(
            "consumers take it up: they have {} s at least, and those that are reported are waited for, {} s at most",
            plan.settle.as_secs(),
            plan.deadline.as_secs()
        ),
    ];
    steps.extend(retire.map(|retire| format!("{target} retire: {retire}")));
    steps
}

/// Who is reported to use an entry, and what a new version does to them.
fn consumers(opened: &Opened, entry: &Entry) -> Result<Vec<String>, CliError> {
    let uptake = opened.vault.uptake()?;
    let uses = uptake.reported.iter().map(|reported| &reported.consumer);
    let uses = uses.filter(|one| one.presence == Presence::Present && one.of(entry.id).is_some());
    let line = |one: &Consumer| {
        let does = change::does(one);
        format!("{} {} at {} {does}", one.kind.as_str(), one.name, one.host)
    };
    Ok(uses.map(line).collect())
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
    let consumers = consumers(opened, &*snapshot.entry(environment, path)?)?;
    if consumers.is_empty() {
        text.push_str("No sidecar reports that anybody uses it.\n");
    } else {
        text.push_str("These use it, and have to take it up:\n");
        for consumer in &consumers {
            text.push_str(&format!("  {}\n", output::harmless(consumer)));
        }
    }
    let document = json!({
        "environment": environment.as_str(), "path": path.as_str(), "plan": named.path.as_str(),
        "strategy": named.plan.strategy.as_str(), "steps": steps, "consumers": consumers,
    });
    context.output.answer(&document, &text)
}
