//! `diff ENV ENV`: what one environment itself has and another has not, or has differently. Of a
//! secret it tells only whether it is there: two that are the same, or as long, would tell more.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use serde::Serialize;
use strongroom_core::name::{EntryPath, EnvironmentName};
use strongroom_core::snapshot::{Entry, Kind, ReadError, Snapshot};

use crate::context::Context;
use crate::differing;
use crate::error::CliError;
use crate::open;
use crate::output::{ADDED, CHANGED, FAINT, REMOVED, harmless};

#[derive(Debug, Serialize)]
struct DifferenceJson {
    path: String,
    /// What it is in each of the two; nothing where it is not there.
    from: Option<&'static str>,
    to: Option<&'static str>,
    /// Keys of a document that differ: `+` only the second has, `-` only the first, `~` another value.
    keys: Vec<String>,
}

pub(super) fn run(
    (from, to): (&EnvironmentName, &EnvironmentName),
    prefix: Option<&EntryPath>,
    context: &Context,
) -> Result<(), CliError> {
    let opened = open::reader(&context.settings)?;
    let snapshot = opened.vault.snapshot();
    let (before, after) = (own(&snapshot, from, prefix)?, own(&snapshot, to, prefix)?);
    let paths: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let compared = |(path, old): (&EntryPath, &Arc<Entry>)| {
        let new = after.get(path)?;
        (old.kind == new.kind && old.kind != Kind::Secret).then(|| (Arc::clone(old), Arc::clone(new)))
    };
    let (old, new): (Vec<_>, Vec<_>) = before.iter().filter_map(compared).unzip();
    for (environment, entries) in [(from, &old), (to, &new)] {
        let read = (environment, snapshot.revision());
        opened.record(read, entries.iter().map(|entry| &**entry), "diff")?;
    }
    let mut differences = Vec::new();
    for path in paths {
        differences.extend(compare(&snapshot, path, before.get(path), after.get(path))?);
    }
    let text: String = differences.iter().map(line).collect();
    let json = serde_json::json!({
        "from": from.as_str(),
        "to": to.as_str(),
        "revision": snapshot.revision().0,
        "entries": differences,
    });
    context
        .output
        .answer(&json, if text.is_empty() { "no difference\n" } else { &text })
}

fn own(
    snapshot: &Snapshot,
    environment: &EnvironmentName,
    prefix: Option<&EntryPath>,
) -> Result<BTreeMap<EntryPath, Arc<Entry>>, ReadError> {
    let seen = snapshot.entries(environment, prefix)?.into_iter();
    let own = seen.filter(|entry| entry.environment == *environment);
    Ok(own.map(|entry| (entry.path.clone(), entry)).collect())
}

fn compare(
    snapshot: &Snapshot,
    path: &EntryPath,
    before: Option<&Arc<Entry>>,
    after: Option<&Arc<Entry>>,
) -> Result<Option<DifferenceJson>, ReadError> {
    let mut keys = Vec::new();
    if let (Some(old), Some(new)) = (before, after)
        && old.kind == new.kind
    {
        if old.kind == Kind::Secret {
            return Ok(None);
        }
        let is_same = snapshot.expose(old, |a| {
            snapshot.expose(new, |b| {
                let documents = [(old, a), (new, b)]
                    .map(|(entry, bytes)| differing::document(entry.kind, entry.format, bytes));
                let [before, after] = &documents;
                keys = differing::keys(before.as_ref(), after.as_ref());
                a == b && old.format == new.format
            })
        })??;
        if is_same {
            return Ok(None);
        }
    }
    let kind = |entry: Option<&Arc<Entry>>| entry.map(|entry| entry.kind.as_str());
    Ok(Some(DifferenceJson {
        path: path.to_string(),
        from: kind(before),
        to: kind(after),
        keys,
    }))
}

fn line(difference: &DifferenceJson) -> String {
    let DifferenceJson { path, from, to, keys } = difference;
    let (style, sign, what) = match (from, to) {
        (Some(from), Some(to)) if from == to => (CHANGED, '~', (*from).to_owned()),
        (Some(from), Some(to)) => (CHANGED, '~', format!("{from}, and a {to}")),
        (None, Some(to)) => (ADDED, '+', (*to).to_owned()),
        (Some(from), None) => (REMOVED, '-', (*from).to_owned()),
        (None, None) => return String::new(),
    };
    let mut text = format!("{style}{sign}{style:#} {path}  ({what})\n");
    for key in keys {
        let _ = writeln!(text, "    {FAINT}{}{FAINT:#}", harmless(key));
    }
    text
}
