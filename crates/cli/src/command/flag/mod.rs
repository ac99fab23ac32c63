//! `flag`: the commands about feature flags, one file each, and what they share: finding flags and putting
//! definitions.

mod eval;
mod export;
mod import;
mod lint;
mod rollout;
mod simulate;
mod stale;
mod switch;

use serde_json::{Map, Value};
use strongroom_core::config::Format;
use strongroom_core::flag::{Definition, FlagError, Set};
use strongroom_core::name::{EntryPath, EnvironmentName};
use strongroom_core::secret::Secret;
use strongroom_core::snapshot::{FlagEntry, Kind, Snapshot};
use strongroom_core::vault::{Edit, Expect, Put};

use crate::context::Context;
use crate::error::CliError;
use crate::open::Opened;

/// Evaluate, roll out, switch and check feature flags
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Import(import::Args),
    Export(export::Args),
    Eval(eval::Args),
    Simulate(simulate::Args),
    On(switch::On),
    Off(switch::Off),
    Rollout(rollout::Args),
    Stale(stale::Args),
    Lint(lint::Args),
}

pub(crate) fn run(command: Command, context: &Context) -> Result<(), CliError> {
    match command {
        Command::Import(args) => import::run(&args, context),
        Command::Export(args) => export::run(&args, context),
        Command::Eval(args) => eval::run(&args, context),
        Command::Simulate(args) => simulate::run(&args, context),
        Command::On(args) => switch::on(&args, context),
        Command::Off(args) => switch::off(&args, context),
        Command::Rollout(args) => rollout::run(&args, context),
        Command::Stale(args) => stale::run(&args, context),
        Command::Lint(args) => lint::run(&args, context),
    }
}

/// A flag that was opened, with its set.
struct Opening {
    entry: FlagEntry,
    definition: Definition,
    set: Set,
}

impl Opening {
    fn key(&self) -> &str {
        self.entry.flag.path.as_str()
    }
}

/// Opens one flag as `environment` sees it, and records that.
fn open(
    opened: &Opened,
    environment: &EnvironmentName,
    path: &EntryPath,
    command: &'static str,
) -> Result<Opening, CliError> {
    let snapshot = opened.vault.snapshot();
    let entry = snapshot.flag_entry(environment, path)?;
    opened.record((environment, snapshot.revision()), parts(&entry), command)?;
    opening(&snapshot, entry)
}

/// Opens every flag that `environment` sees at or below `path`, and records that.
fn open_all(
    opened: &Opened,
    environment: &EnvironmentName,
    path: Option<&EntryPath>,
    command: &'static str,
) -> Result<Vec<Opening>, CliError> {
    let snapshot = opened.vault.snapshot();
    let mut entries = snapshot.flag_entries(environment)?;
    entries.retain(|entry| path.is_none_or(|path| entry.flag.path.is_under(path)));
    let all = entries.iter().flat_map(parts);
    opened.record((environment, snapshot.revision()), all, command)?;
    entries
        .into_iter()
        .map(|entry| opening(&snapshot, entry))
        .collect()
}

fn parts(entry: &FlagEntry) -> impl Iterator<Item = &strongroom_core::snapshot::Entry> {
    std::iter::once(&*entry.flag).chain(entry.set.as_deref())
}

fn opening(snapshot: &Snapshot, entry: FlagEntry) -> Result<Opening, CliError> {
    let wrong = |path: &EntryPath, error: &FlagError| CliError::failed(format!("{path}: {error}"));
    let set = snapshot.open_flag_set(entry.set.as_deref())?;
    let set = set.map_err(|error| {
        let path = entry.set.as_ref().unwrap_or(&entry.flag);
        wrong(&path.path, &error)
    })?;
    let definition = snapshot.open_flag(&entry.flag)?;
    let definition = definition.map_err(|error| wrong(&entry.flag.path, &error))?;
    Ok(Opening {
        entry,
        definition,
        set,
    })
}

/// Puts a definition, or a set, as JSON for people.
fn put(
    environment: &EnvironmentName,
    path: EntryPath,
    value: &Value,
    expect: Expect,
) -> Result<Edit, CliError> {
    let mut text = serde_json::to_vec_pretty(value).map_err(|error| CliError::failed(error.to_string()))?;
    text.push(b'\n');
    Ok(Edit::Put(Put {
        environment: environment.clone(),
        path,
        kind: Kind::Flag,
        value: Secret::new(text),
        format: Format::Text,
        labels: None,
        compartment: None,
        expect,
    }))
}

/// Edits a member of the definition that `environment` sees, in its own layer: an inherited one is copied there.
fn edit(
    opened: &Opened,
    environment: &EnvironmentName,
    path: &EntryPath,
    command: &'static str,
    change: impl FnOnce(&Definition) -> Result<(&'static str, Value), CliError>,
) -> Result<Edit, CliError> {
    let snapshot = opened.vault.snapshot();
    let entry = snapshot.flag_entry(environment, path)?.flag;
    opened.record((environment, snapshot.revision()), [&*entry], command)?;
    let value = snapshot.expose(&entry, |bytes| {
        let definition = Definition::parse(bytes);
        let definition = definition.map_err(|error| CliError::failed(format!("{path}: {error}")))?;
        let (name, changed) = change(&definition)?;
        let mut fields: Map<String, Value> = serde_json::from_slice(bytes)
            .map_err(|_| CliError::failed(format!("{path}: the flag definition is not a JSON object")))?;
        fields.insert(name.to_owned(), changed);
        Ok::<_, CliError>(Value::Object(fields))
    })??;
    // What the answer to a question was about; a copy of an inherited flag must be new.
    let expect = if entry.environment == *environment {
        Expect::Version(entry.version)
    } else {
        Expect::Absent
    };
    put(environment, path.clone(), &value, expect)
}

/// Seconds since 1970.
fn now() -> u64 {
    strongroom_core::ambient::Ambient::system().now().0 / 1000
}
