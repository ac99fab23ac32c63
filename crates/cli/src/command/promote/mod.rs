//! `promote`: what an environment itself has, into another one, as one commit. Owns the grammar, the
//! plan that is shown and the report.

mod only;
mod origin;
mod step;

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::{Value, json};
use strongroom_core::name::{EntryPath, EnvironmentName};
use strongroom_core::snapshot::Snapshot;
use strongroom_core::vault::Change;

use crate::change::{self, ChangeOptions};
use crate::context::Context;
use crate::error::CliError;
use crate::open;
use crate::output::{self, REMOVED, STRONG};
use crate::prompt;
use only::Only;
use origin::Origin;
use step::{Own, Step};

const EXAMPLES: &str = "\
Config, flags, policies and schemas are copied; a secret only when it is named. What only TO has stays.
What TO changed itself since it was promoted stays too, and is named, unless --overwrite is given.

Examples:
  strongroom promote staging prod --plan
  strongroom promote staging prod --only 'web/**' --only 'schema/web/**' -m 'release 7'
  strongroom promote staging prod --with-secrets web/api-key";

/// Copy what one environment has into another
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The environment to copy from
    #[arg(value_name = "FROM")]
    from: EnvironmentName,
    /// The environment to copy to
    #[arg(value_name = "TO")]
    to: EnvironmentName,
    /// Only these paths: `*` is one segment, `**` any number, so that `web/**` is `web` and all below
    #[arg(long, value_name = "PATTERN")]
    only: Vec<Only>,
    /// This secret too, whatever --only says
    #[arg(long, value_name = "PATH")]
    with_secrets: Vec<EntryPath>,
    /// Take also what TO changed itself
    #[arg(long)]
    overwrite: bool,
    #[command(flatten)]
    change: ChangeOptions,
}

/// An entry as JSON.
#[derive(Debug, Serialize)]
struct StepJson<'a> {
    path: &'a str,
    kind: &'static str,
    /// What it is or would be promoted from, `ENV@REV`.
    from: String,
    /// Where it is sealed, if it is new and not in the target's compartment.
    #[serde(skip_serializing_if = "Option::is_none")]
    compartment: Option<&'a str>,
    /// The keys that differ, from the target's document to the source's.
    keys: &'a [String],
    /// Where the target changed it itself: since what, and what both did.
    #[serde(skip_serializing_if = "Option::is_none")]
    own: Option<OwnJson<'a>>,
}

#[derive(Debug, Serialize)]
struct OwnJson<'a> {
    since: Option<String>,
    ours: &'a [String],
    theirs: &'a [String],
}

impl<'a> From<&'a Step> for StepJson<'a> {
    fn from(step: &'a Step) -> Self {
        Self {
            path: step.source.path.as_str(),
            kind: step.source.kind.as_str(),
            from: Origin::from(&step.source).to_string(),
            compartment: step.compartment.as_ref().map(|name| name.as_str()),
            keys: &step.keys,
            own: step.own.as_ref().map(|own| OwnJson {
                since: own.since.as_ref().map(ToString::to_string),
                ours: &own.ours,
                theirs: &own.theirs,
            }),
        }
    }
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let opened = open::writer(&context.settings)?;
    let snapshot = opened.vault.snapshot();
    check_apart(args, &snapshot)?;
    let steps = step::find(args, &opened, &snapshot)?.into_iter();
    let (taken, kept): (Vec<_>, Vec<_>) = steps.partition(|step| args.overwrite || step.own.is_none());
    let details = |mut answer: Value| {
        if let Some(members) = answer.as_object_mut() {
            for (key, steps) in [("taken", &taken), ("kept", &kept)] {
                let steps: Vec<_> = steps.iter().map(|step| json!(StepJson::from(step))).collect();
                members.insert(key.into(), steps.into());
            }
        }
        answer
    };
    let kept_text: String = kept.iter().map(|step| kept_line(args, step)).collect();
    if taken.is_empty() {
        let text = format!(
            "nothing to promote from {} to {}\n{kept_text}",
            args.from, args.to
        );
        let answer = json!({
            "committed": false,
            "dry_run": args.change.dry_run,
            "revision": snapshot.revision().0,
            "changes": [],
        });
        return context.output.answer(&details(answer), &text);
    }
    let change = Change {
        message: message(args, &snapshot),
        edits: taken.iter().map(|step| step.edit(&args.to)).collect(),
    };
    if args.change.dry_run || prompt::is_attended(args.change.yes)? {
        let plan = change::Plan::of(&opened, &change)?;
        let keys: String = taken.iter().map(|step| taken_lines(args, step)).collect();
        let text = format!("{}{kept_text}", plan.text(&keys));
        if args.change.dry_run {
            let answer = plan.and("committed", false)?;
            let text = format!("{text}Nothing was changed.\n");
            return context.output.answer(&details(answer), &text);
        }
        output::note(&text);
        if !prompt::confirm("Commit this?")? {
            return Err(CliError::failed("nothing was changed"));
        }
    }
    let receipt = change::commit(&opened, &change)?;
    let mut text = format!("revision {}\n", receipt.revision);
    for changed in &receipt.changes {
        let _ = writeln!(text, "  {}", change::changed_line(changed));
    }
    text.push_str(&kept_text);
    let answer = change::receipt_and(&receipt, "kept", Vec::<serde_json::Value>::new())?;
    context.output.answer(&details(answer), &text)
}

