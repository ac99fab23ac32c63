//! `uptake`: which consumer has which version, as sidecars report it, and who is still waited for. No
//! value is opened.

use std::io::IsTerminal as _;
use std::time::Duration;

use serde::Serialize;
use strongroom_core::ambient::{Ambient, Timestamp};
use strongroom_core::name::{EntryPath, EnvironmentName};
use strongroom_core::snapshot::{Entry, Snapshot};
use strongroom_core::uptake::{ConsumerKind, Missing, Presence, Reported, Seen, Uptake};

use crate::context::Context;
use crate::error::CliError;
use crate::open::{self, Opened};
use crate::output::{CHANGED, FAINT, Table, harmless};

const EXAMPLES: &str = "\
With a PATH it shows that entry's version at each consumer, and what the consumer is waited for to do.
A sidecar reports at most about once a second, and that it lives every 30 seconds.

Examples:
  strongroom uptake prod
  strongroom uptake prod web/database/password --watch
  strongroom uptake prod web/database/password --json | jq '.consumers[] | select(.waiting)'";

/// How often a watched table is drawn when nothing is reported.
const REDRAW: Duration = Duration::from_secs(1);

/// Show which consumer has which version, and who is waited for
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The environment
    #[arg(value_name = "ENV")]
    environment: EnvironmentName,
    /// One entry; without it the consumers of the whole environment
    #[arg(value_name = "PATH")]
    path: Option<EntryPath>,
    /// Clients that read within so many hours count
    #[arg(long, value_name = "HOURS", default_value_t = 24)]
    within: u64,
    /// Show it again whenever it changes
    #[arg(long)]
    watch: bool,
}

#[derive(Debug, Serialize)]
struct UptakeJson {
    environment: String,
    path: Option<String>,
    version: Option<u32>,
    revision: u64,
    waiting: Option<usize>,
    refused: usize,
    consumers: Vec<ConsumerJson>,
}

#[derive(Debug, Serialize)]
struct ConsumerJson {
    consumer: String,
    kind: &'static str,
    host: String,
    sidecar: String,
    member: String,
    present: bool,
    silent_since: Option<String>,
    version: Option<u32>,
    revision: Option<u64>,
    confirmed: Option<u32>,
    entries: usize,
    seen: String,
    waiting: Option<&'static str>,
    problem: Option<String>,
    #[serde(skip)]
    age: Duration,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let opened = open::reader(&context.settings)?;
    if !args.watch {
        return show(args, context, &opened, false);
    }
    let is_drawn = !context.output.json && std::io::stdout().is_terminal();
    let mut watch = None;
    loop {
        opened.vault.refresh()?;
        show(args, context, &opened, is_drawn)?;
        // there is nothing to watch before the first report
        if watch.is_none() {
            watch = opened.vault.watch_uptake().ok();
        }
        match &mut watch {
            Some(watch) => drop(watch.wait(REDRAW)?),
            None => std::thread::sleep(REDRAW),
        }
    }
}

fn show(args: &Args, context: &Context, opened: &Opened, is_drawn: bool) -> Result<(), CliError> {
    let snapshot = opened.vault.snapshot();
    snapshot.layers(&args.environment)?;
    let entry = match &args.path {
        Some(path) => Some(snapshot.entry(&args.environment, path)?),
        None => None,
    };
    let uptake = opened.vault.uptake()?;
    let now = Ambient::system().now();
    let json = found(args, &snapshot, entry.as_deref(), &uptake, now);
    if context.output.json && args.watch {
        return context.output.json_line(&json);
    }
    let mut text = String::new();
    if is_drawn {
        // home, and nothing below
        text.push_str("\x1b[H\x1b[2J");
    }
    text.push_str(&table(&json));
    context.output.answer(&json, &text)
}

/// The table of one entry, for who waits for its consumers.
pub(crate) fn of_entry(
    opened: &Opened,
    (environment, path): (&EnvironmentName, &EntryPath),
    within: Duration,
) -> Result<String, CliError> {
    let args = Args {
        environment: environment.clone(),
        path: Some(path.clone()),
        within: within.as_secs().div_ceil(3600),
        watch: false,
    };
    let snapshot = opened.vault.snapshot();
    let entry = snapshot.entry(environment, path)?;
    let uptake = opened.vault.uptake()?;
    let now = Ambient::system().now();
    Ok(table(&found(&args, &snapshot, Some(&entry), &uptake, now)))
}

