//! The settings of injections: owns the keys of `[[files]]` and `[process]`. It must not write
//! files or start anything.

use std::path::PathBuf;
use std::time::Duration;

use strongroom_core::inject::env::VariableName;
use strongroom_core::inject::files::FileName;
use strongroom_core::inject::process::{Restart, Signal};
use strongroom_core::name::EntryPath;

use super::made::{self, Made};
use super::table::Table;
use super::{Surroundings, accounts, mode};

/// Which entries a consumer gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// At or under this path; it is taken off names.
    pub prefix: Option<EntryPath>,
    /// False: only those that are named.
    pub derive: bool,
    /// Paths that must be there.
    pub required: Vec<EntryPath>,
}

/// What happens after a directory switched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OnFiles {
    /// Nothing.
    Nothing,
    /// A signal to the process whose number is in a file.
    Signal {
        /// The signal.
        signal: Signal,
        /// The file.
        pidfile: PathBuf,
    },
    /// A program.
    Command(Vec<String>),
}

/// What happens to the process when a value changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OnChange {
    /// It is stopped and started.
    Restart,
    /// Nothing: it keeps the values it was started with.
    Nothing,
    /// It gets a signal.
    Signal(Signal),
    /// A program is run.
    Command(Vec<String>),
}

/// A directory of files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The directory.
    pub directory: PathBuf,
    /// Which entries.
    pub selection: Selection,
    /// Files by name.
    pub names: Vec<(FileName, EntryPath)>,
    /// Files that are made.
    pub made: Vec<Made>,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
    /// After each switch.
    pub on_change: OnFiles,
}

/// A supervised process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Program and arguments; not empty.
    pub command: Vec<String>,
    /// Which entries.
    pub selection: Selection,
    /// Variables by name.
    pub env: Vec<(VariableName, EntryPath)>,
    /// Variables that are made.
    pub made: Vec<Made>,
    /// When a value changed.
    pub on_change: OnChange,
    /// How long the program of `on_change` may take.
    pub command_limit: Duration,
    /// When it ends by itself.
    pub restart: Restart,
    /// True: it gets nothing of the sidecar's own environment.
    pub clean_env: bool,
    /// From SIGTERM to SIGKILL.
    pub grace: Duration,
}

