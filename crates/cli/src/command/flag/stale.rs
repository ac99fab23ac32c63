//! `flag stale`: flags that could be taken out of the code.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Value, json};
use strongroom_core::Vault;
use strongroom_core::ambient::Timestamp;
use strongroom_core::flag::Rollout;
use strongroom_core::id::EntryId;
use strongroom_core::name::EnvironmentName;

use super::Opening;
use crate::context::Context;
use crate::error::CliError;
use crate::output::{CHANGED, FAINT};
use crate::{moment, open};

const EXAMPLES: &str = "\
A flag is stale when the day of its metadata `expires` has come or is none, when its rollout is complete, or
when it was not changed for --days and decides nothing (it is off, or the same for everybody) or
nobody has evaluated it for as long. Sidecars report who does, and reports are kept for 30 days:
a program that went longer ago than that is not known of.
Write who to ask into its metadata: {\"owner\": \"team-web\", \"expires\": \"2030-01-31\"}.

Examples:
  strongroom flag stale prod
  strongroom flag stale prod --days 30 --json";

/// List flags that have done their work
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The environment
    #[arg(value_name = "ENV")]
    environment: EnvironmentName,
    /// How long a flag may stay that decides nothing, or that nobody evaluates
    #[arg(long, value_name = "N", default_value_t = 90)]
    days: u32,
}

const DAY: u64 = 86_400;

pub(super) fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let opened = open::reader(&context.settings)?;
    let flags = super::open_all(&opened, &args.environment, None, "flag stale")?;
    let oldest = flags.iter().map(|flag| flag.entry.flag.revision).min();
    let times = match oldest {
        Some(oldest) => opened.vault.times(oldest)?,
        None => std::collections::BTreeMap::new(),
    };
    let now = super::now();
    let days = u64::from(args.days);
    let used = used(&opened.vault, &args.environment, now, days);
    let mut text = String::new();
    let mut json = Vec::new();
    for flag in &flags {
        let changed = times.get(&flag.entry.flag.revision).copied();
        let age = changed.map_or(0, |at| now.saturating_sub(at.0 / 1000) / DAY);
        let is_used = used
            .as_ref()
            .is_none_or(|used| used.contains(&flag.entry.flag.id));
        let Some(reason) = reason(flag, age, days, now, is_used) else {
            continue;
        };
        let owner = flag.definition.metadata().get("owner").and_then(Value::as_str);
        let owner_text = owner.map_or_else(String::new, |owner| {
            format!(", owner {}", crate::output::harmless(owner))
        });
        let _ = writeln!(
            text,
            "{} {CHANGED}{reason}{CHANGED:#} {FAINT}changed {age} days ago{owner_text}{FAINT:#}",
            flag.key()
        );
        json.push(json!({"key": flag.key(), "reason": reason, "days": age, "owner": owner}));
    }
    if json.is_empty() {
        let _ = writeln!(text, "{} flags, none stale", flags.len());
    }
    let json = json!({"flags": flags.len(), "stale": json});
    context.output.answer(&json, &text)
}

/// The entries that somebody used in so many days, as sidecars report it. `None` when it cannot be known: no sidecar
/// reports of the environment or of one that inherits it, or one of those that do uses more than a report holds.
fn used(vault: &Vault, environment: &EnvironmentName, now: u64, days: u64) -> Option<BTreeSet<EntryId>> {
    let snapshot = vault.snapshot();
    let uptake = vault.uptake().ok()?;
    let consumers = uptake.reported.iter().map(|one| &one.consumer);
    let inherits = |name| {
        snapshot
            .layers(name)
            .is_ok_and(|layers| layers.contains(environment))
    };
    let consumers: Vec<_> = consumers
        .filter(|consumer| inherits(&consumer.environment))
        .collect();
    if consumers.is_empty() || consumers.iter().any(|consumer| !consumer.is_whole) {
        return None;
    }
    let uses = consumers.iter().flat_map(|consumer| &consumer.uses);
    let lately = uses.filter(|used| now.saturating_sub(used.read.at.0 / 1000) / DAY <= days);
    Some(lately.map(|used| used.entry).collect())
}

/// Why a flag is stale, if it is.
fn reason(flag: &Opening, age: u64, days: u64, now: u64, is_used: bool) -> Option<&'static str> {
    let definition = &flag.definition;
    if let Some(expires) = definition.metadata().get("expires") {
        let day = expires
            .as_str()
            .map(|day| moment::parse(&format!("{day}T00:00:00Z")));
        match day {
            Some(Ok(Timestamp(at))) if at / 1000 > now => {}
            Some(Ok(_)) => return Some("expired"),
            // It would never come.
            Some(Err(_)) | None => return Some("its `expires` is no day"),
        }
    }
    let rollout = definition.targeting().and_then(Rollout::read);
    if rollout.is_some_and(|rollout| rollout.is_complete(now)) {
        return Some("rolled out");
    }
    if age < days {
        return None;
    }
    if !definition.is_enabled() {
        return Some("off");
    }
    if definition.targeting().is_none() {
        return Some("the same for everybody");
    }
    (!is_used).then_some("nobody evaluates it")
}
