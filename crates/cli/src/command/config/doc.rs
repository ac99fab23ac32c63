//! `config doc`: what a document's schema says of each key, in Markdown. It shows no value.

use std::fmt::Write as _;

use serde_json::json;
use strongroom_core::config::Field;
use strongroom_core::vault::KeyOrigin;

use crate::context::{Context, Target};
use crate::error::CliError;
use crate::open;
use crate::output::harmless;

const EXAMPLES: &str = "\
Example:
  strongroom config doc prod web > web.md";

/// Describe the keys of a config document by its schema, in Markdown
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    target: Target,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let (environment, path) = args.target.resolve(context)?;
    let opened = open::reader(&context.settings)?;
    let snapshot = opened.vault.snapshot();
    let schema = match snapshot.schema(&environment, &path)? {
        Some(Ok(schema)) => schema,
        Some(Err(error)) => return Err(CliError::failed(error.to_string())),
        None => {
            return Err(
                CliError::failed(format!("no schema governs {path} in {environment}")).hint(format!(
                    "`strongroom config schema infer {environment} {path}` makes one to begin with"
                )),
            );
        }
    };
    // Without a document the schema alone is described.
    let origins = match snapshot.entry(&environment, &path) {
        Ok(entry) => {
            opened.record((&environment, snapshot.revision()), [&*entry], "config doc")?;
            opened.vault.origins(&environment, &path)?
        }
        Err(_) => Vec::new(),
    };
    let mut text = format!("# {path}\n\n");
    text.push_str("| key | type | required | default | meaning | now |\n|---|---|---|---|---|---|\n");
    let mut fields = Vec::new();
    for field in schema.fields() {
        let now = now(&origins, &field);
        let _ = writeln!(text, "{}", row(&field, now.as_deref()));
        let Field {
            key,
            types,
            required,
            default,
            meaning,
            deprecated,
            secret,
        } = field;
        fields.push(json!({
            "key": key.to_string(), "types": types, "required": required, "default": default,
            "meaning": meaning, "deprecated": deprecated, "secret": secret, "now": now,
        }));
    }
    let json = json!({
        "environment": environment.as_str(),
        "path": path.as_str(),
        "revision": snapshot.revision().0,
        "fields": fields,
    });
    context.output.answer(&json, &text)
}

/// The layers and revisions that the key, or the keys in it, come from now.
fn now(origins: &[KeyOrigin], field: &Field) -> Option<String> {
    let of_it = origins
        .iter()
        .filter(|origin| field.key.holds(&origin.key) && origin.value.is_some());
    let mut layers: Vec<String> = Vec::new();
    for origin in of_it {
        let layer = format!("{} ({})", origin.layer, origin.revision);
        if !layers.contains(&layer) {
            layers.push(layer);
        }
    }
    Some(layers.join(", ")).filter(|layers| !layers.is_empty())
}

fn row(field: &Field, now: Option<&str>) -> String {
    let cell = |text: &str| harmless(&text.replace('\n', " ")).replace('|', "\\|");
    let mut meaning = cell(field.meaning.as_deref().unwrap_or_default());
    for (is, word) in [(field.deprecated, "**deprecated**"), (field.secret, "*secret*")] {
        if is {
            meaning = format!("{word} {meaning}").trim_end().to_owned();
        }
    }
    let default = field
        .default
        .as_ref()
        .map(|value| format!("`{}`", cell(&value.to_string())));
    format!(
        "| `{}` | {} | {} | {} | {meaning} | {} |",
        cell(&field.key.to_string()),
        cell(&field.types.join(" or ")),
        if field.required { "yes" } else { "" },
        default.unwrap_or_default(),
        cell(now.unwrap_or_default()),
    )
}
