//! `config show`: the keys of a merged document, and where each comes from.

use serde::Serialize;
use serde_json::Value;
use strongroom_core::vault::KeyOrigin;

use super::get::recorded;
use crate::context::{Context, Target};
use crate::error::CliError;
use crate::open;
use crate::output::{Table, harmless};

const EXAMPLES: &str = "\
With --origin each key has the environment whose document decided about it, and the revision and
member that made it what it is. A key that is unset there is listed too.

Examples:
  strongroom config show prod web
  strongroom config show prod web --origin";

/// List the keys of a config document, with where they come from
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    target: Target,
    /// Name the layer, revision and author of each key
    #[arg(long)]
    origin: bool,
}

#[derive(Debug, Serialize)]
struct KeyJson {
    key: String,
    /// Left out where it is unset.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Value>,
    unset: bool,
    layer: String,
    revision: u64,
    at: String,
    author: String,
    /// The layer behind it with a value of another type, which is replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    retyped: Option<String>,
}

impl From<KeyOrigin> for KeyJson {
    fn from(origin: KeyOrigin) -> Self {
        let KeyOrigin {
            key,
            value,
            layer,
            revision,
            at,
            author,
            retyped,
        } = origin;
        Self {
            key: key.to_string(),
            unset: value.is_none(),
            value,
            layer: layer.to_string(),
            revision: revision.0,
            at: at.to_string(),
            author,
            retyped: retyped.map(|layer| layer.to_string()),
        }
    }
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let (environment, path) = args.target.resolve(context)?;
    let opened = open::reader(&context.settings)?;
    let snapshot = opened.vault.snapshot();
    recorded(&opened, &snapshot, &environment, &path, "config show")?;
    let origins = opened.vault.origins(&environment, &path)?;
    let keys: Vec<KeyJson> = origins.into_iter().map(Into::into).collect();
    let mut table = if args.origin {
        Table::new(&["KEY", "VALUE", "LAYER", "REVISION", "AUTHOR"])
    } else {
        Table::new(&["KEY", "VALUE"])
    };
    for key in keys.iter().filter(|key| args.origin || !key.unset) {
        let value = key
            .value
            .as_ref()
            .map_or_else(|| "(unset)".to_owned(), Value::to_string);
        let mut cells = vec![harmless(&key.key), harmless(&value)];
        if args.origin {
            cells.push(key.layer.clone());
            cells.push(key.revision.to_string());
            cells.push(harmless(&key.author));
        }
        table.row(cells);
    }
    let json = serde_json::json!({
        "environment": environment.as_str(),
        "path": path.as_str(),
        "revision": snapshot.revision().0,
        "keys": keys,
    });
    context.output.answer(&json, &table.render())
}
