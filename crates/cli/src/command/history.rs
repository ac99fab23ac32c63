//! `history`: the commits that changed an entry, a part, or anything.

use std::fmt::Write as _;

use serde::Serialize;
use strongroom_core::name::{EntryPath, EnvironmentName};
use strongroom_core::vault::{Past, PastLabels, Paths, Scope};

use crate::change::{ChangedJson, changed_line};
use crate::context::{Context, OptionalTarget};
use crate::error::CliError;
use crate::open;
use crate::output::{CHANGED, FAINT, STRONG, harmless};

const EXAMPLES: &str = "\
Examples:
  strongroom history
  strongroom history prod web/database/password --limit 5
  strongroom history --environment prod --prefix web";

/// Show who changed what, newest first
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    target: OptionalTarget,
    /// Only what was done to entries of this environment
    #[arg(long, short = 'e', value_name = "ENV")]
    environment: Option<EnvironmentName>,
    /// Only what was done to the entry at this path and those below it
    #[arg(long, short = 'p', value_name = "PATH")]
    prefix: Option<EntryPath>,
    /// Show at most this many commits
    #[arg(long, value_name = "N", default_value = "50")]
    limit: usize,
}

#[derive(Debug, Serialize)]
struct PastJson {
    revision: u64,
    at: String,
    author: String,
    message: String,
    changes: Vec<ChangedJson>,
    labels: Vec<LabelsJson>,
}

/// Where the labels of a secret were put.
#[derive(Debug, Serialize)]
struct LabelsJson {
    environment: String,
    path: String,
    current: u32,
    pending: Option<u32>,
    previous: Option<u32>,
    rotating: bool,
}

impl From<&PastLabels> for LabelsJson {
    fn from(labels: &PastLabels) -> Self {
        let PastLabels {
            environment,
            path,
            current,
            pending,
            previous,
            rotating,
        } = labels;
        Self {
            environment: environment.to_string(),
            path: path.to_string(),
            current: current.0,
            pending: pending.map(|version| version.0),
            previous: previous.map(|version| version.0),
            rotating: *rotating,
        }
    }
}

impl LabelsJson {
    fn line(&self) -> String {
        let mut line = format!(
            "{CHANGED}~{CHANGED:#} {} {}  labels: current {}",
            self.environment, self.path, self.current
        );
        for (label, version) in [("pending", self.pending), ("previous", self.previous)] {
            if let Some(version) = version {
                let _ = write!(line, ", {label} {version}");
            }
        }
        if self.rotating {
            line.push_str(", rotating");
        }
        line
    }
}

impl From<&Past> for PastJson {
    fn from(past: &Past) -> Self {
        let Past {
            revision,
            at,
            author,
            message,
            changes,
            labels,
        } = past;
        Self {
            revision: revision.0,
            at: at.to_string(),
            author: author.clone(),
            message: message.clone(),
            changes: changes.iter().map(Into::into).collect(),
            labels: labels.iter().map(Into::into).collect(),
        }
    }
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let past = found(args, context)?;
    let mut text = String::new();
    for past in &past {
        let message = harmless(&past.message);
        let _ = writeln!(
            text,
            "{STRONG}revision {}{STRONG:#}  {}  {}{FAINT}{}{message}{FAINT:#}",
            past.revision,
            past.at,
            harmless(&past.author),
            if message.is_empty() { "" } else { "  " },
        );
        for changed in &past.changes {
            let _ = writeln!(text, "  {}", changed_line(changed));
        }
        for labels in &past.labels {
            let _ = writeln!(text, "  {}", LabelsJson::from(labels).line());
        }
    }
    let commits: Vec<PastJson> = past.iter().map(Into::into).collect();
    context
        .output
        .answer(&serde_json::json!({"commits": commits}), &text)
}

fn found(args: &Args, context: &Context) -> Result<Vec<Past>, CliError> {
    let entry = args.target.resolve(context)?;
    if args.environment.is_some() || args.prefix.is_some() {
        if entry.is_some() {
            return Err(CliError::usage(
                "either one entry, ENV PATH, or a part, --environment ENV --prefix PATH",
            ));
        }
        let opened = open::reader(&context.settings)?;
        if let Some(environment) = &args.environment {
            opened.vault.snapshot().layers(environment)?;
        }
        let scope = Scope {
            environment: args.environment.clone(),
            paths: args.prefix.clone().map_or(Paths::All, Paths::Under),
            ..Scope::default()
        };
        return Ok(opened.vault.history_within(&scope, args.limit)?);
    }
    let opened = open::reader(&context.settings)?;
    let wanted = entry.as_ref().map(|(environment, path)| (environment, path));
    let mut past = opened.vault.history(wanted, args.limit)?;
    if let Some((environment, path)) = wanted {
        if past.is_empty() {
            // Says which of the two names is wrong, or that there never was such an entry.
            opened.vault.snapshot().entry(environment, path)?;
        }
        for past in &mut past {
            past.changes
                .retain(|changed| changed.environment == *environment && changed.path == *path);
            past.labels
                .retain(|labels| labels.environment == *environment && labels.path == *path);
        }
    }
    Ok(past)
}
