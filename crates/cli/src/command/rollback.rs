//! `rollback`: sets an entry, a part of an environment, or everything, back to what it was, as a new
//! commit.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Value, json};
use strongroom_core::id::Revision;
use strongroom_core::name::{EntryPath, EnvironmentName};
use strongroom_core::snapshot::{Entry, Kind};
use strongroom_core::vault::{Paths, Scope};

use crate::change::{self, ChangeOptions};
use crate::context::{Context, OptionalTarget};
use crate::error::CliError;
use crate::open;
use crate::output::{self, STRONG};
use crate::prompt;

const EXAMPLES: &str = "\
The history stays: the old values become new versions, in one commit, which policies and schemas
are asked about like any other. What was not there at REV is deleted.
Of a part, secrets and policies stay as they are: what was rotated or revoked since does not come back unasked.

Examples:
  strongroom rollback prod web/database/password --to 17
  strongroom rollback --environment prod --prefix web --to 17
  strongroom rollback --environment prod --to 17 --plan
  strongroom rollback --all --to 17 --dry-run";

/// Set an entry, an environment, or everything, back to a revision
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    target: OptionalTarget,
    /// Every entry of this environment itself that this identity opens
    #[arg(long, short = 'e', value_name = "ENV")]
    environment: Option<EnvironmentName>,
    /// The entry at this path and all below it [environment: --environment, or that of the settings]
    #[arg(long, short = 'p', value_name = "PATH")]
    prefix: Option<EntryPath>,
    /// Every entry that this identity opens
    #[arg(long)]
    all: bool,
    /// The revision to go back to, as `strongroom history` shows it
    #[arg(long, value_name = "REV")]
    to: Revision,
    /// Of a part, its secrets too
    #[arg(long)]
    with_secrets: bool,
    /// Of a part, its policies too
    #[arg(long)]
    with_policies: bool,
    #[command(flatten)]
    change: ChangeOptions,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let scope = scope(args, context)?;
    let opened = open::writer(&context.settings)?;
    let mut change = opened.vault.rollback(&scope, opened.check_revision(args.to)?)?;
    if !args.change.message.is_empty() {
        change.message.clone_from(&args.change.message);
    }
    if scope.without.is_empty() {
        return change::carry_out(context, &opened, &change, &args.change);
    }
    let left_out = opened.vault.left_out(&scope, args.to)?;
    let lines: String = left_out.iter().map(left_out_line).collect();
    let names: Vec<_> = left_out.iter().map(left_out_json).collect();
    if args.change.dry_run || prompt::is_attended(args.change.yes)? {
        let plan = change::Plan::of(&opened, &change)?;
        let text = plan.text(&lines);
        if args.change.dry_run {
            let answer = plan.and("left_out", names)?;
            let text = format!("{text}Nothing was changed.\n");
            return context.output.answer(&answer, &text);
        }
        if plan.does_something() {
            output::note(&text);
            if !prompt::confirm("Commit this?")? {
                return Err(CliError::failed("nothing was changed"));
            }
        }
    }
    let receipt = change::commit(&opened, &change)?;
    let text = format!("{}{lines}", change::report_text(&change, &receipt));
    let answer = change::receipt_and(&receipt, "left_out", names)?;
    context.output.answer(&answer, &text)
}

fn left_out_line(entry: &Entry) -> String {
    let option = match entry.kind {
        Kind::Secret => "--with-secrets",
        _ => "--with-policies",
    };
    let (environment, path, kind) = (&entry.environment, &entry.path, entry.kind);
    let mut line = String::new();
    let _ = writeln!(
        line,
        "  {STRONG}!{STRONG:#} {environment} {path}  ({kind}) stays as it is; {option} takes it along"
    );
    line
}

fn left_out_json(entry: &Entry) -> Value {
    json!({
        "environment": entry.environment.as_str(),
        "path": entry.path.as_str(),
        "kind": entry.kind.as_str(),
    })
}

/// What a part leaves as it is: rotated credentials are retired, and removed permissions were meant to be.
fn without(args: &Args) -> BTreeSet<Kind> {
    let kinds = [
        (args.with_secrets, Kind::Secret),
        (args.with_policies, Kind::Policy),
    ];
    let left = kinds.into_iter().filter(|(is_wanted, _)| !is_wanted);
    left.map(|(_, kind)| kind).collect()
}

/// Exactly one of the ways to say what is meant.
fn scope(args: &Args, context: &Context) -> Result<Scope, CliError> {
    let entry = args.target.resolve(context)?;
    let is_part = args.environment.is_some() || args.prefix.is_some();
    if !is_part && (args.with_secrets || args.with_policies) {
        return Err(CliError::usage(
            "--with-secrets and --with-policies are for a part, --environment ENV --prefix PATH",
        )
        .hint("one entry, and --all, are rolled back with all that they are"));
    }
    match (entry, is_part, args.all) {
        (Some((environment, path)), false, false) => Ok(Scope::entry(environment, path)),
        (None, true, false) => Ok(Scope {
            // A path alone is never meant in all environments at once.
            environment: Some(context.environment(args.environment.as_ref())?),
            paths: args.prefix.clone().map_or(Paths::All, Paths::Under),
            without: without(args),
        }),
        (None, false, true) => Ok(Scope::default()),
        _ => Err(CliError::usage(
            "what is rolled back is one entry, ENV PATH, a part, --environment ENV --prefix PATH, or \
             everything, --all",
        )),
    }
}
