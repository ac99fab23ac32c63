//! `flag eval`: what a flag is for a context, and on request why.

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use strongroom_core::flag::{self, Flag};
use strongroom_core::name::{EntryPath, EnvironmentName};

use crate::context::Context;
use crate::error::CliError;
use crate::open;
use crate::output::{FAINT, STRONG, harmless};

const EXAMPLES: &str = "\
The context is a JSON object, from a file or from stdin with `-`: `targetingKey` is whom users are
split by. --explain tells what each part of the rule came to, and for `fractional` the hash, the
place it falls on and the buckets, the one that was hit with a star.

Examples:
  strongroom flag eval prod new-checkout --context ./ada.json
  echo '{\"targetingKey\":\"ada\"}' | strongroom flag eval prod new-checkout --context - --explain";

/// Evaluate a flag for a context
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The environment
    #[arg(value_name = "ENV")]
    environment: EnvironmentName,
    /// The key of the flag, which is its path
    #[arg(value_name = "KEY")]
    key: EntryPath,
    /// The context, a JSON object in a file, or on stdin with `-` [default: an empty one]
    #[arg(long, short = 'c', value_name = "FILE")]
    context: Option<PathBuf>,
    /// Tell the way through the rule
    #[arg(long)]
    explain: bool,
}

/// A context from a file, or from stdin with `-`.
pub(super) fn read(file: Option<&Path>) -> Result<flag::Context, CliError> {
    let Some(file) = file else {
        return Ok(flag::Context::new());
    };
    let mut text = Vec::new();
    let name = file.display().to_string();
    if name == "-" {
        std::io::stdin().read_to_end(&mut text)
    } else {
        std::fs::File::open(file).and_then(|mut file| file.read_to_end(&mut text))
    }
    .map_err(|error| CliError::io(&name, &error))?;
    match serde_json::from_slice(&text) {
        Ok(Value::Object(context)) => Ok(context),
        _ => Err(CliError::failed(format!(
            "{name}: the context is not a JSON object"
        ))),
    }
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let attributes = read(args.context.as_deref())?;
    let opened = open::reader(&context.settings)?;
    let opening = super::open(&opened, &args.environment, &args.key, "flag eval")?;
    let now = super::now();
    let told = if args.explain {
        flag::explain(opening.key(), &opening.definition, &opening.set, &attributes, now)
    } else {
        Vec::new()
    };
    let flag = Flag::compile(opening.key(), opening.definition.clone(), &opening.set);
    let found = flag
        .evaluate(&attributes, now)
        .map_err(|failure| CliError::failed(format!("{}: {failure}", args.key)))?;
    let (variant, value) = match found.chosen {
        Some(chosen) => (json!(chosen.variant), chosen.value.clone()),
        None => (Value::Null, Value::Null),
    };
    let mut text = match found.chosen {
        Some(chosen) => format!(
            "{STRONG}{}{STRONG:#}  variant {}, {}\n",
            harmless(&chosen.value.to_string()),
            harmless(chosen.variant),
            found.reason
        ),
        None => format!("the caller's own default  {}\n", found.reason),
    };
    for part in &told {
        let indent = "  ".repeat(part.depth + 1);
        let result = harmless(&part.result.to_string());
        let _ = writeln!(
            text,
            "{indent}{FAINT}{}{FAINT:#} = {result}",
            harmless(&part.position)
        );
        if let Some(note) = &part.note {
            let _ = writeln!(text, "{indent}  {}", harmless(note));
        }
    }
    let mut json = json!({
        "key": args.key.as_str(),
        "value": value,
        "variant": variant,
        "reason": found.reason.as_str(),
        "metadata": found.metadata,
        "revision": opened.vault.snapshot().revision().0,
    });
    let part = |part: &flag::Explained| json!({"position": part.position, "depth": part.depth, "result": part.result, "note": part.note});
    if let Some(members) = json.as_object_mut().filter(|_| args.explain) {
        members.insert("explain".to_owned(), told.iter().map(part).collect());
    }
    context.output.answer(&json, &text)
}
