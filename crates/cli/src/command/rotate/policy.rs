//! `rotate policy set|show|unset`: owns the document of a plan and the label that names it.

use std::path::PathBuf;

use serde_json::json;
use strongroom_core::config::Format;
use strongroom_core::name::{EntryPath, EnvironmentName};
use strongroom_core::rotation::plan::Plan;
use strongroom_core::rotator::{self, LABEL, Named};
use strongroom_core::secret::Secret;
use strongroom_core::snapshot::{Entry, Kind};
use strongroom_core::vault::{Edit, Expect, Put};

use super::drive;
use crate::change::{self, ChangeOptions};
use crate::context::{Context, Target};
use crate::error::CliError;
use crate::open::{self, Opened};
use crate::value;

const EXAMPLES: &str = "\
The plan is a config document of the environment, rotation/PATH unless --document names another; the
secret's label `rotation` names it. Several secrets may go by one plan.

Example:
  strongroom rotate policy set prod web/password --every 30d --jitter 1d --strategy overlap \\
    --generator password:length=40 --target 'exec:/usr/local/libexec/rotate-web db1'
  strongroom rotate policy set prod db/password --every 30d --strategy replace --generator password \
    --target postgres:host=/run/postgresql,admin_user=postgres,role=web
  strongroom rotate policy set prod web/password --file plan.toml
  strongroom rotate policy show prod web/password
  strongroom rotate policy unset prod web/password";

/// When and how a secret is rotated
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Give a secret a plan, or another one
    #[command(after_help = EXAMPLES)]
    Set(Box<Set>),
    /// Show the plan of a secret, and when it is due
    #[command(after_help = EXAMPLES)]
    Show(Show),
    /// Take the plan off a secret; the document stays
    #[command(after_help = EXAMPLES)]
    Unset(Unset),
}

/// The keys of a plan.
#[derive(Debug, clap::Args)]
pub(super) struct Set {
    #[command(flatten)]
    target: Target,
    /// Take the whole plan from FILE, in TOML (`-` is stdin)
    #[arg(long, short = 'f', value_name = "FILE", conflicts_with_all = ["every", "jitter", "strategy", "generator", "knows", "accounts", "env", "limit", "retry", "settle", "within", "deadline"])]
    file: Option<PathBuf>,
    /// How old a value becomes: 30d, 12h
    #[arg(long, value_name = "TIME")]
    every: Option<String>,
    /// Up to how much later each secret is due
    #[arg(long, value_name = "TIME")]
    jitter: Option<String>,
    /// `replace`, `overlap` or `alternate`
    #[arg(long, value_name = "STRATEGY")]
    strategy: Option<String>,
    /// What makes new values, as for `put --generate`
    #[arg(long, value_name = "SPEC")]
    generator: Option<String>,
    /// What knows the secret: a program and its arguments between blanks, `exec:/PROGRAM ARG...`; or a built-in target
    /// with the keys of its table, `postgres:KEY=VALUE,KEY=VALUE`
    #[arg(long = "target", value_name = "TARGET")]
    knows: Option<String>,
    /// With `alternate`: the two accounts, given twice
    #[arg(long = "account", value_name = "NAME")]
    accounts: Vec<String>,
    /// A variable that the program gets; may be repeated
    #[arg(long, value_name = "NAME")]
    env: Vec<String>,
    /// How long one call of the program may take [default: 60s]
    #[arg(long, value_name = "TIME")]
    limit: Option<String>,
    /// How long a target that says "later" is asked again [default: 10s]
    #[arg(long, value_name = "TIME")]
    retry: Option<String>,
    /// How long consumers have at least, for those that nobody reports of [default: 10s]
    #[arg(long, value_name = "TIME")]
    settle: Option<String>,
    /// Consumers that used the secret in this time are waited for [default: 1d]
    #[arg(long, value_name = "TIME")]
    within: Option<String>,
    /// How long consumers are waited for at most [default: 1h]
    #[arg(long, value_name = "TIME")]
    deadline: Option<String>,
    /// The path of the plan's document [default: rotation/PATH]
    #[arg(long, value_name = "PATH")]
    document: Option<EntryPath>,
    #[command(flatten)]
    change: ChangeOptions,
}

