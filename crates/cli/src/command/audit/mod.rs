//! `audit verify|show|tail`: reading a sidecar's audit log. Owns what the three share: which lines
//! are wanted, and how a line is shown. None of them needs the store, but for names that are hashed.

mod show;
mod tail;
mod verify;

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use strongroom_core::audit::{Body, Caller, Line, LogFile, Recorded, Text, files};

use crate::context::Context;
use crate::error::CliError;
use crate::output::{self, FAINT, REMOVED, harmless};

const VERIFY_EXAMPLES: &str = "\
Finds every record that was changed, removed, moved or put in, and says in which line of which file.
Ends with exit code 4 then. What was cut off at the end shows only beside a head that was noted
elsewhere before: each run prints the newest, for --since of the next.

Examples:
  strongroom audit verify /var/log/strongroom/web
  strongroom audit verify /var/log/strongroom/web --public \"$(cat web.public)\" --since \"$(cat web.head)\"
  strongroom audit verify /var/log/strongroom/web --json | jq -r .head > web.head";
const SHOW_EXAMPLES: &str = "\
Nothing is verified: `audit verify` does that. With --json each line is as it stands in the log.

Examples:
  strongroom audit show /var/log/strongroom/web --decision deny --since 2026-11-01T00:00:00Z
  strongroom audit show /var/log/strongroom/web --entry prod/web/database/password --uid 1000";
const TAIL_EXAMPLES: &str = "\
Examples:
  strongroom audit tail /var/log/strongroom/web
  strongroom audit tail /var/log/strongroom/web -f --json";

/// Verify and read the audit log of a sidecar
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Find whatever was done to a log: changed, removed, moved and forged records
    #[command(after_help = VERIFY_EXAMPLES)]
    Verify(verify::Args),
    /// Show the records of a log
    #[command(after_help = SHOW_EXAMPLES)]
    Show(show::Args),
    /// Show the newest records of a log, and those to come
    #[command(after_help = TAIL_EXAMPLES)]
    Tail(tail::Args),
}

pub(crate) fn run(command: &Command, context: &Context) -> Result<(), CliError> {
    match command {
        Command::Verify(args) => verify::run(args, context),
        Command::Show(args) => show::run(args, context),
        Command::Tail(args) => tail::run(args, context),
    }
}

/// Where the log lies.
#[derive(Debug, clap::Args)]
pub(crate) struct Log {
    /// The log's directory, as `audit.directory` of the sidecar's settings names it
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

impl Log {
    fn files(&self) -> Result<Vec<LogFile>, CliError> {
        let found = files(&self.directory).map_err(|error| io(&self.directory, &error))?;
        if found.is_empty() {
            let message = format!("{} holds no audit log", self.directory.display());
            return Err(CliError::failed(message).hint("its files are named audit-NUMBER.jsonl"));
        }
        Ok(found)
    }
}

/// Opens a file of a log that is shown, not verified: what is no regular file is passed over and said, one that
/// was removed since is only passed over.
fn open(file: &LogFile) -> Result<Option<File>, CliError> {
    match file.open() {
        Ok(None) => {
            output::warn(&format!(
                "{} is no regular file: nothing was read from it",
                file.name
            ));
            Ok(None)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        opened => opened.map_err(|error| io(&file.path, &error)),
    }
}

fn io(path: &Path, error: &std::io::Error) -> CliError {
    CliError::io(path.display(), error)
}

/// One line for people; `None` for heads, which say nothing to them.
fn shown(line: &Line<'_>) -> Option<String> {
    let time = line.time;
    match &line.body {
        Body::Record(record) => Some(record_line(time, record)),
        Body::Note(note) => {
            let count = note.count.map(|count| format!(" {count}")).unwrap_or_default();
            let about = note.about.map(|about| format!(" {}", text(about)));
            let about = about.unwrap_or_default();
            Some(format!(
                "{FAINT}{time}  log {}{count}{about}{FAINT:#}\n",
                text(note.what)
            ))
        }
        Body::Head(_) => None,
    }
}

fn text(text: Text<'_>) -> String {
    harmless(&text.get())
}

fn record_line(time: &str, record: &Recorded<'_>) -> String {
    let decision = match record.decision.as_str() {
        "allow" => "allow".to_owned(),
        other => format!("{REMOVED}{other:<5}{REMOVED:#}"),
    };
    let name = match (record.name, record.entry) {
        (Some(name), _) => text(name),
        (None, Some(entry)) => entry.to_string(),
        (None, None) => "-".to_owned(),
    };
    let mut out = format!(
        "{time}  {decision}  {}  {name}  {}  r{}",
        text(record.action),
        caller(&record.caller),
        record.revision
    );
    let policies: Vec<String> = record.policies().map(text).collect();
    if !policies.is_empty() {
        out.push_str(&format!("  by {}", policies.join(", ")));
    }
    if let Some(reason) = record.reason {
        out.push_str(&format!("  ({})", text(reason)));
    }
    out.push('\n');
    out
}

fn caller(caller: &Caller<'_>) -> String {
    match caller {
        Caller::Member(name) => format!("member={}", text(*name)),
        Caller::Injection(target) => format!("injection={}", text(*target)),
        Caller::Store(location) => format!("store={}", text(*location)),
        Caller::Guest(listener) => format!("listener={}", text(*listener)),
        Caller::Workload {
            uid,
            pid,
            container,
            unit,
            executable,
            ..
        } => {
            let mut out = format!("uid={uid}");
            if let Some(pid) = pid {
                out.push_str(&format!(" pid={pid}"));
            }
            if let Some(unit) = unit {
                out.push_str(&format!(" unit={}", text(*unit)));
            }
            if let Some(container) = container {
                let id = text(*container);
                out.push_str(&format!(" container={}", id.get(..12).unwrap_or(&id)));
            }
            if let Some(executable) = executable {
                out.push_str(&format!(" {}", text(*executable)));
            }
            out
        }
    }
}
