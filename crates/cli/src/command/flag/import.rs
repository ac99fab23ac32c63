//! `flag import`: a flagd file into a store, one entry a flag and one for what they share.

use std::path::PathBuf;

use strongroom_core::flag::Document;
use strongroom_core::name::{EntryPath, EnvironmentName};
use strongroom_core::vault::Expect;

use crate::change::{self, ChangeOptions};
use crate::context::Context;
use crate::error::CliError;
use crate::{open, output, tree};

const EXAMPLES: &str = "\
Each flag becomes an entry at its key. What they share, `$evaluators` and `metadata`, becomes the
entry `@set`. Below a prefix both get it in front, and `$flagd.flagKey` has it too: rules that
split by the flag's key then split users anew. Flags that are there and not in the file stay.

flagd loads what its schema forbids and warns; here it is refused, with flag, place and reason.

Examples:
  strongroom flag import prod ./flags.flagd.json
  strongroom flag import prod ./flags.flagd.json --prefix web --dry-run";

/// Import flags of a flagd file
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The environment
    #[arg(value_name = "ENV")]
    environment: EnvironmentName,
    /// The file, as flagd reads it
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Put them below this path
    #[arg(long, value_name = "PATH")]
    prefix: Option<EntryPath>,
    #[command(flatten)]
    change: ChangeOptions,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let file = args.file.display().to_string();
    let text = std::fs::read(&args.file).map_err(|error| CliError::io(&file, &error))?;
    let in_file = |message: String| CliError::failed(format!("{file}: {message}"));
    // A key that comes twice is a mistake, which flagd's own reader does not see.
    tree::parse_json(&text).map_err(|error| in_file(error.message))?;
    let document = Document::parse(&text).map_err(|error| in_file(error.to_string()))?;
    if document.flags.is_empty() && document.set.is_empty() {
        return Err(in_file("there is nothing to import in it".to_owned()));
    }
    let prefix = args.prefix.as_ref().map(EntryPath::as_str);
    let at = |key: &str| -> Result<EntryPath, CliError> {
        let path = prefix.map_or_else(|| key.to_owned(), |prefix| format!("{prefix}/{key}"));
        EntryPath::new(&path).map_err(|error| in_file(format!("a flag's key is its path here: {error}")))
    };
    let opened = open::writer(&context.settings)?;
    let mut edits = Vec::new();
    if !document.set.is_empty() {
        let set = document.set.to_json().into();
        edits.push(super::put(&args.environment, at("@set")?, &set, Expect::Any)?);
    }
    for (key, flag) in &document.flags {
        edits.push(super::put(&args.environment, at(key)?, flag, Expect::Any)?);
    }
    if prefix.is_some() {
        output::note(
            "note: the keys of the flags begin with the prefix: rules that split by them move users\n",
        );
    }
    let change = args.change.change(edits);
    change::carry_out(context, &opened, &change, &args.change)
}