/// What `show` is given.
#[derive(Debug, clap::Args)]
pub(super) struct Show {
    #[command(flatten)]
    target: Target,
}

/// What `unset` is given.
#[derive(Debug, clap::Args)]
pub(super) struct Unset {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    change: ChangeOptions,
}

pub(super) fn run(command: &Command, context: &Context) -> Result<(), CliError> {
    match command {
        Command::Set(set) => set.run(context),
        Command::Show(show) => show.run(context),
        Command::Unset(unset) => unset.run(context),
    }
}

impl Set {
    fn run(&self, context: &Context) -> Result<(), CliError> {
        let (environment, path) = self.target.resolve(context)?;
        let text = self.text()?;
        text.parse::<Plan>().map_err(|problems| {
            CliError::failed(format!("the plan is not valid: {problems}")).hint("nothing was changed")
        })?;
        let opened = open::writer(&context.settings)?;
        let entry = secret(&opened, &environment, &path)?;
        let document = match (&self.document, entry.labels.get(LABEL)) {
            (Some(document), _) => document.clone(),
            (None, Some(named)) => EntryPath::new(named)?,
            (None, None) => EntryPath::new(&format!("rotation/{path}"))?,
        };
        let there = opened
            .vault
            .snapshot()
            .find(&environment, document.as_str())?
            .is_some();
        let mut edits = vec![Edit::Put(Put {
            environment: environment.clone(),
            path: document.clone(),
            kind: Kind::Config,
            value: Secret::new(text.into_bytes()),
            format: Format::Toml,
            labels: None,
            // Who may rotate the secret may read its plan.
            compartment: (!there).then(|| entry.compartment.clone()),
            expect: Expect::Any,
        })];
        if entry.labels.get(LABEL).map(String::as_str) != Some(document.as_str()) {
            edits.push(relabelled(&opened, &entry, Some(&document), "rotate policy set")?);
        }
        change::carry_out(context, &opened, &self.change.change(edits), &self.change)
    }

    /// The document, from a file or from the options.
    fn text(&self) -> Result<String, CliError> {
        if let Some(file) = &self.file {
            let read = match file.to_str() {
                Some("-") => value::read_bounded(std::io::stdin().lock(), "standard input")?,
                _ => value::read_file(file)?,
            };
            return read
                .expose(|bytes| String::from_utf8(bytes.to_vec()))
                .map_err(|_| CliError::failed("the plan is no text: nothing was changed"));
        }
        let mut plan = toml::Table::new();
        let mut target = toml::Table::new();
        let list = |words: &[String]| words.iter().cloned().map(toml::Value::String).collect::<Vec<_>>();
        for (key, option) in [
            ("strategy", &self.strategy),
            ("generator", &self.generator),
            ("every", &self.every),
            ("jitter", &self.jitter),
            ("settle", &self.settle),
            ("within", &self.within),
            ("deadline", &self.deadline),
        ] {
            plan.extend(option.clone().map(|text| (key.to_owned(), text.into())));
        }
        if !self.accounts.is_empty() {
            plan.insert("accounts".into(), list(&self.accounts).into());
        }
        if let Some(text) = &self.knows {
            let (kind, keys) = knows(text)?;
            target.insert(kind, keys);
        }
        if !self.env.is_empty() {
            target.insert("env".into(), list(&self.env).into());
        }
        for (key, option) in [("limit", &self.limit), ("retry", &self.retry)] {
            target.extend(option.clone().map(|text| (key.to_owned(), text.into())));
        }
        plan.insert("target".into(), target.into());
        toml::to_string(&plan).map_err(|error| CliError::failed(error.to_string()))
    }
}

