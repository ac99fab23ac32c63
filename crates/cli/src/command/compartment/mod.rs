//! `compartment add|rotate|list`: sets of entries sealed under one key each.

mod rotate;

use serde::Serialize;
use strongroom_core::name::CompartmentName;
use strongroom_core::snapshot::Compartment;
use strongroom_core::vault::Edit;

use crate::change::{self, ChangeOptions};
use crate::context::Context;
use crate::error::CliError;
use crate::open;
use crate::output::Table;

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
        } => return rotate::resume(context, &name, &change),
        Command::Rotate {
            name,
            key_only: false,
            change,
            ..
        } => return rotate::run(context, &name, &change),
        Command::Rotate { name, change, .. } => (Edit::NewKey { compartment: name }, change),
    };
    let opened = open::writer(&context.settings)?;
    let change = options.change(vec![edit]);
    change::carry_out(context, &opened, &change, &options)
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
