//! Changing the store: owns the order of plan, question, commit and report. Every changing command ends
//! here.

mod affected;
mod describe;
mod plan;
mod report;
mod templates;

use std::sync::Arc;

use serde::Serialize;
use strongroom_core::id::Revision;
use strongroom_core::snapshot::{Action, Changed, Snapshot};
use strongroom_core::vault::{Change, CommitError, Edit, Receipt};

use crate::context::Context;
use crate::error::CliError;
use crate::open::Opened;
use crate::{output, prompt};

pub(crate) use affected::does;
pub(crate) use plan::{Plan, key_lines};
pub(crate) use report::{changed_line, receipt_and, report, report_text};

/// Options of every command that changes the store.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct ChangeOptions {
    /// Do it without asking (nothing is asked when no terminal is there)
    #[arg(long, short = 'y')]
    pub(crate) yes: bool,
    /// Show what would be done and change nothing
    #[arg(long, short = 'n', visible_alias = "plan")]
    pub(crate) dry_run: bool,
    /// What the change is for; kept in the history, sealed
    #[arg(
        long,
        short = 'm',
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) message: String,
}

impl ChangeOptions {
    /// A change of these edits, with the message that was given.
    pub(crate) fn change(&self, edits: Vec<Edit>) -> Change {
        Change {
            message: self.message.clone(),
            edits,
        }
    }
}

/// A changed entry as JSON.
#[derive(Debug, Serialize)]
pub(crate) struct ChangedJson {
    environment: String,
    path: String,
    kind: &'static str,
    action: &'static str,
    version: u32,
}

impl From<&Changed> for ChangedJson {
    fn from(changed: &Changed) -> Self {
        let Changed {
            environment,
            path,
            kind,
            action,
            version,
        } = changed;
        Self {
            environment: environment.to_string(),
            path: path.to_string(),
            kind: kind.as_str(),
            action: action_word(*action),
            version: version.0,
        }
    }
}

/// The word for an action, as the socket has it.
pub(crate) fn action_word(action: Action) -> &'static str {
    match action {
        Action::Created => "created",
        Action::Updated => "updated",
        Action::Deleted => "deleted",
    }
}

/// Shows the plan, asks where a person is there, commits and reports.
pub(crate) fn carry_out(
    context: &Context,
    opened: &Opened,
    change: &Change,
    options: &ChangeOptions,
) -> Result<(), CliError> {
    carry_out_and_tell(context, opened, change, options, None)
}

/// The same, and where it was committed the answer has `public` too: what of a new value everybody
/// may know.
pub(crate) fn carry_out_and_tell(
    context: &Context,
    opened: &Opened,
    change: &Change,
    options: &ChangeOptions,
    public: Option<&str>,
) -> Result<(), CliError> {
    match carry_out_untold(context, opened, change, options)? {
        Some(receipt) => report::report_and_tell(context, change, &receipt, public),
        None => Ok(()),
    }
}

/// The same without the report; nothing where only the plan was wanted.
pub(crate) fn carry_out_untold(
    context: &Context,
    opened: &Opened,
    change: &Change,
    options: &ChangeOptions,
) -> Result<Option<Receipt>, CliError> {
    if options.dry_run || prompt::is_attended(options.yes)? {
        let plan = Plan::of(opened, change)?;
        if options.dry_run {
            return plan.report(context, &[]).map(|()| None);
        }
        if plan.does_something() {
            output::note(&plan.text(""));
            if !prompt::confirm("Commit this?")? {
                return Err(CliError::failed("nothing was changed"));
            }
        }
    }
    Ok(Some(commit(opened, change)?))
}

/// Commits without a question.
pub(crate) fn commit(opened: &Opened, change: &Change) -> Result<Receipt, CommitError> {
    let known = opened.vault.snapshot();
    let receipt = opened.vault.commit(change)?;
    opened.remember();
    let after = opened.vault.snapshot();
    warn_of_unfit(&after);
    if receipt.committed {
        let before = before(opened, known, &receipt);
        templates::warn_of_broken(opened, (&before, &after), &receipt.changes);
    }
    Ok(receipt)
}

/// What was committed to: others may have committed since it was `known`.
fn before(opened: &Opened, known: Arc<Snapshot>, receipt: &Receipt) -> Arc<Snapshot> {
    let revision = Revision(receipt.revision.0.saturating_sub(1));
    if known.revision() == revision {
        return known;
    }
    opened.vault.at(revision).map_or(known, Arc::new)
}

/// Whoever commits should know that it does not arrive: a sidecar serves nothing newer than a document that
/// is not fit to be served, whoever put it there.
fn warn_of_unfit(snapshot: &Snapshot) {
    for environment in snapshot.environments() {
        let name = environment.name;
        let governed = snapshot.governed(&name).unwrap_or_default();
        let check = |path| snapshot.check_config(&name, path).unwrap_or_default();
        if let Some(first) = governed.iter().find_map(|path| check(path).into_iter().next()) {
            output::note(&format!(
                "warning: sidecars of {name} hold back every revision since {} is not fit to be served: \
                 `strongroom config check {name}`",
                first.path
            ));
        }
    }
}

/// What is told, and more under `key`.
fn and(
    told: &impl Serialize,
    key: &str,
    more: impl Into<serde_json::Value>,
) -> Result<serde_json::Value, CliError> {
    let mut answer = serde_json::to_value(told).map_err(|error| CliError::failed(error.to_string()))?;
    if let Some(members) = answer.as_object_mut() {
        members.insert(key.into(), more.into());
    }
    Ok(answer)
}
