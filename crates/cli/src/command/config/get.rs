//! `config get`: prints a merged document, or what it has under one key.

use serde_json::{Value, json};
use strongroom_core::config::Key;
use strongroom_core::name::{EntryPath, EnvironmentName};
use strongroom_core::snapshot::Snapshot;

use crate::context::Context;
use crate::error::CliError;
use crate::open::{self, Opened};
use crate::output;

const EXAMPLES: &str = "\
A text is printed as it is, a number or truth value as JSON has it, a list or a table as JSON. The
whole document is printed as consumers get it.

Examples:
  strongroom config get prod web
  strongroom config get prod web pool.size
  strongroom config get prod web 'hosts.\"a.example\"'";

/// Print a config document, or one value of it
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The environment
    #[arg(value_name = "ENV")]
    environment: EnvironmentName,
    /// The path of the document
    #[arg(value_name = "PATH")]
    path: EntryPath,
    /// The key, with dots between names, as in TOML
    #[arg(value_name = "KEY")]
    key: Option<Key>,
}

/// What the record of a read says that it was for.
const GET: &str = "config get";

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let opened = open::reader(&context.settings)?;
    let snapshot = opened.vault.snapshot();
    let (environment, path) = (&args.environment, &args.path);
    recorded(&opened, &snapshot, environment, path, GET)?;
    let Some(key) = &args.key else {
        if !context.output.json {
            let reading = snapshot.read(environment, path)?;
            return reading.value.expose(output::raw);
        }
        let document = snapshot.config_value(environment, path)?;
        return context
            .output
            .json(&answer(&snapshot, environment, path, None, &document));
    };
    let document = snapshot.config_value(environment, path)?;
    let Some(value) = key.find(&document) else {
        return Err(
            CliError::failed(format!("{path} in {environment} has no `{key}`")).hint(format!(
                "`strongroom config show {environment} {path}` lists its keys"
            )),
        );
    };
    let text = match value {
        Value::String(text) => format!("{text}\n"),
        other => format!("{other:#}\n"),
    };
    if context.output.json {
        return context
            .output
            .json(&answer(&snapshot, environment, path, Some(key), value));
    }
    output::raw(text.as_bytes())
}

fn answer(
    snapshot: &Snapshot,
    environment: &EnvironmentName,
    path: &EntryPath,
    key: Option<&Key>,
    value: &Value,
) -> Value {
    json!({
        "environment": environment.as_str(),
        "path": path.as_str(),
        "key": key.map(ToString::to_string),
        "revision": snapshot.revision().0,
        "value": value,
    })
}

/// Records that the layers of a document are opened.
pub(super) fn recorded(
    opened: &Opened,
    snapshot: &Snapshot,
    environment: &EnvironmentName,
    path: &EntryPath,
    command: &'static str,
) -> Result<(), CliError> {
    let entry = snapshot.entry(environment, path)?;
    opened.record((environment, snapshot.revision()), [&*entry], command)
}
