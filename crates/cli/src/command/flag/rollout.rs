//! `flag rollout`: a variant for more and more users, on a schedule that is plain targeting.

use serde_json::Value;
use strongroom_core::flag::{Definition, Rollout, Step};
use strongroom_core::name::{EntryPath, EnvironmentName};

use crate::change::{self, ChangeOptions};
use crate::context::Context;
use crate::error::CliError;
use crate::{moment, open};

const EXAMPLES: &str = "\
The steps begin --every so often, the first one now or --at a time. The rule asks for the time by
itself, so that nothing has to run for the next step, and any flagd client evaluates it. Who has
the variant at a step keeps it at every larger one.

Examples:
  strongroom flag rollout prod new-checkout 5% 25% 100% --every 1h
  strongroom flag rollout prod new-checkout 10% 100% --every 1d --to blue --at 2030-01-01T08:00:00Z
  strongroom flag rollout prod new-checkout 0%";

/// Roll a variant out in steps
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The environment
    #[arg(value_name = "ENV")]
    environment: EnvironmentName,
    /// The key of the flag, which is its path
    #[arg(value_name = "KEY")]
    key: EntryPath,
    /// The part of users at each step, such as 5% or 0.5%
    #[arg(value_name = "PERCENT", required = true, value_parser = share)]
    shares: Vec<u32>,
    /// The time between two steps: a number of s, m, h or d
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = span)]
    every: u64,
    /// When the first step begins, such as 2030-01-01T08:00:00Z [default: now]
    #[arg(long, value_name = "TIME", value_parser = moment::parse)]
    at: Option<strongroom_core::ambient::Timestamp>,
    /// The variant that is rolled out [default: the only other one]
    #[arg(long, value_name = "VARIANT")]
    to: Option<String>,
    /// The variant that everybody else keeps [default: the flag's default variant]
    #[arg(long, value_name = "VARIANT")]
    from: Option<String>,
    /// Replace a rule that is no rollout
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    change: ChangeOptions,
}

/// A part of users in thousandths of a percent.
fn share(text: &str) -> Result<u32, String> {
    const HOW: &str = "a part of users is written as 25% or 0.5%, with at most three decimals";
    let digits = text.strip_suffix('%').ok_or(HOW)?;
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || whole.len() > 3 || fraction.len() > 3 || !is_number(whole) || !is_number(fraction)
    {
        return Err(HOW.to_owned());
    }
    let thousandths = format!("{whole}{fraction:0<3}");
    match thousandths.parse() {
        Ok(share) if share <= 100_000 => Ok(share),
        _ => Err("100% is the most".to_owned()),
    }
}

/// A time in seconds.
fn span(text: &str) -> Result<u64, String> {
    const HOW: &str = "a time is written as 90s, 30m, 1h or 2d";
    let (digits, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or(HOW)?;
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(HOW.to_owned()),
    };
    let count: u32 = digits.parse().map_err(|_| HOW)?;
    match u64::from(count) * unit {
        0 => Err("steps need some time between them".to_owned()),
        seconds => Ok(seconds),
    }
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let opened = open::writer(&context.settings)?;
    let edit = super::edit(
        &opened,
        &args.environment,
        &args.key,
        "flag rollout",
        |definition| Ok(("targeting", rule(args, definition)?)),
    )?;
    let change = args.change.change(vec![edit]);
    change::carry_out(context, &opened, &change, &args.change)
}

/// The rule that the flag gets.
fn rule(args: &Args, definition: &Definition) -> Result<Value, CliError> {
    let is_other = definition
        .targeting()
        .is_some_and(|rule| Rollout::read(rule).is_none());
    if is_other && !args.replace {
        return Err(
            CliError::failed(format!("{} has a rule that is no rollout", args.key))
                .hint("look at it with `strongroom flag export`, and replace it with --replace"),
        );
    }
    let variant = |name: &str| match definition.variants().contains_key(name) {
        true => Ok(name.to_owned()),
        false => Err(CliError::usage(format!("{} has no such variant", args.key))),
    };
    let from = args.from.as_deref().or(definition.default_variant());
    let from = from.ok_or_else(|| {
        CliError::usage(format!("{} has no default variant", args.key)).hint("name one with --from")
    })?;
    let from = variant(from)?;
    let to = match &args.to {
        Some(to) => variant(to)?,
        None => other(definition.variants(), &from).ok_or_else(|| {
            CliError::usage("it is not plain which variant is rolled out").hint("name it with --to")
        })?,
    };
    if from == to {
        return Err(
            CliError::usage("the variant is the one that everybody has").hint("name another one with --to")
        );
    }
    let begins = args.at.map_or_else(super::now, |at| at.0 / 1000);
    let step = |(at, share): (u64, &u32)| Step {
        from: begins.saturating_add(at.saturating_mul(args.every)),
        share: *share,
    };
    let steps = (0..).zip(&args.shares).map(step).collect();
    let rule = Rollout { to, from, steps }.rule();
    rule.map_err(|error| CliError::usage(error.to_string()))
}

/// The only variant besides `from`.
fn other(variants: &serde_json::Map<String, Value>, from: &str) -> Option<String> {
    let mut others = variants.keys().filter(|name| *name != from);
    let name = others.next()?;
    others.next().is_none().then(|| name.clone())
}
