//! The plan: owns what would be done, as text and as JSON. It must not do it.

use std::fmt::Write as _;

use serde::Serialize;
use strongroom_core::snapshot::{Action, Changed};
use strongroom_core::vault::{Change, CommitError, Edit, Planned};

use super::affected::{self, Affected};
use super::describe::describe;
use super::templates::{self, Reached};
use super::{ChangedJson, and};
use crate::context::Context;
use crate::error::CliError;
use crate::open::Opened;
use crate::output::{self, ADDED, CHANGED, FAINT, REMOVED, STRONG};

/// What a change would do, and whom it would concern.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    opened: &'a Opened,
    change: &'a Change,
    planned: Vec<Planned>,
    /// Who uses it, as sidecars report; nothing where reports cannot be read.
    consumers: Option<Vec<Affected>>,
    templates: Vec<Reached>,
}

impl<'a> Plan<'a> {
    /// Plans `change`, without doing it.
    ///
    /// # Errors
    /// Those of the commit.
    pub(crate) fn of(opened: &'a Opened, change: &'a Change) -> Result<Self, CommitError> {
        let planned = opened.vault.plan(change)?;
        let consumers = affected::affected(opened, &planned);
        let templates = templates::foreseen(opened, change)?;
        Ok(Self {
            opened,
            change,
            planned,
            consumers,
            templates,
        })
    }

    /// Whether it would change an entry.
    pub(crate) fn changes_entries(&self) -> bool {
        self.planned.iter().any(|planned| !planned.unchanged)
    }

    /// Whether it would change anything.
    pub(crate) fn does_something(&self) -> bool {
        let is_other = |edit: &Edit| !matches!(edit, Edit::Put(_) | Edit::Delete { .. });
        self.changes_entries() || self.change.edits.iter().any(is_other)
    }

    /// As text, with what `below` says of its entries.
    pub(crate) fn text(&self, below: &str) -> String {
        let mut text = format!(
            "{STRONG}Plan{STRONG:#} for {} at revision {}:\n",
            self.opened.vault.location(),
            self.opened.vault.snapshot().revision()
        );
        let snapshot = self.opened.vault.snapshot();
        for edit in &self.change.edits {
            if let Some(line) = describe(edit, Some(&snapshot)) {
                let _ = writeln!(text, "  {ADDED}*{ADDED:#} {line}");
            }
        }
        for planned in &self.planned {
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
        text.push_str(below);
        text.push_str(&affected::lines(self.consumers.as_deref()));
        text.push_str(&templates::lines(&self.templates));
        text
    }

    /// Shows it as the answer; nothing was changed. Of a document, with the `keys` that change in it.
    pub(crate) fn report(&self, context: &Context, keys: &[String]) -> Result<(), CliError> {
        let text = format!("{}Nothing was changed.\n", self.text(&key_lines(keys)));
        context.output.answer(&self.json(keys), &text)
    }

    /// As JSON that says more under `key`.
    pub(crate) fn and(
        &self,
        key: &str,
        more: impl Into<serde_json::Value>,
    ) -> Result<serde_json::Value, CliError> {
        and(&self.json(&[]), key, more)
    }

    fn json<'b>(&'b self, keys: &'b [String]) -> PlanJson<'b> {
        let snapshot = self.opened.vault.snapshot();
        let edits = self.change.edits.iter();
        PlanJson {
            keys,
            consumers: self.consumers.as_deref(),
            templates: &self.templates,
            revision: snapshot.revision().0,
            dry_run: true,
            edits: edits
                .filter_map(|edit| describe(edit, Some(&snapshot)))
                .map(|line| anstream::adapter::strip_str(&line).to_string())
                .collect(),
            changes: self
                .planned
                .iter()
                .map(|planned| PlannedJson {
                    change: (&planned.change).into(),
                    before: planned.before.map(|version| version.0),
                    unchanged: planned.unchanged,
                })
                .collect(),
        }
    }
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
    consumers: Option<&'a [Affected]>,
    templates: &'a [Reached],
}

#[derive(Debug, Serialize)]
struct PlannedJson {
    #[serde(flatten)]
    change: ChangedJson,
    before: Option<u32>,
    unchanged: bool,
}