pub(super) fn files(tables: &[Table<'_>], around: &Surroundings) -> Vec<Files> {
    let mut all: Vec<Files> = Vec::with_capacity(tables.len());
    for table in tables {
        let Some(files) = one_files(table, around) else {
            continue;
        };
        if all.iter().any(|other| other.directory == files.directory) {
            table.problem("directory", "another [[files]] has this directory already");
        }
        all.push(files);
    }
    all
}

fn one_files(table: &Table<'_>, around: &Surroundings) -> Option<Files> {
    let directory = table.required("directory").map(|path| around.resolve(path));
    let (names, mut made) = named(table, "names", around, FileName::new);
    made.extend(made::keys(table, |name| FileName::new(name).map(drop)));
    Some(Files {
        selection: selection(table),
        names,
        made,
        mode: table.parse("mode", mode).unwrap_or(0o400),
        uid: table.parse("owner", accounts::user),
        gid: table.parse("group", accounts::group),
        on_change: on_files(table, around),
        directory: directory?,
    })
}

pub(super) fn process(table: &Table<'_>, around: &Surroundings) -> Option<Process> {
    if table.raw("command").is_none() {
        table.problem("command", "it is missing");
    }
    let command = words(table.list("command", word));
    if table.raw("command").is_some() && command.is_none() {
        table.problem("command", "it is empty: a program and its arguments are wanted");
    }
    let (env, mut made) = named(table, "env", around, VariableName::new);
    made.extend(made::keys(table, |name| VariableName::new(name).map(drop)));
    Some(Process {
        selection: selection(table),
        env,
        made,
        on_change: on_change(table),
        command_limit: table.duration("command_limit", Duration::from_secs(60)),
        restart: table.parse("restart", restart).unwrap_or(Restart::OnFailure),
        clean_env: table.boolean("clean_env", false),
        grace: table.duration("grace", Duration::from_secs(10)),
        command: command?,
    })
}

fn selection(table: &Table<'_>) -> Selection {
    Selection {
        prefix: table.parse("prefix", EntryPath::new),
        derive: table.boolean("derive", true),
        required: table.list("required", EntryPath::new),
    }
}

/// A table of names, each with the path of an entry or what is made.
fn named<T: AsName, E: std::fmt::Display>(
    table: &Table<'_>,
    key: &str,
    around: &Surroundings,
    parse: impl Fn(&str) -> Result<T, E>,
) -> (Vec<(T, EntryPath)>, Vec<Made>) {
    let (mut out, mut made) = (Vec::new(), Vec::new());
    let Some(value) = table.raw(key) else {
        return (out, made);
    };
    let Some(values) = value.as_table() else {
        table.problem(key, "a table of names, each with an entry's path, is wanted");
        return (out, made);
    };
    for (at, (name, value)) in values.iter().enumerate() {
        let at = format!("{key}, item {}", at.saturating_add(1));
        let name = parse(name).map_err(|error| table.problem(&at, error.to_string()));
        let what = match value {
            toml::Value::String(path) => EntryPath::new(path).map(Ok).map_err(|error| error.to_string()),
            toml::Value::Table(parts) => made::what(parts, around).map(Err),
            _ => Err("an entry's path is wanted, as a text".to_owned()),
        };
        match (name, what) {
            (Ok(name), Ok(Ok(path))) => out.push((name, path)),
            (Ok(name), Ok(Err(what))) => made.push(Made {
                name: name.as_name().to_owned(),
                what,
            }),
            (_, Err(error)) => table.problem(&at, error),
            (Err(()), Ok(_)) => {}
        }
    }
    (out, made)
}

/// Names of files and of variables.
trait AsName {
    fn as_name(&self) -> &str;
}

impl AsName for FileName {
    fn as_name(&self) -> &str {
        self.as_str()
    }
}

impl AsName for VariableName {
    fn as_name(&self) -> &str {
        self.as_str()
    }
}

const ON_FILES: &str =
    "one of \"nothing\", { signal = \"HUP\", pidfile = \"PATH\" }, { command = [\"PROGRAM\"] } is wanted";
const ON_CHANGE: &str =
    "one of \"restart\", \"nothing\", { signal = \"HUP\" }, { command = [\"PROGRAM\"] } is wanted";

fn on_files(table: &Table<'_>, around: &Surroundings) -> OnFiles {
    let Some(value) = table.raw("on_change") else {
        return OnFiles::Nothing;
    };
    let parsed = match value {
        toml::Value::String(word) if word == "nothing" => Some(OnFiles::Nothing),
        toml::Value::Table(parts) => match only(parts) {
            Some(["command", ..]) => command(parts).map(OnFiles::Command),
            Some(["pidfile", "signal"]) => {
                parts
                    .get("pidfile")
                    .and_then(toml::Value::as_str)
                    .and_then(|pidfile| {
                        Some(OnFiles::Signal {
                            signal: signal(parts)?,
                            pidfile: around.resolve(pidfile),
                        })
                    })
            }
            _ => None,
        },
        _ => None,
    };
    parsed.unwrap_or_else(|| {
        table.problem("on_change", ON_FILES);
        OnFiles::Nothing
    })
}

fn on_change(table: &Table<'_>) -> OnChange {
    let Some(value) = table.raw("on_change") else {
        return OnChange::Restart;
    };
    let parsed = match value {
        toml::Value::String(word) if word == "restart" => Some(OnChange::Restart),
        toml::Value::String(word) if word == "nothing" => Some(OnChange::Nothing),
        toml::Value::Table(parts) => match only(parts) {
            Some(["command", ..]) => command(parts).map(OnChange::Command),
            Some(["signal", ""]) => signal(parts).map(OnChange::Signal),
            _ => None,
        },
        _ => None,
    };
    parsed.unwrap_or_else(|| {
        table.problem("on_change", ON_CHANGE);
        OnChange::Nothing
    })
}

/// The one or two keys of an inline table, sorted; the second is empty when there is one.
fn only(parts: &toml::Table) -> Option<[&str; 2]> {
    let mut keys: Vec<&str> = parts.keys().map(String::as_str).collect();
    keys.sort_unstable();
    match *keys.as_slice() {
        [one] => Some([one, ""]),
        [one, two] => Some([one, two]),
        _ => None,
    }
}

fn command(parts: &toml::Table) -> Option<Vec<String>> {
    if parts.len() != 1 {
        return None;
    }
    let list = parts.get("command")?.as_array()?;
    let list: Option<Vec<String>> = list.iter().map(|item| word(item.as_str()?).ok()).collect();
    words(list?)
}

fn signal(parts: &toml::Table) -> Option<Signal> {
    parts.get("signal")?.as_str()?.parse().ok()
}

fn restart(text: &str) -> Result<Restart, &'static str> {
    match text {
        "always" => Ok(Restart::Always),
        "on-failure" => Ok(Restart::OnFailure),
        "never" => Ok(Restart::Never),
        _ => Err("one of always, on-failure, never is wanted"),
    }
}

fn word(text: &str) -> Result<String, &'static str> {
    if text.contains('\0') {
        Err("it holds a NUL")
    } else {
        Ok(text.to_owned())
    }
}

/// A command has a program.
fn words(list: Vec<String>) -> Option<Vec<String>> {
    list.first()
        .is_some_and(|program| !program.is_empty())
        .then_some(list)
}
