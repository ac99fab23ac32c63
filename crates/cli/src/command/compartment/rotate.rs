//! `compartment rotate`: owns a new key and what is stored behind it, and what is said of both.

use std::fmt::Write as _;

use strongroom_core::name::{CompartmentName, EntryPath, EnvironmentName};
use strongroom_core::vault::{Change, CommitError, Edit, Receipt, Rewrapped};

use crate::change::{self, ChangeOptions};
use crate::context::Context;
use crate::error::{CliError, Exit};
use crate::open::{self, Opened};
use crate::output;
use crate::progress::Progress;
use crate::prompt;

/// Makes a new key and wraps what is stored under it.
pub(super) fn run(
    context: &Context,
    name: &CompartmentName,
    options: &ChangeOptions,
) -> Result<(), CliError> {
    let opened = open::writer(&context.settings)?;
    if options.dry_run || prompt::is_attended(options.yes)? {
        let snapshot = opened.vault.snapshot();
        let entries = snapshot.all_entries().filter(|entry| entry.compartment == *name);
        output::note(&format!(
            "behind the new key {} entries are wrapped under it, in commits of their own",
            entries.count()
        ));
    }
    let compartment = name.clone();
    let change = options.change(vec![Edit::NewKey { compartment }]);
    let Some(receipt) = change::carry_out_untold(context, &opened, &change, options)? else {
        return Ok(());
    };
    let done = rewrap(&opened, name, options).map_err(|error| CliError {
        message: format!(
            "the new key is made (revision {}); {}",
            receipt.revision, error.message
        ),
        ..error
    })?;
    answer(context, name, Some((&change, &receipt)), &done)
}

/// Wraps what still lies under older keys.
pub(super) fn resume(
    context: &Context,
    name: &CompartmentName,
    options: &ChangeOptions,
) -> Result<(), CliError> {
    let opened = open::writer(&context.settings)?;
    if options.dry_run || prompt::is_attended(options.yes)? {
        let entries = opened.vault.under_older_keys(name)?;
        let text = format!("{entries} entries of {name} lie under older keys\n");
        if options.dry_run {
            let json = serde_json::json!({
                "revision": opened.vault.snapshot().revision().0,
                "dry_run": true,
                "entries": entries,
            });
            let text = format!("{text}Nothing was changed.\n");
            return context.output.answer(&json, &text);
        }
        if entries > 0 {
            output::note(&text);
            if !prompt::confirm("Wrap them under the newest key?")? {
                return Err(CliError::failed("nothing was changed"));
            }
        }
    }
    let done = rewrap(&opened, name, options)?;
    answer(context, name, None, &done)
}

fn rewrap(opened: &Opened, name: &CompartmentName, options: &ChangeOptions) -> Result<Rewrapped, CliError> {
    let message = if options.message.is_empty() {
        format!("wrap the records of compartment {name} under its newest key")
    } else {
        options.message.clone()
    };
    let progress = Progress::new("wrapping");
    let done = opened.vault.rewrap(name, &message, &mut |done, total| {
        progress.show(done, total);
        opened.remember();
    });
    opened.remember();
    done.map_err(|error| {
        let may_go_on = matches!(
            error,
            CommitError::Contended { .. } | CommitError::Store(_) | CommitError::Unknown { .. }
        );
        let error = CliError::from(error);
        if may_go_on {
            error.hint(format!(
                "what was wrapped stays so; `strongroom compartment rotate {name} --resume` goes on"
            ))
        } else {
            error
        }
    })
}

fn answer(
    context: &Context,
    name: &CompartmentName,
    key: Option<(&Change, &Receipt)>,
    done: &Rewrapped,
) -> Result<(), CliError> {
    let Rewrapped {
        entries,
        records,
        commits,
        revision,
        broken,
    } = done;
    let place = |(environment, path): &(EnvironmentName, EntryPath)| serde_json::json!({"environment": environment.as_str(), "path": path.as_str()});
    let rewrapped = serde_json::json!({
        "entries": entries,
        "records": records,
        "commits": commits,
        "revision": revision.0,
        "broken": broken.iter().map(place).collect::<Vec<_>>(),
    });
    let json = match key {
        Some((_, receipt)) => change::receipt_and(receipt, "rewrapped", rewrapped)?,
        None => rewrapped,
    };
    let mut text = String::new();
    if let Some((change, receipt)) = key {
        text.push_str(&change::report_text(change, receipt));
    }
    let _ = match (entries, broken.len()) {
        (0, 0) => writeln!(
            text,
            "no entry of {name} lies under an older key at revision {revision}"
        ),
        _ => writeln!(
            text,
            "wrapped {records} records of {entries} entries under the newest key of {name}, in {commits} {}\n\
             revision {revision}",
            if *commits == 1 { "commit" } else { "commits" }
        ),
    };
    context.output.answer(&json, &text)?;
    if broken.is_empty() {
        return Ok(());
    }
    let names = broken
        .iter()
        .map(|(environment, path)| format!("{environment} {path}"));
    let names = names.collect::<Vec<_>>().join(", ");
    let error = format!("these have records that do not open, and stay as they are: {names}");
    Err(CliError::new(Exit::Integrity, error)
        .hint("`strongroom verify` names the revision that listed them; a new value takes their place"))
}
