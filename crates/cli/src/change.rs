//! Changing the store: owns the plan that is shown, the question, the commit and its report.
//! Every changing command ends here.

use std::fmt::Write as _;

use anstyle::Style;
use serde::Serialize;
use strongroom_core::snapshot::{Action, Changed, Label, Snapshot};
use strongroom_core::vault::{
    Change, CommitError, Edit, LabelEdit, Planned, Receipt, Relabel, Rotate, RotationEdit,
};

use crate::context::Context;
use crate::error::CliError;
use crate::open::Opened;
use crate::output::{self, ADDED, CHANGED, FAINT, REMOVED, STRONG};
use crate::prompt;

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
        Some(receipt) => report_and_tell(context, change, &receipt, public),
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
        let planned = opened.vault.plan(change)?;
        if options.dry_run {
            return report_plan(context, opened, change, &planned).map(|()| None);
        }
        if does_something(change, &planned) {
            output::note(&plan_text(opened, change, &planned));
            if !prompt::confirm("Commit this?")? {
                return Err(CliError::failed("nothing was changed"));
            }
        }
    }
    Ok(Some(commit(opened, change)?))
}

/// Commits without a question.
pub(crate) fn commit(opened: &Opened, change: &Change) -> Result<Receipt, CommitError> {
    let receipt = opened.vault.commit(change)?;
    opened.remember();
    warn_of_unfit(&opened.vault.snapshot());
    Ok(receipt)
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

pub(crate) fn does_something(change: &Change, planned: &[Planned]) -> bool {
    planned.iter().any(|planned| !planned.unchanged)
        || change
            .edits
            .iter()
            .any(|edit| !matches!(edit, Edit::Put(_) | Edit::Delete { .. }))
}

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
    text
}

/// Keys of a document, each with its sign, below the line of their entry.
pub(crate) fn key_lines(keys: &[String]) -> String {
    let line = |key: &String| format!("      {FAINT}{}{FAINT:#}\n", output::harmless(key));
    keys.iter().map(line).collect()
}

/// What an edit of the structure does, with the versions that it was made `before`; entries are
/// described by the plan of the vault.
fn describe(edit: &Edit, before: Option<&Snapshot>) -> Option<String> {
    let list = |names: &[strongroom_core::name::CompartmentName]| {
        names
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", ")
    };
    Some(match edit {
        Edit::Put(_) | Edit::Delete { .. } => return None,
        Edit::Label(LabelEdit {
            environment,
            path,
            to,
            ..
        }) => {
            let entry = before.and_then(|snapshot| snapshot.entry(environment, path).ok());
            let version = |label| {
                let version = entry.as_ref().and_then(|entry| entry.labelled(label));
                version.map_or_else(String::new, |version| format!(" {version}"))
            };
            let (pending, previous) = (version(Label::Pending), version(Label::Previous));
            let what = match to {
                Relabel::Pending(_) => "make a new value the pending version".into(),
                Relabel::Promote => format!("deliver the pending version{pending}"),
                Relabel::TakeBack => format!("deliver the previous version{previous} again"),
                Relabel::Drop => format!("drop the pending version{pending}"),
                Relabel::Retire => format!("retire the previous version{previous}"),
            };
            let current = version(Label::Current);
            let besides = match before {
                Some(_) => format!("; current is{current}"),
                None => String::new(),
            };
            format!("{what} of {environment} {path}{besides}")
        }
        Edit::Rotate(RotationEdit {
            environment,
            path,
            to,
            ..
        }) => {
            let what = match to {
                Rotate::Begin { .. } => "begin the rotation",
                Rotate::Advance { .. } => "go on with the rotation",
                Rotate::TakeOver { .. } => "take over the rotation",
                Rotate::GiveUp { .. } => "give up the rotation",
            };
            format!("{what} of {environment} {path}")
        }
        Edit::AddEnvironment {
            name,
            parent,
            compartment,
        } => {
            let from = parent
                .as_ref()
                .map(|parent| format!(", inheriting config and flags from {parent}"));
            let into = compartment.as_ref().map_or_else(
                || " with a compartment of its name".to_owned(),
                |compartment| format!(" in compartment {compartment}"),
            );
            format!("add environment {name}{into}{}", from.unwrap_or_default())
        }
        Edit::NewKey { compartment } => format!("make a new key for compartment {compartment}"),
        Edit::Rewrap(edit) => format!(
            "wrap the records of {} entries under their newest key",
            edit.len()
        ),
        Edit::AddCompartment { name } => format!("add compartment {name}, which admins open"),
        Edit::AddMember {
            name,
            role,
            compartments,
            ..
        } if compartments.is_empty() => {
            format!("add member {name} as {}", role.as_str())
        }
        Edit::AddMember {
            name,
            role,
            compartments,
            ..
        } => {
            format!(
                "add member {name} as {}, opening {}",
                role.as_str(),
                list(compartments)
            )
        }
        Edit::RemoveMember { name } => {
            format!(
                "{REMOVED}remove member {name}{REMOVED:#} and change the key of every compartment it opened"
            )
        }
        Edit::Grant { member, compartment } => format!("let member {member} open compartment {compartment}"),
    })
}

