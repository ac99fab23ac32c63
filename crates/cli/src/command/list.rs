//! `list`: the entries of an environment, described; no value is opened.

use serde::Serialize;
use strongroom_core::name::{EntryPath, EnvironmentName};
use strongroom_core::snapshot::{Entry, Kind};

use crate::context::Context;
use crate::error::CliError;
use crate::open;
use crate::output::Table;

const EXAMPLES: &str = "\
Examples:
  strongroom list prod
  strongroom list prod --prefix web --kind secret
  strongroom list --json                     # every environment";

/// List the entries of an environment, or of all
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The environment [default: the `environment` setting, else all]
    #[arg(value_name = "ENV")]
    environment: Option<EnvironmentName>,
    /// Only entries at or below this path
    #[arg(long, short = 'p', value_name = "PATH")]
    prefix: Option<EntryPath>,
    /// Only entries of this kind
    #[arg(long, value_name = "KIND")]
    kind: Option<Kind>,
}

/// An entry described.
#[derive(Debug, Serialize)]
pub(crate) struct EntryJson {
    pub(crate) environment: String,
    pub(crate) path: String,
    pub(crate) kind: &'static str,
    pub(crate) version: u32,
    pub(crate) revision: u64,
    pub(crate) format: &'static str,
    pub(crate) labels: std::collections::BTreeMap<String, String>,
    pub(crate) compartment: String,
    pub(crate) size: usize,
}

impl From<&Entry> for EntryJson {
    fn from(entry: &Entry) -> Self {
        Self {
            environment: entry.environment.to_string(),
            path: entry.path.to_string(),
            kind: entry.kind.as_str(),
            version: entry.version.0,
            revision: entry.revision.0,
            format: entry.format.as_str(),
            labels: entry.labels.clone(),
            compartment: entry.compartment.to_string(),
            size: entry.size,
        }
    }
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let snapshot = open::reader(&context.settings)?.vault.snapshot();
    let setting = context
        .settings
        .environment
        .as_ref()
        .map(|setting| &setting.value);
    let mut entries: Vec<EntryJson> = Vec::new();
    let mut add = |environment: &EnvironmentName, inherited: bool| -> Result<(), CliError> {
        let found = snapshot.entries(environment, args.prefix.as_ref())?;
        let wanted = found.iter().filter(|entry| {
            args.kind.is_none_or(|kind| kind == entry.kind)
                && (inherited || entry.environment == *environment)
        });
        entries.extend(wanted.map(|entry| EntryJson::from(&**entry)));
        Ok(())
    };
    match args.environment.as_ref().or(setting) {
        Some(environment) => add(environment, true)?,
        None => snapshot
            .environments()
            .iter()
            .try_for_each(|environment| add(&environment.name, false))?,
    }
    let mut table = Table::new(&[
        "ENVIRONMENT",
        "PATH",
        "KIND",
        "VERSION",
        "BYTES",
        "COMPARTMENT",
        "LABELS",
    ]);
    for entry in &entries {
        let labels: Vec<String> = entry
            .labels
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        table.row(vec![
            entry.environment.clone(),
            entry.path.clone(),
            entry.kind.into(),
            entry.version.to_string(),
            entry.size.to_string(),
            entry.compartment.clone(),
            crate::output::harmless(&labels.join(" ")),
        ]);
    }
    let json = serde_json::json!({"revision": snapshot.revision().0, "entries": entries});
    context.output.answer(&json, &table.render())
}