/// A target from an option: its word, and what stands under it.
fn knows(text: &str) -> Result<(String, toml::Value), CliError> {
    let usage = || {
        CliError::usage("a target is given as `exec:/PROGRAM ARG...` or as `KIND:KEY=VALUE,KEY=VALUE`")
            .hint("what holds a comma goes into a plan's file: `--file`")
    };
    let words = |text: &str| {
        let words = text.split_whitespace().map(|word| word.to_owned().into());
        toml::Value::Array(words.collect())
    };
    let (kind, rest) = text.split_once(':').ok_or_else(usage)?;
    if kind == "exec" {
        return Ok((kind.to_owned(), words(rest)));
    }
    let mut table = toml::Table::new();
    for pair in rest.split(',').filter(|pair| !pair.is_empty()) {
        let (key, text) = pair.split_once('=').ok_or_else(usage)?;
        let value = match (key, text.parse::<i64>()) {
            // The one key that is a program.
            ("test", _) => words(text),
            (_, Ok(number)) => number.into(),
            (_, Err(_)) => text.to_owned().into(),
        };
        if table.insert(key.to_owned(), value).is_some() {
            return Err(CliError::usage(format!("the target has {key:?} twice")));
        }
    }
    Ok((kind.to_owned(), table.into()))
}

impl Show {
    fn run(&self, context: &Context) -> Result<(), CliError> {
        let (environment, path) = self.target.resolve(context)?;
        let opened = open::reader(&context.settings)?;
        let entry = secret(&opened, &environment, &path)?;
        let named = Named::of(&opened.vault.snapshot(), &environment, &path).map_err(drive::no_plan)?;
        let times = opened.vault.times(entry.revision)?;
        let due = rotator::due(&times, &entry, &named.plan).map(|due| due.to_string());
        let when = due
            .as_deref()
            .map_or("no schedule".into(), |due| format!("due {due}"));
        let text = format!(
            "# {environment} {}, {when}\n{}\n",
            named.path,
            named.text.trim_end()
        );
        let document = json!({
            "environment": environment.as_str(), "path": path.as_str(),
            "document": named.path.as_str(), "plan": named.text, "due": due,
        });
        context.output.answer(&document, &text)
    }
}

impl Unset {
    fn run(&self, context: &Context) -> Result<(), CliError> {
        let (environment, path) = self.target.resolve(context)?;
        let opened = open::writer(&context.settings)?;
        let entry = secret(&opened, &environment, &path)?;
        if !entry.labels.contains_key(LABEL) {
            return Err(CliError::failed(format!(
                "{environment} {path} has no rotation plan"
            )));
        }
        let edit = relabelled(&opened, &entry, None, "rotate policy unset")?;
        change::carry_out(context, &opened, &self.change.change(vec![edit]), &self.change)
    }
}

/// The secret itself, which is of that environment.
fn secret(
    opened: &Opened,
    environment: &EnvironmentName,
    path: &EntryPath,
) -> Result<std::sync::Arc<Entry>, CliError> {
    let entry = opened.vault.snapshot().entry(environment, path)?;
    if entry.kind == Kind::Secret {
        Ok(entry)
    } else {
        Err(CliError::failed(format!(
            "{environment} {path} is a {}: only secrets are rotated",
            entry.kind
        )))
    }
}

/// The secret as it is, with another plan.
fn relabelled(
    opened: &Opened,
    entry: &Entry,
    plan: Option<&EntryPath>,
    command: &'static str,
) -> Result<Edit, CliError> {
    let snapshot = opened.vault.snapshot();
    opened.record((&entry.environment, snapshot.revision()), [entry], command)?;
    let mut labels = entry.labels.clone();
    match plan {
        Some(plan) => labels.insert(LABEL.into(), plan.to_string()),
        None => labels.remove(LABEL),
    };
    Ok(Edit::Put(Put {
        environment: entry.environment.clone(),
        path: entry.path.clone(),
        kind: entry.kind,
        value: snapshot.secret(&entry.environment, &entry.path)?,
        format: entry.format,
        labels: Some(labels),
        compartment: None,
        expect: Expect::Revision(entry.changed_at()),
    }))
}
