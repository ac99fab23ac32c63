//! `flag export`: the flags of an environment as a flagd file.

use serde_json::{Map, Value};
use strongroom_core::flag::Document;
use strongroom_core::name::{EntryPath, EnvironmentName};

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
    let flags = super::open_all(&opened, &args.environment, args.prefix.as_ref(), "flag export")?;
    let mut document = Document::default();
    let mut set = None;
    for (at, flag) in flags.iter().enumerate() {
        let own = flag.entry.set.as_ref().map(|set| &set.path);
        if at > 0 && set != own {
            return Err(
                CliError::failed("the flags are of several sets, and a file has one")
                    .hint("name the directory of one set with --prefix"),
            );
        }
        set = own;
        let value: Value = snapshot
            .expose(&flag.entry.flag, |bytes| serde_json::from_slice(bytes))?
            .map_err(|_| CliError::failed(format!("{}: it is not JSON", flag.key())))?;
        let key = match &args.prefix {
            Some(prefix) => flag.key().strip_prefix(prefix.as_str()).unwrap_or(flag.key()),
            None => flag.key(),
        };
        document
            .flags
            .insert(key.trim_start_matches('/').to_owned(), value);
    }
    let mut out = document.to_json();
    if let (Some(first), Value::Object(fields)) = (flags.first(), &mut out) {
        let shared: Map<_, _> = first.set.to_json();
        fields.extend(shared);
    }
    let mut text = serde_json::to_string_pretty(&out).map_err(|error| CliError::failed(error.to_string()))?;
    text.push('\n');
    output::raw(text.as_bytes())
}
