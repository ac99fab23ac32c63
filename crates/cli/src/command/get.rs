//! `get`: prints one value, alone.

use std::io::IsTerminal;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use strongroom_core::id::{Revision, Version};
use strongroom_core::name::{EntryPath, EnvironmentName};
use strongroom_core::secret::Secret;
use strongroom_core::snapshot::{Action, Entry, Label, Reading, Snapshot};

use crate::context::{Context, Target};
use crate::error::CliError;
use crate::open::{self, Opened};
use crate::output;

const EXAMPLES: &str = "\
The bytes come out as they were put; a newline is added only on a terminal. A config document is
merged with those of the parent environments; --version prints one version as it was put.

Examples:
  strongroom get prod web/database/password
  strongroom get prod web/database/password --version 2
  strongroom get prod web/app --at 17 --json
  strongroom get prod web/database/password --label previous";

/// Print the value of an entry
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    target: Target,
    /// Print this version instead of the current one
    #[arg(long, value_name = "N", conflicts_with = "at")]
    version: Option<Version>,
    /// Print the value as it was at this revision
    #[arg(long, value_name = "REV")]
    at: Option<Revision>,
    /// Print the version that is current, pending or previous: those there are while it is rotated
    #[arg(long, value_name = "LABEL", conflicts_with = "version")]
    label: Option<Label>,
}

/// A value as JSON: the same members as the socket's answer.
#[derive(Serialize)]
struct ValueJson<'a> {
    environment: &'a str,
    path: &'a str,
    kind: &'static str,
    version: u32,
    revision: u64,
    format: &'static str,
    layers: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_base64: Option<&'a str>,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let (environment, path) = args.target.resolve(context)?;
    let opened = open::reader(&context.settings)?;
    let (reading, revision) = match (args.version, args.at) {
        (Some(version), _) => read_version(&opened, &environment, &path, version)?,
        (None, Some(revision)) => read(&opened, &opened.at(revision)?, &environment, &path, args.label)?,
        (None, None) => read(&opened, &opened.vault.snapshot(), &environment, &path, args.label)?,
    };
    if context.output.json {
        return print_json(context, &environment, &reading, revision);
    }
    reading.value.expose(print)
}

fn print(bytes: &[u8]) -> Result<(), CliError> {
    if !std::io::stdout().is_terminal() {
        return output::raw(bytes);
    }
    let printable = std::str::from_utf8(bytes).is_ok_and(|text| {
        !text
            .chars()
            .any(|c| c.is_control() && !matches!(c, '\n' | '\t' | '\r'))
    });
    if !printable {
        return Err(CliError::failed(
            "the value is binary or holds control characters: it could confuse the terminal",
        )
        .hint("send it to a file or a program (`> FILE`, `| PROGRAM`), or add --json"));
    }
    output::raw(bytes)?;
    if bytes.last().is_some_and(|last| *last != b'\n') {
        output::raw(b"\n")?;
    }
    Ok(())
}

fn print_json(
    context: &Context,
    environment: &EnvironmentName,
    reading: &Reading,
    revision: Revision,
) -> Result<(), CliError> {
    let Reading { entry, value, layers } = reading;
    value.expose(|bytes| {
        let text = std::str::from_utf8(bytes).ok();
        let encoded = zeroize::Zeroizing::new(match text {
            Some(_) => String::new(),
            None => STANDARD.encode(bytes),
        });
        context.output.json(&ValueJson {
            environment: environment.as_str(),
            path: entry.path.as_str(),
            kind: entry.kind.as_str(),
            version: entry.version.0,
            revision: revision.0,
            format: entry.format.as_str(),
            layers: layers.iter().map(EnvironmentName::as_str).collect(),
            value: text,
            value_base64: text.is_none().then_some(encoded.as_str()),
        })
    })
}

/// What the record of a read says that it was for.
const GET: &str = "get";

fn read(
    opened: &Opened,
    snapshot: &Snapshot,
    environment: &EnvironmentName,
    path: &EntryPath,
    label: Option<Label>,
) -> Result<(Reading, Revision), CliError> {
    let (entry, revision) = (snapshot.entry(environment, path)?, snapshot.revision());
    let what = match label {
        None | Some(Label::Current) => GET,
        Some(Label::Pending) => "get the pending version",
        Some(Label::Previous) => "get the previous version",
    };
    opened.record((environment, revision), [&*entry], what)?;
    let reading = match label {
        Some(label) => snapshot.labelled(environment, path, label)?,
        None => snapshot.read(environment, path)?,
    };
    Ok((reading, revision))
}

/// One version of an entry's own value, without layers, and the revision that made it.
fn read_version(
    opened: &Opened,
    environment: &EnvironmentName,
    path: &EntryPath,
    version: Version,
) -> Result<(Reading, Revision), CliError> {
    let is = |one: &EnvironmentName, other: &EntryPath| (one, other) == (environment, path);
    let made = opened
        .vault
        .history(Some((environment, path)), usize::MAX)?
        .into_iter()
        .find(|past| {
            past.changes.iter().any(|changed| {
                is(&changed.environment, &changed.path)
                    && changed.version == version
                    && changed.action != Action::Deleted
            }) || past.labels.iter().any(|labels| {
                is(&labels.environment, &labels.path)
                    && [labels.pending, labels.previous].contains(&Some(version))
            })
        });
    let Some(past) = made else {
        return Err(CliError::failed(format!(
            "there is no version {version} of {path} in {environment}"
        ))
        .hint(format!(
            "`strongroom history {environment} {path}` lists those there are"
        )));
    };
    let snapshot = opened.vault.at(past.revision)?;
    let current = snapshot.entry(environment, path)?;
    let label = [Label::Pending, Label::Previous]
        .into_iter()
        .find(|label| current.labelled(*label) == Some(version));
    let entry: Arc<Entry> = match label {
        Some(label) => snapshot.labelled_entry(environment, path, label)?,
        None => current,
    };
    opened.record((environment, past.revision), [&*entry], GET)?;
    let value = snapshot.expose(&entry, |bytes| Secret::new(bytes.to_vec()))?;
    let layers = vec![environment.clone()];
    Ok((Reading { entry, value, layers }, past.revision))
}