/// Whoever inherits has layers over what the other has, not something of the same sort: copied down they
/// would replace what they stand on, copied up they would hide it from then on.
fn check_apart(args: &Args, snapshot: &Snapshot) -> Result<(), CliError> {
    let (from, to) = (&args.from, &args.to);
    if from == to {
        return Err(CliError::usage("FROM and TO are the same environment"));
    }
    let inherits = |one: &EnvironmentName, other| -> Result<bool, CliError> {
        Ok(snapshot.layers(one)?.contains(other))
    };
    let pair = match (inherits(from, to)?, inherits(to, from)?) {
        (false, false) => return Ok(()),
        (true, _) => (from, to),
        _ => (to, from),
    };
    Err(CliError::failed(format!(
        "{} inherits from {}: its documents are layers over those, and are not copied there or back",
        pair.0, pair.1
    ))
    .hint("`config set` and `config unset` move single keys"))
}

/// What the history says, whatever else the caller has to say.
fn message(args: &Args, snapshot: &Snapshot) -> String {
    let origin = format!("from {} at revision {}", args.from, snapshot.revision());
    match args.change.message.as_str() {
        "" => format!("promote {origin} to {}", args.to),
        message => format!("{message} (promoted {origin})"),
    }
}

fn taken_lines(args: &Args, step: &Step) -> String {
    let path = &step.source.path;
    let mut text = String::new();
    if !step.keys.is_empty() {
        let _ = writeln!(text, "  keys of {path}:");
        text.push_str(&change::key_lines(&step.keys));
    }
    if let Some(compartment) = &step.compartment {
        let _ = writeln!(
            text,
            "  {path} lies in compartment {compartment}, as in {}",
            args.from
        );
    }
    if step.target.is_none() && step.source.labels.contains_key(strongroom_core::rotator::LABEL) {
        let _ = writeln!(
            text,
            "  {path} without the label rotation: it is rotated by no plan there"
        );
    }
    if let Some(own) = &step.own {
        let _ = writeln!(
            text,
            "  {REMOVED}overwrites{REMOVED:#} {path}, {}",
            why(args, own)
        );
        text.push_str(&both(args, own));
    }
    text
}

fn kept_line(args: &Args, step: &Step) -> String {
    let Some(own) = &step.own else {
        return String::new();
    };
    let (to, path, kind) = (&args.to, &step.source.path, step.source.kind);
    let why = why(args, own);
    let mut text = format!(
        "  {STRONG}!{STRONG:#} {to} {path}  ({kind}) stays, {why}; --overwrite takes it all the same\n"
    );
    text.push_str(&match own.is_known {
        true => both(args, own),
        false => change::key_lines(&step.keys),
    });
    text
}

fn why(args: &Args, own: &Own) -> String {
    match &own.since {
        Some(origin) if own.is_known => format!("changed in {} since {origin} was promoted", args.to),
        Some(origin) => format!("and {origin}, which was promoted, is not found any more"),
        None => format!("{}'s own and never promoted", args.to),
    }
}

/// What each of the two did since the promotion.
fn both(args: &Args, own: &Own) -> String {
    let mut text = String::new();
    for (environment, keys) in [(&args.to, &own.ours), (&args.from, &own.theirs)] {
        if !keys.is_empty() {
            let _ = writeln!(text, "    in {environment}:");
            text.push_str(&change::key_lines(keys));
        }
    }
    text
}
