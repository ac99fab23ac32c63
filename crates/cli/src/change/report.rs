//! What was committed: owns saying it, as text and as JSON.

use std::fmt::Write as _;

use anstyle::Style;
use serde::Serialize;
use strongroom_core::snapshot::{Action, Changed};
use strongroom_core::vault::{Change, Receipt};

use super::describe::describe;
use super::{ChangedJson, and};
use crate::context::Context;
use crate::error::CliError;
use crate::output::{ADDED, CHANGED, REMOVED, STRONG};

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

pub(super) fn report_and_tell(
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
