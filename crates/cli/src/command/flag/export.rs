//! `flag export`: the flags of an environment as a flagd file.

use serde_json::Value;
use strongroom_core::flag::Document;
use strongroom_core::name::{EntryPath, EnvironmentName};

use super::Opening;
use crate::context::Context;
use crate::error::CliError;
use crate::{open, output};

const EXAMPLES: &str = "\
The document is what `flag import` reads, and flagd and its clients. It has the flags that share
one set; name the directory of another one with --prefix, which is taken off the keys.

Examples:
  strongroom flag export prod > flags.flagd.json
  strongroom flag export prod --prefix web";

/// Export flags as a flagd file, to stdout
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The environment
    #[arg(value_name = "ENV")]
    environment: EnvironmentName,
    /// Only those below this path, which is taken off their keys
    #[arg(long, value_name = "PATH")]
    prefix: Option<EntryPath>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let opened = open::reader(&context.settings)?;
    let snapshot = opened.vault.snapshot();
    let mut flags = super::open_all(&opened, &args.environment, args.prefix.as_ref(), "flag export")?;
    if let Some(prefix) = &args.prefix {
        // A flag at the path itself would have no key.
        flags.retain(|flag| flag.entry.flag.path != *prefix);
        if flags.is_empty() {
            return Err(CliError::failed(format!("there are no flags below {prefix}")));
        }
    }
    let mut document = Document::default();
    let path = |flag: &Opening| flag.entry.set.as_ref().map(|set| set.path.clone());
    if flags
        .windows(2)
        .any(|pair| matches!(pair, [a, b] if path(a) != path(b)))
    {
        return Err(
            CliError::failed("the flags are of several sets, and a file has one")
                .hint("name the directory of one set with --prefix"),
        );
    }
    for flag in &flags {
        let value: Value = snapshot
            .expose(&flag.entry.flag, |bytes| serde_json::from_slice(bytes))?
            .map_err(|_| CliError::failed(format!("{}: it is not JSON", flag.key())))?;
        let prefix = args.prefix.as_ref().map_or("", EntryPath::as_str);
        let key = flag.key().strip_prefix(prefix).unwrap_or(flag.key());
        let key = key.trim_start_matches('/').to_owned();
        document.flags.insert(key, value);
    }
    if let Some(first) = flags.into_iter().next() {
        document.set = first.set;
    }
    let text = serde_json::to_string_pretty(&document.to_json());
    let text = text.map_err(|error| CliError::failed(error.to_string()))?;
    output::raw(format!("{text}\n").as_bytes())
}
