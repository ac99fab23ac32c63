//! `config import`: a file as one config document.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde_json::Value;
use strongroom_core::config::{self, Format, Key};
use strongroom_core::id::Version;
use strongroom_core::secret::Secret;

use super::written::{Place, carry_out};
use crate::change::ChangeOptions;
use crate::context::{Context, Target};
use crate::error::CliError;
use crate::{dotenv, open, value, yaml};

const EXAMPLES: &str = "\
TOML and JSON are stored as they stand, with comments and order. YAML and dotenv become TOML, or JSON
with --to json; the names of dotenv are keys, and its values texts. The document that is there gets a
new version; the plan names the keys that differ.

Examples:
  strongroom config import prod web --file web.toml
  strongroom config import prod web --file values.yaml --plan";

/// Store a TOML, JSON, YAML or dotenv file as one config document
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    target: Target,
    /// The file to read [default: stdin]
    #[arg(long, short = 'f', value_name = "FILE")]
    file: Option<PathBuf>,
    /// toml, json, yaml or dotenv [default: by the file's name, else toml]
    #[arg(long, value_name = "FORMAT")]
    format: Option<Source>,
    /// Store it as toml or json [default: json for a JSON file, else toml]
    #[arg(long, value_name = "FORMAT")]
    to: Option<Format>,
    /// Only if the document is at this version
    #[arg(long, value_name = "N")]
    expect_version: Option<Version>,
    #[command(flatten)]
    change: ChangeOptions,
}

/// The formats of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Toml,
    Json,
    Yaml,
    Dotenv,
}

impl FromStr for Source {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "toml" => Ok(Self::Toml),
            "json" => Ok(Self::Json),
            "yaml" | "yml" => Ok(Self::Yaml),
            "dotenv" | "env" => Ok(Self::Dotenv),
            _ => Err("a file format is one of toml, json, yaml, dotenv"),
        }
    }
}

impl Source {
    /// By the ending of the file's name; `.env` is all ending.
    fn of_file(file: Option<&Path>) -> Self {
        let name = file.and_then(Path::file_name).and_then(|name| name.to_str());
        let ending = name.and_then(|name| name.rsplit('.').next());
        ending
            .and_then(|ending| ending.parse().ok())
            .unwrap_or(Self::Toml)
    }
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let (environment, path) = args.target.resolve(context)?;
    let place = Place { environment, path };
    let file = args.file.as_deref().filter(|file| *file != Path::new("-"));
    let text = match file {
        Some(file) => value::read_file(file)?,
        None => value::read_bounded(std::io::stdin().lock(), "standard input")?,
    };
    let source = args.format.unwrap_or_else(|| Source::of_file(file));
    let (format, text) = document(&text, source, args.to).map_err(|error| {
        let name = file.map_or("standard input".into(), Path::to_string_lossy);
        CliError {
            message: format!("{name}: {}", error.message),
            ..error
        }
    })?;
    let opened = open::writer(&context.settings)?;
    let expected = (&args.change, args.expect_version);
    carry_out(context, &opened, &place, expected, |_| {
        Ok((format, text.expose(|text| Secret::new(text.to_vec()))))
    })
}

fn document(text: &Secret, source: Source, to: Option<Format>) -> Result<(Format, Secret), CliError> {
    let own = match source {
        Source::Json => Format::Json,
        Source::Toml | Source::Yaml | Source::Dotenv => Format::Toml,
    };
    let to = to.unwrap_or(own);
    if to == Format::Text {
        return Err(
            CliError::usage("--to is toml or json").hint("`strongroom put --kind config` stores any text")
        );
    }
    let is_kept = to == own && matches!(source, Source::Toml | Source::Json);
    text.expose(|bytes| {
        if is_kept {
            // For its error, before the store is opened.
            config::check(to, bytes).map_err(|error| CliError::failed(error.to_string()))?;
            return Ok((to, Secret::new(bytes.to_vec())));
        }
        let value = match source {
            Source::Toml | Source::Json => {
                config::layer(own, bytes).map_err(|error| CliError::failed(error.to_string()))?
            }
            Source::Yaml => yaml::parse(bytes)?,
            Source::Dotenv => assignments(bytes)?,
        };
        Ok((to, Secret::new(written(&value, to)?)))
    })
}

fn assignments(bytes: &[u8]) -> Result<Value, CliError> {
    let text = std::str::from_utf8(bytes).map_err(|_| CliError::failed("it is not UTF-8"))?;
    let found = dotenv::parse(text).map_err(|error| CliError::failed(error.to_string()))?;
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    Ok(found
        .into_iter()
        .map(|one| (one.name, one.value.expose(text)))
        .collect())
}

fn written(value: &Value, to: Format) -> Result<Vec<u8>, CliError> {
    if !value.is_object() {
        return Err(CliError::failed("it is no table of keys and values"));
    }
    if to == Format::Json {
        return Ok(format!("{value:#}\n").into_bytes());
    }
    if let Some(key) = null(&mut Vec::new(), value) {
        return Err(CliError::failed(format!("`{key}` is null, which TOML has not"))
            .hint("leave the key out, or add --to json"));
    }
    toml::to_string_pretty(value)
        .map(String::into_bytes)
        .map_err(|_| CliError::failed("a number is larger than TOML has them").hint("write it in quotes"))
}

/// The first key, or that of the list, with a null.
fn null(names: &mut Vec<String>, value: &Value) -> Option<Key> {
    match value {
        Value::Null => Some(Key::of(names.clone())),
        Value::Array(items) => items.iter().find_map(|item| null(names, item)),
        Value::Object(fields) => fields.iter().find_map(|(name, field)| {
            names.push(name.clone());
            let found = null(names, field);
            names.pop();
            found
        }),
        _ => None,
    }
}