#[derive(Debug, Serialize)]
struct PlanJson<'a> {
    revision: u64,
    dry_run: bool,
    edits: Vec<String>,
    changes: Vec<PlannedJson>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    keys: &'a [String],
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

fn plan_json<'a>(opened: &Opened, change: &Change, planned: &[Planned], keys: &'a [String]) -> PlanJson<'a> {
    let snapshot = opened.vault.snapshot();
    PlanJson {
        keys,
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

#[derive(Debug, Serialize)]
struct ReceiptJson<'a> {
    committed: bool,
    revision: u64,
    hash: String,
    changes: Vec<ChangedJson>,
    exposed: Vec<ChangedJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    public: Option<&'a str>,
}

impl<'a> ReceiptJson<'a> {
    fn of(receipt: &Receipt, public: Option<&'a str>) -> Self {
        let Receipt {
            revision,
            hash,
            committed,
            changes,
            exposed,
        } = receipt;
        Self {
            committed: *committed,
            revision: revision.0,
            hash: hash.to_string(),
            changes: changes.iter().map(Into::into).collect(),
            exposed: exposed.iter().map(Into::into).collect(),
            public,
        }
    }
}

/// What a commit did, as JSON that says more under `key`.
pub(crate) fn receipt_and(
    receipt: &Receipt,
    key: &str,
    more: impl Into<serde_json::Value>,
) -> Result<serde_json::Value, CliError> {
    and(&ReceiptJson::of(receipt, None), key, more)
}

/// Says what a commit did.
pub(crate) fn report(context: &Context, change: &Change, receipt: &Receipt) -> Result<(), CliError> {
    report_and_tell(context, change, receipt, None)
}

fn report_and_tell(
    context: &Context,
    change: &Change,
    receipt: &Receipt,
    public: Option<&str>,
) -> Result<(), CliError> {
    let json = ReceiptJson::of(receipt, public);
    let mut text = report_text(change, receipt);
    if let Some(public) = public {
        let _ = writeln!(text, "{STRONG}public{STRONG:#} {}", public.trim_end());
    }
    context.output.answer(&json, &text)
}

/// What a commit did, as text.
pub(crate) fn report_text(change: &Change, receipt: &Receipt) -> String {
    let Receipt {
        revision,
        committed,
        changes,
        exposed,
        ..
    } = receipt;
    let mut text = String::new();
    if *committed {
        let _ = writeln!(text, "revision {revision}");
    } else {
        let _ = writeln!(
            text,
            "nothing to change: everything is so already at revision {revision}"
        );
    }
    let edits = change.edits.iter().filter_map(|edit| describe(edit, None));
    for edit in edits.filter(|_| *committed) {
        let _ = writeln!(text, "  {ADDED}*{ADDED:#} {edit}");
    }
    for changed in changes {
        let _ = writeln!(text, "  {}", changed_line(changed));
    }
    if !exposed.is_empty() {
        let _ = writeln!(
            text,
            "{REMOVED}rotate these secrets{REMOVED:#}: they could have been read before"
        );
        for changed in exposed {
            let _ = writeln!(
                text,
                "  {} {}  version {}",
                changed.environment, changed.path, changed.version
            );
        }
    }
    text
}

/// One changed entry as a line.
pub(crate) fn changed_line(changed: &Changed) -> String {
    let Changed {
        environment,
        path,
        kind,
        action,
        version,
    } = changed;
    let (style, sign): (Style, char) = match action {
        Action::Created => (ADDED, '+'),
        Action::Updated => (CHANGED, '~'),
        Action::Deleted => (REMOVED, '-'),
    };
    format!("{style}{sign}{style:#} {environment} {path}  ({kind}) version {version}")
}
