//! The plan: owns what would be done, as text and as JSON. It must not do it.

use std::fmt::Write as _;

use serde::Serialize;
use strongroom_core::snapshot::{Action, Changed};
use strongroom_core::vault::{Change, Planned};

use super::affected::{self, Affected};
use super::describe::describe;
use super::{ChangedJson, and};
use crate::context::Context;
use crate::error::CliError;
use crate::open::Opened;
use crate::output::{self, ADDED, CHANGED, FAINT, REMOVED, STRONG};

/// The plan as text.
pub(crate) fn plan_text(opened: &Opened, change: &Change, planned: &[Planned]) -> String {
    let mut text = format!(
        "{STRONG}Plan{STRONG:#} for {} at revision {}:\n",
        opened.vault.location(),
        opened.vault.snapshot().revision()
    );
    let snapshot = opened.vault.snapshot();
    for edit in &change.edits {
        if let Some(line) = describe(edit, Some(&snapshot)) {
            let _ = writeln!(text, "  {ADDED}*{ADDED:#} {line}");
        }
    }
    for planned in planned {
        let Changed {
            environment,
            path,
            kind,
            action,
            version,
        } = &planned.change;
        let (style, sign, what) = match (planned.unchanged, action, planned.before) {
            (true, ..) => (FAINT, '=', format!("unchanged, version {version}")),
            (_, Action::Deleted, _) => (
                REMOVED,
                '-',
                format!("delete, version {version} stays in the history"),
            ),
            (_, _, Some(before)) => (CHANGED, '~', format!("version {before} -> {version}")),
            (_, _, None) => (ADDED, '+', format!("new, version {version}")),
        };
        let _ = writeln!(
            text,
            "  {style}{sign}{style:#} {environment} {path}  ({kind}) {what}"
        );
    }
    text.push_str(&affected::lines(affected::affected(opened, planned).as_deref()));
    text
}

/// Keys of a document, each with its sign, below the line of their entry.
pub(crate) fn key_lines(keys: &[String]) -> String {
    let line = |key: &String| format!("      {FAINT}{}{FAINT:#}\n", output::harmless(key));
    keys.iter().map(line).collect()
}

#[derive(Debug, Serialize)]
struct PlanJson<'a> {
    revision: u64,
    dry_run: bool,
    edits: Vec<String>,
    changes: Vec<PlannedJson>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    keys: &'a [String],
    /// Who uses it, as sidecars report; null where reports cannot be read.
    consumers: Option<Vec<Affected>>,
}

#[derive(Debug, Serialize)]
struct PlannedJson {
    #[serde(flatten)]
    change: ChangedJson,
    before: Option<u32>,
    unchanged: bool,
}

/// Shows the plan as the answer; nothing was changed.
pub(crate) fn report_plan(
    context: &Context,
    opened: &Opened,
    change: &Change,
    planned: &[Planned],
) -> Result<(), CliError> {
    report_plan_of_keys(context, opened, change, planned, &[])
}

/// The same of a document, with the `keys` that change in it.
pub(crate) fn report_plan_of_keys(
    context: &Context,
    opened: &Opened,
    change: &Change,
    planned: &[Planned],
    keys: &[String],
) -> Result<(), CliError> {
    let text = format!(
        "{}{}Nothing was changed.\n",
        plan_text(opened, change, planned),
        key_lines(keys)
    );
    context
        .output
        .answer(&plan_json(opened, change, planned, keys), &text)
}

/// The plan as JSON that says more under `key`.
pub(crate) fn plan_and(
    (opened, change, planned): (&Opened, &Change, &[Planned]),
    key: &str,
    more: impl Into<serde_json::Value>,
) -> Result<serde_json::Value, CliError> {
    and(&plan_json(opened, change, planned, &[]), key, more)
}

fn plan_json<'a>(opened: &Opened, change: &Change, planned: &[Planned], keys: &'a [String]) -> PlanJson<'a> {
    let snapshot = opened.vault.snapshot();
    PlanJson {
        keys,
        consumers: affected::affected(opened, planned),
        revision: opened.vault.snapshot().revision().0,
        dry_run: true,
        edits: change
            .edits
            .iter()
            .filter_map(|edit| describe(edit, Some(&snapshot)))
            .map(|line| anstream::adapter::strip_str(&line).to_string())
            .collect(),
        changes: planned
            .iter()
            .map(|planned| PlannedJson {
                change: (&planned.change).into(),
                before: planned.before.map(|version| version.0),
                unchanged: planned.unchanged,
            })
            .collect(),
    }
}
