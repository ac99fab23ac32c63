//! `config set` and `config unset`: keys of a document, with everything else kept.

use strongroom_core::config::{EditError, Key, KeyEdit, Setting, edit};
use strongroom_core::id::Version;
use strongroom_core::name::{EntryPath, EnvironmentName};
use strongroom_core::secret::Secret;

use super::written::{Found, Place, Written, carry_out};
use crate::change::ChangeOptions;
use crate::context::Context;
use crate::error::CliError;
use crate::open;

const SET_EXAMPLES: &str = "\
A value is written as in the document, TOML or JSON: 20, true, [1, 2], \"20\". What is none and does
not begin like one is a text: host=localhost. Comments and order of TOML stay. A document that only
a parent has gets a layer of its own, with these keys alone.

Examples:
  strongroom config set prod web pool.size=20
  strongroom config set prod web name=web 'hosts=[\"a\", \"b\"]' -m 'two hosts'
  strongroom config set prod web version=1.10 --text";
const UNSET_EXAMPLES: &str = "\
Afterwards the environment does not have the key. Where a parent has it, the environment's document
says that it is unset; --inherit takes away what the document says, so that the parent's holds again.

Examples:
  strongroom config unset prod web pool.wait
  strongroom config unset prod web pool.size --inherit";

/// The document, and how it is changed.
#[derive(Debug, clap::Args)]
struct Shared {
    /// Only if the document is at this version
    #[arg(long, value_name = "N")]
    expect_version: Option<Version>,
    #[command(flatten)]
    change: ChangeOptions,
}

/// Set keys of a config document
#[derive(Debug, clap::Args)]
#[command(after_help = SET_EXAMPLES)]
pub(crate) struct SetArgs {
    /// The environment
    #[arg(value_name = "ENV")]
    environment: EnvironmentName,
    /// The path of the document
    #[arg(value_name = "PATH")]
    path: EntryPath,
    /// Keys with their new values
    #[arg(value_name = "KEY=VALUE", required = true)]
    assignments: Vec<String>,
    /// Take every value for a text, whatever it looks like
    #[arg(long)]
    text: bool,
    #[command(flatten)]
    shared: Shared,
}

/// Unset keys of a config document
#[derive(Debug, clap::Args)]
#[command(after_help = UNSET_EXAMPLES)]
pub(crate) struct UnsetArgs {
    /// The environment
    #[arg(value_name = "ENV")]
    environment: EnvironmentName,
    /// The path of the document
    #[arg(value_name = "PATH")]
    path: EntryPath,
    /// The keys
    #[arg(value_name = "KEY", required = true)]
    keys: Vec<Key>,
    /// Take away what the document says of them, so that what a parent says holds
    #[arg(long)]
    inherit: bool,
    #[command(flatten)]
    shared: Shared,
}

pub(crate) fn set(args: &SetArgs, context: &Context) -> Result<(), CliError> {
    let edits = args
        .assignments
        .iter()
        .map(|setting| parse(setting, args.text))
        .collect::<Result<Vec<_>, _>>()?;
    let place = (&args.environment, &args.path);
    run(context, place, &args.shared, |_| Ok(edits.clone()))
}

pub(crate) fn unset(args: &UnsetArgs, context: &Context) -> Result<(), CliError> {
    let place = (&args.environment, &args.path);
    run(context, place, &args.shared, |found| {
        let own = found.document();
        let unset = |key: &Key| {
            let inherited = found.behind.iter().any(|layer| key.find(layer).is_some());
            if inherited && !args.inherit {
                return Ok(KeyEdit::Unset(key.clone()));
            }
            if key.find(&own).is_some() {
                return Ok(KeyEdit::Remove(key.clone()));
            }
            let (environment, path) = place;
            Err(
                CliError::failed(format!("{path} in {environment} has no `{key}` of its own")).hint(format!(
                    "`strongroom config show {environment} {path} --origin` lists its keys"
                )),
            )
        };
        args.keys.iter().map(unset).collect()
    })
}

/// `KEY=VALUE`; a quoted name in the key may hold a `=`.
fn parse(setting: &str, as_text: bool) -> Result<KeyEdit, CliError> {
    let split = setting
        .match_indices('=')
        .find_map(|(at, _)| Some((setting.get(..at)?.parse::<Key>().ok()?, setting.get(at + 1..)?)));
    let Some((key, value)) = split else {
        return Err(
            CliError::usage("a setting is KEY=VALUE, with a key as in `pool.size`")
                .hint("quote names of a key that have other signs: 'hosts.\"a.example\"=1'"),
        );
    };
    let value = if as_text {
        Setting::text(value)
    } else {
        Setting::value(value)
    };
    Ok(KeyEdit::Set(key, value))
}

fn run(
    context: &Context,
    (environment, path): (&EnvironmentName, &EntryPath),
    shared: &Shared,
    edits: impl Fn(&Found) -> Result<Vec<KeyEdit>, CliError>,
) -> Result<(), CliError> {
    let opened = open::writer(&context.settings)?;
    let place = Place {
        environment: environment.clone(),
        path: path.clone(),
    };
    let write = |found: &Found| -> Result<Written, CliError> {
        let edits = edits(found)?;
        let text = found.text.expose(|text| edit(found.format, text, &edits));
        let text = text.map_err(|error| refused(&place, error))?;
        Ok((found.format, Secret::new(text)))
    };
    carry_out(
        context,
        &opened,
        &place,
        (&shared.change, shared.expect_version),
        write,
    )
}

fn refused(place: &Place, error: EditError) -> CliError {
    let Place { environment, path } = place;
    let message = format!("{path} in {environment}: {error}");
    let hint = match error {
        EditError::IsUnset { key } => {
            format!("`strongroom config unset {environment} {path} '{key}' --inherit` takes it back")
        }
        EditError::Value { .. } => "close what is open, or add --text to take it for a text".to_owned(),
        _ => return CliError::failed(message),
    };
    CliError::failed(message).hint(hint)
}