fn found(
    args: &Args,
    snapshot: &Snapshot,
    entry: Option<&Entry>,
    uptake: &Uptake,
    now: Timestamp,
) -> UptakeJson {
    let within = Duration::from_secs(args.within.saturating_mul(3600));
    let lags = entry.map(|entry| uptake.waiting(entry.id, entry.version, entry.revision, now, within));
    let lags = lags.unwrap_or_default();
    let mut consumers = Vec::new();
    for reported in &uptake.reported {
        let consumer = &reported.consumer;
        // an entry is used in the environments that inherit it, too
        let is_elsewhere = entry.is_none() && consumer.environment != args.environment;
        if consumer.kind == ConsumerKind::Sidecar || is_elsewhere {
            continue;
        }
        let used = entry.map(|entry| consumer.of(entry.id));
        let lag = lags.iter().find(|lag| std::ptr::eq(lag.reported, reported));
        let missing = lag.map(|lag| lag.missing);
        // it does not use the entry, as far as is known
        if used == Some(None) && missing.is_none() {
            continue;
        }
        let used = used.flatten();
        consumers.push(line(
            reported,
            used.map(|one| (one.read, one.confirmed)),
            missing,
            uptake,
            now,
        ));
    }
    let waiting = consumers.iter().filter(|one| one.waiting.is_some()).count();
    UptakeJson {
        environment: args.environment.to_string(),
        path: args.path.as_ref().map(ToString::to_string),
        version: entry.map(|entry| entry.version.0),
        revision: snapshot.revision().0,
        waiting: entry.map(|_| waiting),
        refused: uptake.refused,
        consumers,
    }
}

fn line(
    reported: &Reported,
    used: Option<(Seen, Seen)>,
    missing: Option<Missing>,
    uptake: &Uptake,
    now: Timestamp,
) -> ConsumerJson {
    let consumer = &reported.consumer;
    let newest = |pick: fn(&strongroom_core::uptake::Use) -> Seen| {
        consumer.uses.iter().map(pick).max_by_key(|seen| seen.revision)
    };
    let revision = match used {
        Some((read, _)) => Some(read),
        None => newest(|one| one.read),
    };
    // of an earlier run it is only known that there was one
    let counts = |seen: &Seen| seen.is_some() && seen.revision.0 > 0;
    let confirmed = used.map(|(_, confirmed)| confirmed).filter(counts);
    let at = match used {
        Some((read, confirmed)) => read.at.max(confirmed.at),
        None => reported.time,
    };
    ConsumerJson {
        consumer: consumer.name.clone(),
        kind: consumer.kind.as_str(),
        host: consumer.host.clone(),
        sidecar: consumer.sidecar.clone(),
        member: reported.member.clone(),
        present: consumer.presence == Presence::Present,
        silent_since: uptake.silent_since(reported, now).map(|since| since.to_string()),
        version: used.map(|(read, _)| read.version.0),
        revision: revision.filter(Seen::is_some).map(|seen| seen.revision.0),
        confirmed: confirmed.map(|seen| seen.version.0),
        entries: consumer.uses.len(),
        seen: at.to_string(),
        waiting: missing.map(Missing::as_str),
        problem: Some(consumer.problem.clone()).filter(|problem| !problem.is_empty()),
        age: Duration::from_millis(now.0.saturating_sub(at.0)),
    }
}

fn table(json: &UptakeJson) -> String {
    let mut table = Table::new(&[
        "CONSUMER",
        "HOST",
        "SIDECAR",
        "VERSION",
        "REVISION",
        "AGE",
        "WAITING FOR",
    ]);
    for one in &json.consumers {
        let number = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
        table.row(vec![
            format!("{} {}", one.kind, harmless(&one.consumer)),
            harmless(&one.host),
            harmless(&one.member),
            number(one.version.map(u64::from)),
            number(one.revision),
            age(one.age),
            waiting(one),
        ]);
    }
    let mut text = table.render();
    if let (Some(path), Some(version), Some(waiting)) = (&json.path, json.version, json.waiting) {
        let all = json.consumers.len();
        text.push_str(&format!(
            "{path} version {version}: {} of {all} have it, {waiting} waited for\n",
            all.saturating_sub(waiting)
        ));
    }
    if json.refused > 0 {
        text.push_str(&format!(
            "{FAINT}{} reports do not count: no member of now signed them for this store{FAINT:#}\n",
            json.refused
        ));
    }
    text
}

fn waiting(one: &ConsumerJson) -> String {
    let mut text = match (one.waiting, one.present) {
        (Some(missing), _) => format!("{CHANGED}{missing}{CHANGED:#}"),
        (None, true) => "-".to_owned(),
        (None, false) => "ended".to_owned(),
    };
    if let Some(problem) = &one.problem {
        text.push_str(&format!(" ({})", harmless(problem)));
    }
    if one.silent_since.is_some() {
        text.push_str(" (its sidecar is silent)");
    }
    text
}

fn age(age: Duration) -> String {
    match age.as_secs() {
        seconds @ 0..=119 => format!("{seconds}s"),
        seconds @ 120..=7199 => format!("{}m", seconds / 60),
        seconds @ 7200..=172_799 => format!("{}h", seconds / 3600),
        seconds => format!("{}d", seconds / 86_400),
    }
}
