//! `import`: takes a dotenv, TOML or JSON file apart into entries, in one commit.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde_json::Value;
use strongroom_core::config::Format;
use strongroom_core::name::{CompartmentName, EntryPath, EnvironmentName};
use strongroom_core::secret::Secret;
use strongroom_core::snapshot::Kind;
use strongroom_core::vault::{Edit, Expect, Put};

use crate::change::{self, ChangeOptions};
use crate::context::Context;
use crate::error::CliError;
use crate::tree::{self, Leaf};
use crate::{dotenv, open, value};

const EXAMPLES: &str = "\
Nested keys of TOML and JSON become path segments: {\"database\":{\"password\":\"x\"}} with --prefix web
is web/database/password. Numbers and truth values become their text, lists their JSON; a fraction
is written in its shortest form (1.50 as 1.5), and a key that repeats is refused. With --kind flag the file holds flag definitions by key, as flagd's files do. To store a whole document
as one config entry, use `put --kind config`.

Examples:
  strongroom import prod --prefix web --file .env
  strongroom import prod --prefix web --file secrets.json --dry-run
  strongroom import prod --prefix flags --kind flag --file flags.flagd.json";

/// Import many entries from a dotenv, TOML or JSON file, in one commit
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The environment [default: the `environment` setting]
    #[arg(value_name = "ENV")]
    environment: Option<EnvironmentName>,
    /// The file to read [default: stdin]
    #[arg(long, short = 'f', value_name = "FILE")]
    file: Option<PathBuf>,
    /// dotenv, toml or json [default: by the file's name, else dotenv]
    #[arg(long, value_name = "FORMAT")]
    format: Option<FileFormat>,
    /// Put the entries below this path
    #[arg(long, short = 'p', value_name = "PATH")]
    prefix: Option<EntryPath>,
    /// What the entries are: secret, config or flag
    #[arg(long, value_name = "KIND", default_value = "secret")]
    kind: Kind,
    /// The compartment of new entries [default: the environment's]
    #[arg(long, value_name = "NAME")]
    compartment: Option<CompartmentName>,
    #[command(flatten)]
    change: ChangeOptions,
}

/// The formats of files with many values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileFormat {
    Dotenv,
    Toml,
    Json,
}

impl FromStr for FileFormat {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "dotenv" | "env" => Ok(Self::Dotenv),
            "toml" => Ok(Self::Toml),
            "json" => Ok(Self::Json),
            _ => Err("a file format is one of dotenv, toml, json"),
        }
    }
}

impl FileFormat {
    /// By the ending of the file's name.
    pub(crate) fn of_file(file: Option<&Path>) -> Self {
        let ending = file.and_then(Path::extension).and_then(|ending| ending.to_str());
        ending
            .and_then(|ending| ending.parse().ok())
            .unwrap_or(Self::Dotenv)
    }
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let environment = context.environment(args.environment.as_ref())?;
    let file = args.file.as_deref().filter(|file| *file != Path::new("-"));
    let text = match file {
        Some(file) => value::read_file(file)?,
        None => value::read_bounded(std::io::stdin().lock(), "standard input")?,
    };
    let format = args.format.unwrap_or_else(|| FileFormat::of_file(file));
    let leaves = text
        .expose(|text| read(text, format, args))
        .map_err(|error| CliError {
            message: format!(
                "{}: {}",
                file.map_or("standard input".into(), Path::to_string_lossy),
                error.message
            ),
            ..error
        })?;
    if leaves.is_empty() {
        return Err(CliError::failed("there is nothing to import in it"));
    }
    let opened = open::writer(&context.settings)?;
    let edits = leaves.into_iter().map(|leaf| {
        Edit::Put(Put {
            environment: environment.clone(),
            path: leaf.path,
            kind: args.kind,
            value: leaf.value,
            format: Format::Text,
            labels: None,
            compartment: args.compartment.clone(),
            expect: Expect::Any,
        })
    });
    let change = args.change.change(edits.collect());
    change::carry_out(context, &opened, &change, &args.change)
}

fn read(text: &[u8], format: FileFormat, args: &Args) -> Result<Vec<Leaf>, CliError> {
    let document = match format {
        FileFormat::Dotenv if args.kind == Kind::Flag => {
            return Err(
                CliError::usage("flag definitions are read from JSON or TOML").hint("give --format json")
            );
        }
        FileFormat::Dotenv => return read_dotenv(text, args.prefix.as_ref()),
        FileFormat::Json => tree::parse_json(text)?,
        FileFormat::Toml => tree::parse_toml(text)?,
    };
    match args.kind {
        Kind::Flag => definitions(document, args.prefix.as_ref()),
        _ => tree::leaves(document, args.prefix.as_ref()),
    }
}

fn read_dotenv(text: &[u8], prefix: Option<&EntryPath>) -> Result<Vec<Leaf>, CliError> {
    let text = std::str::from_utf8(text).map_err(|_| CliError::failed("it is not UTF-8"))?;
    let found = dotenv::parse(text).map_err(|error| CliError::failed(error.to_string()))?;
    let prefix = prefix.map(EntryPath::as_str);
    found
        .into_iter()
        .map(|one| {
            let path = tree::child(prefix, &one.name).map_err(|error| CliError {
                message: format!("line {}: {}", one.line, error.message),
                ..error
            })?;
            Ok(Leaf {
                path,
                value: one.value,
            })
        })
        .collect()
}

/// Flag definitions by key, or below `flags` as flagd has them.
fn definitions(document: Value, prefix: Option<&EntryPath>) -> Result<Vec<Leaf>, CliError> {
    let Value::Object(mut fields) = document else {
        return Err(CliError::failed(
            "the document is not an object of flag definitions",
        ));
    };
    if fields.contains_key("$evaluators") {
        return Err(
            CliError::failed("shared rules (`$evaluators`) are not stored apart from flags")
                .hint("write each rule into the flags that use it"),
        );
    }
    if let Some(Value::Object(flags)) = fields.get_mut("flags") {
        fields = std::mem::take(flags);
    }
    fields
        .into_iter()
        .map(|(key, definition)| {
            let path = tree::child(prefix.map(EntryPath::as_str), &key)?;
            tree::check_exact(&path, &definition)?;
            let text = serde_json::to_vec_pretty(&definition)
                .map_err(|error| CliError::failed(error.to_string()))?;
            Ok(Leaf {
                path,
                value: Secret::new(text),
            })
        })
        .collect()
}
