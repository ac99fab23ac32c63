//! `diff`: what changed between two revisions. Redacted: names, sizes and the keys of documents,
//! never a value.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use serde::Serialize;
use strongroom_core::config::{self, Format};
use strongroom_core::id::Revision;
use strongroom_core::name::{EntryPath, EnvironmentName};
use strongroom_core::snapshot::{Action, Entry, Kind, Snapshot};

use crate::change::action_word;
use crate::context::Context;
use crate::error::CliError;
use crate::output::{ADDED, CHANGED, FAINT, REMOVED};
use crate::{open, tree};

const EXAMPLES: &str = "\
Values are never shown. For config documents and flags the keys that differ are named.

Examples:
  strongroom diff 17              # from revision 17 to now
  strongroom diff 17 21 --environment prod --prefix web";

/// Compare two revisions, without showing values
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The earlier revision
    #[arg(value_name = "FROM")]
    from: Revision,
    /// The later revision [default: the current one]
    #[arg(value_name = "TO")]
    to: Option<Revision>,
    /// Only entries of this environment
    #[arg(long, short = 'e', value_name = "ENV")]
    environment: Option<EnvironmentName>,
    /// Only the entry at this path and those below it
    #[arg(long, short = 'p', value_name = "PATH")]
    prefix: Option<EntryPath>,
}

#[derive(Debug, Serialize)]
struct SideJson {
    version: u32,
    bytes: usize,
}

#[derive(Debug, Serialize)]
struct DifferenceJson {
    environment: String,
    path: String,
    kind: &'static str,
    action: &'static str,
    before: Option<SideJson>,
    after: Option<SideJson>,
    /// True when the bytes are the same in both.
    same_value: bool,
    /// Keys of a document that differ: `+` new, `-` gone, `~` another value.
    keys: Vec<String>,
}

type Entries = BTreeMap<(EnvironmentName, EntryPath), Arc<Entry>>;

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let opened = open::reader(&context.settings)?;
    let from = opened.at(args.from)?;
    let to = match args.to {
        Some(revision) => Arc::new(opened.at(revision)?),
        None => opened.vault.snapshot(),
    };
    let (before, after) = (entries(&from, args)?, entries(&to, args)?);
    if let Some(environment) = &args.environment
        && before.is_empty()
        && after.is_empty()
    {
        // Says when it is the name that is wrong.
        to.layers(environment).or_else(|_| from.layers(environment))?;
    }
    let names: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let mut differences = Vec::new();
    for name in names {
        if let Some(difference) = compare((&from, before.get(name)), (&to, after.get(name)))? {
            differences.push(difference);
        }
    }
    let text: String = differences.iter().map(line).collect();
    let json = serde_json::json!({"from": from.revision().0, "to": to.revision().0, "entries": differences});
    context
        .output
        .answer(&json, if text.is_empty() { "no difference\n" } else { &text })
}

fn entries(snapshot: &Snapshot, args: &Args) -> Result<Entries, CliError> {
    let mut found = Entries::new();
    let wanted = |name: &EnvironmentName| {
        args.environment
            .as_ref()
            .is_none_or(|environment| environment == name)
    };
    for environment in snapshot
        .environments()
        .iter()
        .filter(|environment| wanted(&environment.name))
    {
        for entry in snapshot.entries(&environment.name, args.prefix.as_ref())? {
            if entry.environment == environment.name {
                found.insert((entry.environment.clone(), entry.path.clone()), entry);
            }
        }
    }
    Ok(found)
}

fn compare(
    (from, before): (&Snapshot, Option<&Arc<Entry>>),
    (to, after): (&Snapshot, Option<&Arc<Entry>>),
) -> Result<Option<DifferenceJson>, CliError> {
    let side = |entry: &Arc<Entry>| SideJson {
        version: entry.version.0,
        bytes: entry.size,
    };
    let (entry, action, same_value, keys) = match (before, after) {
        (None, None) => return Ok(None),
        // Not by version: what was deleted and put again is at version 1 again.
        (Some(old), Some(new)) if old.revision == new.revision => return Ok(None),
        (None, Some(new)) => (new, Action::Created, false, Vec::new()),
        (Some(old), None) => (old, Action::Deleted, false, Vec::new()),
        (Some(old), Some(new)) => {
            let (same, keys) = from.expose(old, |a| {
                to.expose(new, |b| {
                    (
                        a == b,
                        if new.kind == old.kind {
                            keys(a, b, new)
                        } else {
                            Vec::new()
                        },
                    )
                })
            })??;
            (new, Action::Updated, same, keys)
        }
    };
    Ok(Some(DifferenceJson {
        environment: entry.environment.to_string(),
        path: entry.path.to_string(),
        kind: entry.kind.as_str(),
        action: action_word(action),
        before: before.map(side),
        after: after.map(side),
        same_value,
        keys,
    }))
}

/// The keys in which two documents differ; none when one of them is no document.
fn keys(before: &[u8], after: &[u8], entry: &Entry) -> Vec<String> {
    let parse = |bytes: &[u8]| match (entry.kind, entry.format) {
        (Kind::Flag, _) | (Kind::Config, Format::Json) => serde_json::from_slice(bytes).ok(),
        (Kind::Config, Format::Toml) => tree::parse_toml(bytes).ok(),
        _ => None,
    };
    let (Some(before), Some(after)) = (parse(before), parse(after)) else {
        return Vec::new();
    };
    let differing = config::differing(&before, &after).into_iter();
    differing
        .map(|(key, differs)| format!("{} {key}", differs.sign()))
        .collect()
}

fn line(difference: &DifferenceJson) -> String {
    let DifferenceJson {
        environment,
        path,
        kind,
        before,
        after,
        same_value,
        keys,
        ..
    } = difference;
    let (style, sign, what) = match (before, after) {
        (Some(old), Some(new)) => (
            CHANGED,
            '~',
            format!(
                "version {} -> {}, {} -> {} bytes{}",
                old.version,
                new.version,
                old.bytes,
                new.bytes,
                if *same_value { ", the same value" } else { "" }
            ),
        ),
        (None, Some(new)) => (
            ADDED,
            '+',
            format!("version {}, {} bytes", new.version, new.bytes),
        ),
        (Some(old), None) => (
            REMOVED,
            '-',
            format!("version {}, {} bytes", old.version, old.bytes),
        ),
        (None, None) => return String::new(),
    };
    let mut text = format!("{style}{sign}{style:#} {environment} {path}  ({kind}) {what}\n");
    for key in keys {
        let _ = writeln!(text, "    {FAINT}{}{FAINT:#}", crate::output::harmless(key));
    }
    text
}
