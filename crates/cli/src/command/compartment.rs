//! `compartment add|rotate|list`: sets of entries sealed under one key each.

use std::fmt::Write as _;

use serde::Serialize;
use strongroom_core::name::CompartmentName;
use strongroom_core::snapshot::Compartment;
use strongroom_core::vault::{Change, Edit, Receipt, Rewrapped};

use crate::change::{self, ChangeOptions};
use crate::context::Context;
use crate::error::CliError;
use crate::open::{self, Opened};
use crate::output::Table;
use crate::progress::Progress;
use crate::prompt;

const ADD_EXAMPLES: &str = "\
A compartment splits an environment, so that a stolen identity costs less. Every environment
begins with one of its own name.

Examples:
  strongroom compartment add payments
  strongroom member grant web --compartment payments
  printf s3cret | strongroom put prod payments/key --compartment payments";

const ROTATE_EXAMPLES: &str = "\
Whoever opens the compartment opens the new key too. What is stored is then wrapped under it, some entries
in each commit; versions and values stay, and nobody is told of it. When it is stopped, --resume goes on.
Removing a member makes new keys by itself: --resume then wraps what is stored.

Who kept an older key and an older copy of the store reads what was in it: a value that somebody knows is
rotated, a key alone does not help.

Examples:
  strongroom compartment rotate prod
  strongroom compartment rotate prod --resume
  strongroom compartment rotate prod --resume --dry-run    how much lies under older keys";

/// Add or list compartments, and make new keys for them: entries under one key, which only their members open
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Add a compartment, which the admins open
    #[command(after_help = ADD_EXAMPLES)]
    Add {
        /// The name of the compartment
        name: CompartmentName,
        #[command(flatten)]
        change: ChangeOptions,
    },
    /// Make a new key, and wrap what is stored under it
    #[command(after_help = ROTATE_EXAMPLES)]
    Rotate {
        /// The name of the compartment
        name: CompartmentName,
        /// Make no new key: wrap what still lies under older ones
        #[arg(long, conflicts_with = "key_only")]
        resume: bool,
        /// Leave what is stored under the keys it was put with
        #[arg(long)]
        key_only: bool,
        #[command(flatten)]
        change: ChangeOptions,
    },
    /// List the compartments and who opens them
    List,
}

#[derive(Debug, Serialize)]
struct CompartmentJson {
    name: String,
    members: Vec<String>,
    term: u32,
    open: bool,
}

impl From<&Compartment> for CompartmentJson {
    fn from(compartment: &Compartment) -> Self {
        let Compartment {
            name,
            members,
            term,
            open,
        } = compartment;
        Self {
            name: name.to_string(),
            members: members.iter().map(ToString::to_string).collect(),
            term: *term,
            open: *open,
        }
    }
}

pub(crate) fn run(command: Command, context: &Context) -> Result<(), CliError> {
    let (edit, options) = match command {
        Command::List => return list(context),
        Command::Add { name, change } => (Edit::AddCompartment { name }, change),
        Command::Rotate {
            name,
            resume: true,
            change,
            ..
        } => return resume(context, &name, &change),
        Command::Rotate {
            name,
            key_only: false,
            change,
            ..
        } => return rotate(context, &name, &change),
        Command::Rotate { name, change, .. } => (Edit::NewKey { compartment: name }, change),
    };
    let opened = open::writer(&context.settings)?;
    let change = options.change(vec![edit]);
    change::carry_out(context, &opened, &change, &options)
}

fn rotate(context: &Context, name: &CompartmentName, options: &ChangeOptions) -> Result<(), CliError> {
    let opened = open::writer(&context.settings)?;
    let compartment = name.clone();
    let change = options.change(vec![Edit::NewKey { compartment }]);
    let Some(receipt) = change::carry_out_untold(context, &opened, &change, options)? else {
        return Ok(());
    };
    let done = rewrap(&opened, name, options).map_err(|error| {
        let made = format!(
            "the new key is made (revision {}); {}",
            receipt.revision, error.message
        );
        CliError::new(error.exit, made).hint(go_on(name))
    })?;
    answer(context, name, Some((&change, &receipt)), &done)
}

/// Wraps what still lies under older keys.
fn resume(context: &Context, name: &CompartmentName, options: &ChangeOptions) -> Result<(), CliError> {
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
            crate::output::note(&text);
            if !prompt::confirm("Wrap them under the newest key?")? {
                return Err(CliError::failed("nothing was changed"));
            }
        }
    }
    let done = rewrap(&opened, name, options).map_err(|error| error.hint(go_on(name)))?;
    answer(context, name, None, &done)
}

fn go_on(name: &CompartmentName) -> String {
    format!("what was wrapped stays so; `strongroom compartment rotate {name} --resume` goes on")
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
    Ok(done?)
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
    } = done;
    let rewrapped = serde_json::json!({
        "entries": entries,
        "records": records,
        "commits": commits,
        "revision": revision.0,
    });
    let json = match key {
        Some((_, receipt)) => change::receipt_and(receipt, "rewrapped", rewrapped)?,
        None => rewrapped,
    };
    let mut text = String::new();
    if let Some((change, receipt)) = key {
        text.push_str(&change::report_text(change, receipt));
    }
    let _ = if *entries == 0 {
        writeln!(
            text,
            "nothing of {name} lies under an older key at revision {revision}"
        )
    } else {
        let commits = if *commits == 1 {
            "1 commit".to_owned()
        } else {
            format!("{commits} commits")
        };
        writeln!(
            text,
            "wrapped {records} records of {entries} entries under the newest key of {name}, in {commits}\n\
             revision {revision}"
        )
    };
    context.output.answer(&json, &text)
}

fn list(context: &Context) -> Result<(), CliError> {
    let snapshot = open::reader(&context.settings)?.vault.snapshot();
    let compartments: Vec<CompartmentJson> = snapshot.compartments().iter().map(Into::into).collect();
    let mut table = Table::new(&["COMPARTMENT", "TERM", "OPEN", "MEMBERS"]);
    for compartment in &compartments {
        let open = if compartment.open { "yes" } else { "no" };
        table.row(vec![
            compartment.name.clone(),
            compartment.term.to_string(),
            open.into(),
            compartment.members.join(", "),
        ]);
    }
    let json = serde_json::json!({"revision": snapshot.revision().0, "compartments": compartments});
    context.output.answer(&json, &table.render())
}
