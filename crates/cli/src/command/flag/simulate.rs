//! `flag simulate`: how a flag splits made-up users, as a bar chart.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use serde_json::{Value, json};
use strongroom_core::flag::{self, Flag};
use strongroom_core::name::{EntryPath, EnvironmentName};

use crate::context::Context;
use crate::error::CliError;
use crate::open;
use crate::output::{ADDED, harmless};

const EXAMPLES: &str = "\
Each user has the targeting key `user-N`, and what --context has besides.

Examples:
  strongroom flag simulate prod new-checkout --users 10000
  strongroom flag simulate prod new-checkout --context ./premium.json";

/// Show how a flag splits made-up users
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The environment
    #[arg(value_name = "ENV")]
    environment: EnvironmentName,
    /// The key of the flag, which is its path
    #[arg(value_name = "KEY")]
    key: EntryPath,
    /// How many users
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    users: u32,
    /// What every user has besides the key: a JSON object in a file, or on stdin with `-`
    #[arg(long, short = 'c', value_name = "FILE")]
    context: Option<PathBuf>,
}

/// The widest bar, in characters.
const WIDTH: u8 = 40;

pub(super) fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let mut attributes = super::eval::read(args.context.as_deref())?;
    let opened = open::reader(&context.settings)?;
    let opening = super::open(&opened, &args.environment, &args.key, "flag simulate")?;
    let flag = Flag::compile(opening.key(), opening.definition.clone(), &opening.set);
    let counts = counts(&flag, &mut attributes, args.users);
    let users = u64::from(args.users);
    let widest = counts.keys().map(|name| name.chars().count()).max().unwrap_or(0);
    let width = usize::from(WIDTH);
    let mut text = String::new();
    for (name, count) in &counts {
        let bar = "#".repeat(usize::try_from(count * u64::from(WIDTH) / users).unwrap_or(0));
        let thousandths = count * 1000 / users;
        let _ = writeln!(
            text,
            "{:widest$}  {ADDED}{bar:<width$}{ADDED:#} {:>3}.{} %  {count}",
            harmless(name),
            thousandths / 10,
            thousandths % 10,
        );
    }
    let json = json!({"key": args.key.as_str(), "users": args.users, "variants": counts});
    context.output.answer(&json, &text)
}

/// How many users get each variant; what leaves the value to the caller, and errors, in words.
fn counts(flag: &Flag, attributes: &mut flag::Context, users: u32) -> BTreeMap<String, u64> {
    let now = super::now();
    let mut counts = BTreeMap::new();
    for user in 0..users {
        attributes.insert("targetingKey".to_owned(), Value::from(format!("user-{user}")));
        let name = match flag.evaluate(attributes, now) {
            Ok(found) => found.chosen.map_or_else(
                || format!("({})", found.reason),
                |chosen| chosen.variant.to_owned(),
            ),
            Err(failure) => format!("({})", failure.code),
        };
        *counts.entry(name).or_default() += 1;
    }
    counts
}
