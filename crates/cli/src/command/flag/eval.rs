//! `flag eval`: what a flag is for a context, and on request why.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use strongroom_core::flag::{self, Evaluation, Flag};
use strongroom_core::name::{EntryPath, EnvironmentName};

use crate::context::Context;
use crate::error::CliError;
use crate::output::{FAINT, STRONG, harmless};
use crate::{open, value};

const EXAMPLES: &str = "\
The context is a JSON object, from a file or from stdin with `-`: `targetingKey` is whom users are
split by. --explain tells what each part of the rule came to, and for `fractional` the hash, the
place it falls on and the buckets, the one that was hit with a star; also where the rule ends in an
error.

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
    let text = if file == Path::new("-") {
        value::read_bounded(std::io::stdin().lock(), "standard input")
    } else {
        value::read_file(file)
    }?;
    match text.expose(|text| serde_json::from_slice(text)) {
        Ok(Value::Object(context)) => Ok(context),
        _ => Err(CliError::failed(format!(
            "{}: the context is not a JSON object",
            file.display()
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
    let found = flag.evaluate(&attributes, now);
    let revision = opened.vault.snapshot().revision().0;
    let (mut json, mut text) = match &found {
        Ok(found) => (
            json!({
                "key": args.key.as_str(),
                "value": found.chosen.map(|chosen| chosen.value),
                "variant": found.chosen.map(|chosen| chosen.variant),
                "reason": found.reason.as_str(),
                "metadata": found.metadata,
                "revision": revision,
            }),
            answer(found),
        ),
        Err(failure) => (
            json!({"key": args.key.as_str(), "code": failure.code.as_str(), "revision": revision}),
            String::new(),
        ),
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
    let part = |part: &flag::Explained| json!({"position": part.position, "depth": part.depth, "result": part.result, "note": part.note});
    if let Some(members) = json.as_object_mut().filter(|_| args.explain) {
        members.insert("explain".to_owned(), told.iter().map(part).collect());
    }
    // The way to an error is what one asks for then.
    if found.is_ok() || args.explain {
        context.output.answer(&json, &text)?;
    }
    found
        .map(drop)
        .map_err(|failure| CliError::failed(format!("{}: {failure}", args.key)))
}

fn answer(found: &Evaluation<'_>) -> String {
    match found.chosen {
        Some(chosen) => format!(
            "{STRONG}{}{STRONG:#}  variant {}, {}\n",
            harmless(&chosen.value.to_string()),
            harmless(chosen.variant),
            found.reason
        ),
        None => format!("the caller's own default  {}\n", found.reason),
    }
}
