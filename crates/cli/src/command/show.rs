//! `show`: everything about an entry but its value.

use serde::Serialize;
use strongroom_core::snapshot::{Kind, Label};

use super::list::EntryJson;
use crate::context::{Context, Target};
use crate::error::CliError;
use crate::open;
use crate::output::harmless;

const EXAMPLES: &str = "\
Example:
  strongroom show prod web/database/password";

/// Show what an entry is, without its value
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Serialize)]
struct ShowJson {
    #[serde(flatten)]
    entry: EntryJson,
    /// Versions under other labels than `current`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pending: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous: Option<u32>,
    /// The environments that the entry can come from, nearest first.
    layers: Vec<String>,
    changed_at: Option<String>,
    author: Option<String>,
    message: Option<String>,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let (environment, path) = args.target.resolve(context)?;
    let opened = open::reader(&context.settings)?;
    let snapshot = opened.vault.snapshot();
    let entry = snapshot.entry(&environment, &path)?;
    let layers = if entry.kind == Kind::Config {
        snapshot.layers(&environment)?
    } else {
        vec![entry.environment.clone()]
    };
    let last = opened
        .vault
        .history(Some((&entry.environment, &path)), 1)?
        .into_iter()
        .next();
    let show = ShowJson {
        entry: EntryJson::from(&*entry),
        pending: entry.labelled(Label::Pending).map(|version| version.0),
        previous: entry.labelled(Label::Previous).map(|version| version.0),
        layers: layers.iter().map(ToString::to_string).collect(),
        changed_at: last.as_ref().map(|past| past.at.to_string()),
        author: last.as_ref().map(|past| past.author.clone()),
        message: last.map(|past| past.message),
    };
    let mut lines = vec![
        ("path", show.entry.path.clone()),
        ("environment", show.entry.environment.clone()),
        ("kind", show.entry.kind.to_owned()),
        ("version", show.entry.version.to_string()),
        ("revision", show.entry.revision.to_string()),
        ("bytes", show.entry.size.to_string()),
        ("compartment", show.entry.compartment.clone()),
    ];
    for (name, version) in [("pending", show.pending), ("previous", show.previous)] {
        lines.extend(version.map(|version| (name, version.to_string())));
    }
    if entry.kind == Kind::Config {
        lines.push(("format", show.entry.format.to_owned()));
        lines.push(("layers", show.layers.join(", ")));
    }
    for (name, value) in &show.entry.labels {
        lines.push(("label", format!("{name}={value}")));
    }
    for (name, value) in [
        ("changed", &show.changed_at),
        ("by", &show.author),
        ("message", &show.message),
    ] {
        if let Some(value) = value.as_ref().filter(|value| !value.is_empty()) {
            lines.push((name, value.clone()));
        }
    }
    let text: String = lines
        .iter()
        .map(|(name, value)| format!("{name:<12} {}\n", harmless(value)))
        .collect();
    context.output.answer(&show, &text)
}
