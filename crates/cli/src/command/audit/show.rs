//! `audit show`: the records of a log that fit what was asked for.

use std::cell::OnceCell;
use std::io::{BufReader, IsTerminal as _};

use strongroom_core::audit::{Body, Caller, Line, Name, NameKey, Names, Recorded, lines};
use strongroom_core::name::{EntryPath, EnvironmentName};

use super::{Log, io, open, shown};
use crate::context::Context;
use crate::error::CliError;
use crate::output;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    log: Log,
    /// Only about this entry: ENV/PATH, or its id; the store is opened where names are hashed
    #[arg(long, value_name = "ENTRY")]
    entry: Option<String>,
    /// Only what this user's processes asked for
    #[arg(long, value_name = "UID")]
    uid: Option<u64>,
    /// Only what was decided so: `allow`, `deny` or `error`
    #[arg(long, value_name = "DECISION", value_parser = ["allow", "deny", "error"], hide_possible_values = true)]
    decision: Option<String>,
    /// Only from this time on, like 2026-11-01T00:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<String>,
    /// Only before this time
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<String>,
    /// Notes of the log about itself and signed heads as well
    #[arg(long)]
    all: bool,
}

/// A time as the log has it, so that it can be compared as text.
fn time(text: &str) -> Result<String, String> {
    crate::moment::parse(text).map(|time| time.to_string())
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let entry = args
        .entry
        .as_deref()
        .map(|entry| WantedEntry::new(entry, context))
        .transpose()?;
    for file in args.log.files()? {
        let Some(opened) = open(&file)? else {
            continue;
        };
        let mut reader = BufReader::new(opened);
        let mut at: u64 = 0;
        let mut outcome = Ok(());
        lines(&mut reader, |bytes, _| {
            at += 1;
            outcome = match Line::parse(bytes) {
                Ok(line) => one(args, entry.as_ref(), &line, bytes, context),
                Err(error) => {
                    output::warn(&format!("{}:{at}: {error}", file.name));
                    Ok(())
                }
            };
            outcome.is_ok()
        })
        .map_err(|error| io(&file.path, &error))?;
        outcome?;
    }
    Ok(())
}

fn one(
    args: &Args,
    entry: Option<&WantedEntry<'_>>,
    line: &Line<'_>,
    bytes: &[u8],
    context: &Context,
) -> Result<(), CliError> {
    let is_in_time = args.since.as_deref().is_none_or(|since| line.time >= since)
        && args.until.as_deref().is_none_or(|until| line.time < until);
    let is_wanted = is_in_time
        && match &line.body {
            Body::Record(record) => fits(args, entry, record)?,
            Body::Note(_) | Body::Head(_) => args.all,
        };
    if !is_wanted {
        return Ok(());
    }
    write(line, bytes, context)
}

fn fits(args: &Args, entry: Option<&WantedEntry<'_>>, record: &Recorded<'_>) -> Result<bool, CliError> {
    let has_uid = match (args.uid, &record.caller) {
        (None, _) => true,
        (Some(wanted), Caller::Workload { uid, .. }) => *uid == wanted,
        (Some(_), _) => false,
    };
    let has_decision = args
        .decision
        .as_deref()
        .is_none_or(|decision| decision == record.decision.as_str());
    match entry {
        _ if !(has_uid && has_decision) => Ok(false),
        Some(entry) => entry.is(record),
        None => Ok(true),
    }
}

/// Writes a line in the form that was asked for.
pub(super) fn write(line: &Line<'_>, bytes: &[u8], context: &Context) -> Result<(), CliError> {
    if context.output.json {
        // a client chooses the path of its program: a terminal must not obey it
        if std::io::stdout().is_terminal() {
            let line = output::escaped(&String::from_utf8_lossy(bytes));
            return output::raw(format!("{line}\n").as_bytes());
        }
        return output::raw(&[bytes, b"\n"].concat());
    }
    let text = shown(line).unwrap_or_else(|| format!("{}  log signed\n", line.time));
    context.output.text(&text)
}

/// An entry that was asked for, by its id or by its name.
struct WantedEntry<'a> {
    given: String,
    name: Option<(EnvironmentName, EntryPath)>,
    hashed: OnceCell<String>,
    context: &'a Context,
}

impl<'a> WantedEntry<'a> {
    fn new(given: &'a str, context: &'a Context) -> Result<Self, CliError> {
        let name = match given.split_once('/') {
            Some((environment, path)) => Some((EnvironmentName::new(environment)?, EntryPath::new(path)?)),
            None if given.len() == 32 && given.bytes().all(|byte| byte.is_ascii_hexdigit()) => None,
            None => {
                return Err(CliError::usage(
                    "an entry is given as ENV/PATH, or by its id of 32 digits",
                ));
            }
        };
        Ok(Self {
            given: match name {
                Some(_) => given.to_owned(),
                // ids are written in lower case
                None => given.to_ascii_lowercase(),
            },
            name,
            hashed: OnceCell::new(),
            context,
        })
    }

    fn is(&self, record: &Recorded<'_>) -> Result<bool, CliError> {
        let Some((environment, path)) = &self.name else {
            return Ok(record.entry.is_some_and(|id| id.to_string() == self.given));
        };
        let Some(found) = record.name else {
            return Ok(false);
        };
        if found.raw() == self.given {
            return Ok(true);
        }
        if !Names::is_hashed(found.raw()) {
            return Ok(false);
        }
        if self.hashed.get().is_none() {
            let opened = crate::open::reader(&self.context.settings)?;
            let names = Names::Hashed(NameKey::of(&opened.vault.snapshot()));
            let name = Name {
                environment,
                path: Some(path),
            };
            let _ = self.hashed.set(names.text(name));
        }
        Ok(self.hashed.get().is_some_and(|hashed| hashed == found.raw()))
    }
}
