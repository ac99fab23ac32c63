//! `config edit`: `edit` for config documents; a new one is TOML.

use std::path::PathBuf;

use strongroom_core::config::Format;
use strongroom_core::snapshot::Kind;

use crate::change::ChangeOptions;
use crate::command::edit;
use crate::command::put::EntryOptions;
use crate::context::{Context, Target};
use crate::error::CliError;

const EXAMPLES: &str = "\
As `strongroom edit`, for config documents: a document that only a parent has is begun empty, for
the keys that differ. When somebody else was first, their changes and yours are brought together.

Example:
  strongroom config edit prod web";

/// Edit a config document in $VISUAL or $EDITOR
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    target: Target,
    /// The format of a new document: text, json or toml [default: toml]
    #[arg(long, value_name = "FORMAT")]
    format: Option<Format>,
    /// Edit in this directory where nothing in memory is there: the text may stay on its disk
    #[arg(long, value_name = "DIR")]
    insecure_dir: Option<PathBuf>,
    #[command(flatten)]
    change: ChangeOptions,
}

pub(crate) fn run(args: Args, context: &Context) -> Result<(), CliError> {
    let entry = EntryOptions {
        kind: Some(Kind::Config),
        format: args.format,
        fallback: Some(Format::Toml),
        labels: Vec::new(),
        compartment: None,
    };
    let args = edit::Args {
        target: args.target,
        entry,
        insecure_dir: args.insecure_dir,
        change: args.change,
    };
    edit::run(&args, context)
}
