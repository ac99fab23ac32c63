//! `diff`: what changed between two revisions, or is different in two environments. Redacted: names,
//! sizes and the keys of documents, never a value.

mod environments;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::str::FromStr;
use std::sync::Arc;

use serde::Serialize;
use strongroom_core::id::Revision;
use strongroom_core::name::{EntryPath, EnvironmentName};
use strongroom_core::snapshot::{Action, Entry, Snapshot};

use crate::change::action_word;
use crate::context::Context;
use crate::error::CliError;
use crate::output::{ADDED, CHANGED, FAINT, REMOVED};
use crate::{differing, open};

const EXAMPLES: &str = "\
Values are never shown. For config documents, flags and schemas the keys that differ are named. Of two
environments, what each has itself is compared; of a secret only whether it is there.

Examples:
  strongroom diff 17              # from revision 17 to now
  strongroom diff 17 21 --environment prod --prefix web
  strongroom diff staging prod    # + is only in prod, - only in staging";

/// Compare two revisions or two environments, without showing values
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The earlier revision, or an environment; a number is a revision
    #[arg(value_name = "FROM")]
    from: Side,
    /// The later revision [default: the current one], or the other environment
    #[arg(value_name = "TO")]
    to: Option<Side>,
    /// Only entries of this environment
    #[arg(long, short = 'e', value_name = "ENV")]
    environment: Option<EnvironmentName>,
    /// Only the entry at this path and those below it
    #[arg(long, short = 'p', value_name = "PATH")]
    prefix: Option<EntryPath>,
}

/// What is compared.
#[derive(Debug, Clone)]
enum Side {
    Revision(Revision),
    Environment(EnvironmentName),
}

impl FromStr for Side {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(revision) = text.parse() {
            return Ok(Self::Revision(revision));
        }
        let name = EnvironmentName::new(text).map_err(|error| error.to_string())?;
        Ok(Self::Environment(name))
    }
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
    let (from, to) = match (&args.from, &args.to) {
        (Side::Revision(from), None) => (*from, None),
        (Side::Revision(from), Some(Side::Revision(to))) => (*from, Some(*to)),
        (Side::Environment(from), Some(Side::Environment(to))) if args.environment.is_none() => {
            return environments::run((from, to), args.prefix.as_ref(), context);
        }
        _ => {
            return Err(
                CliError::usage("what is compared is two revisions or two environments")
                    .hint("`diff REV [REV] --environment ENV` compares one environment at two revisions"),
            );
        }
    };
    let opened = open::reader(&context.settings)?;
    let from = opened.at(from)?;
    let to = match to {
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

/// The keys in which two values differ; none when one of them is no document.
fn keys(before: &[u8], after: &[u8], entry: &Entry) -> Vec<String> {
    let document = |bytes| differing::document(entry.kind, entry.format, bytes);
    differing::keys(document(before).as_ref(), document(after).as_ref())
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
