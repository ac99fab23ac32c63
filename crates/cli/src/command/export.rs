//! `export`: writes an environment's values as one dotenv, TOML or JSON document.

use std::io::{IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use strongroom_core::config;
use strongroom_core::inject::Material;
use strongroom_core::inject::env::EnvSettings;
use strongroom_core::name::EntryPath;
use strongroom_core::snapshot::Kind;
use zeroize::Zeroizing;

use super::import::FileFormat;
use crate::context::Context;
use crate::error::CliError;
use crate::material::{Form, Scope};
use crate::tree::Node;
use crate::wiped::Wiped;
use crate::{material, output};

const EXAMPLES: &str = "\
Values are written as `run` injects them: config merged, flags as the text of their default
variant. dotenv names are those of `run`; TOML and JSON nest by path. Prefer `run` and `render`,
which leave no plaintext on a disk.

Examples:
  strongroom export prod --prefix web --to web.env
  strongroom export prod --format json | jq -r .web.database.user";

/// Write values in clear as one dotenv, TOML or JSON document
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    scope: Scope,
    /// Only entries of this kind
    #[arg(long, value_name = "KIND")]
    kind: Option<Kind>,
    /// dotenv, toml or json [default: by the file's name, else dotenv]
    #[arg(long, value_name = "FORMAT")]
    format: Option<FileFormat>,
    /// Write a new file of mode 0600 instead of stdout
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    /// Show secrets on a terminal, and replace a file that is there
    #[arg(long, short = 'y')]
    yes: bool,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let format = args
        .format
        .unwrap_or_else(|| FileFormat::of_file(args.to.as_deref()));
    let (environment, mut material) = args.scope.open(context, "export", Form::Written)?;
    material
        .values
        .retain(|value| args.kind.is_none_or(|kind| kind == value.kind));
    let has_secrets = material.values.iter().any(|value| value.kind == Kind::Secret);
    if args.to.is_none() && has_secrets && std::io::stdout().is_terminal() && !args.yes {
        return Err(CliError::failed("this would show secrets on the terminal")
            .hint("write them to a file with --to, send them to a program, or add --yes"));
    }
    let text = document(&material, format, args.scope.prefix.as_ref())?;
    let Some(file) = &args.to else {
        return output::raw(text.as_bytes());
    };
    write_file(file, text.as_bytes(), args.yes)?;
    let json = serde_json::json!({
        "file": file.display().to_string(),
        "environment": environment.as_str(),
        "revision": material.revision,
        "values": material.values.len(),
    });
    let said = format!(
        "wrote {} values of revision {} to {} in clear: remove it when it is used\n",
        material.values.len(),
        material.revision,
        file.display()
    );
    context.output.answer(&json, &said)
}

fn document(material: &Material, format: FileFormat, prefix: Option<&EntryPath>) -> Result<Wiped, CliError> {
    let mut binary = material
        .values
        .iter()
        .filter(|value| value.bytes.expose(|bytes| std::str::from_utf8(bytes).is_err()));
    if let Some(first) = binary.next() {
        return Err(
            CliError::failed(format!("{} and {} others are binary", first.path, binary.count()))
                .hint("`strongroom render` writes them as files, `strongroom get --json` as base64"),
        );
    }
    if format == FileFormat::Dotenv {
        return dotenv_document(material, prefix);
    }
    // A secret lends its bytes for one call only and the tree needs all of them at once: copies
    // that are wiped.
    let texts: Vec<(&str, Zeroizing<String>)> = material
        .values
        .iter()
        .map(|value| {
            let text = value
                .bytes
                .expose(|bytes| Zeroizing::new(String::from_utf8_lossy(bytes).into_owned()));
            (material::below(&value.path, prefix), text)
        })
        .collect();
    let node = Node::of(texts.iter().map(|(path, text)| (*path, text.as_str()))).map_err(|path| {
        CliError::failed(format!("{path} would be both a value and a table"))
            .hint("export with a longer --prefix, or in the dotenv format")
    })?;
    let mut out = Wiped::default();
    let written = match format {
        FileFormat::Toml => toml::to_string(&node)
            .map(Zeroizing::new)
            .map_err(|_| "the document could not be written".to_owned())
            .and_then(|text| out.write_all(text.as_bytes()).map_err(|error| error.to_string())),
        _ => serde_json::to_writer_pretty(&mut out, &node)
            .map_err(|error| error.to_string())
            .and_then(|()| out.write_all(b"\n").map_err(|error| error.to_string())),
    };
    written.map_err(CliError::failed)?;
    Ok(out)
}

fn dotenv_document(material: &Material, prefix: Option<&EntryPath>) -> Result<Wiped, CliError> {
    let settings = EnvSettings {
        prefix: prefix.cloned(),
        ..EnvSettings::default()
    };
    let variables = settings
        .variables(material)
        .map_err(|error| CliError::failed(error.to_string()))?;
    let mut out = Wiped::default();
    for (name, value) in variables.iter() {
        value
            .expose(|bytes| {
                let text = std::str::from_utf8(bytes).unwrap_or_default();
                config::assign(&mut out, name.as_str(), text)
            })
            .map_err(|error| CliError::io("a buffer", &error))?;
    }
    Ok(out)
}

/// A new file that only the own user reads. Replaced only when asked, and then whole.
fn write_file(file: &Path, bytes: &[u8], replace: bool) -> Result<(), CliError> {
    if !replace {
        return create(file, bytes, "choose another file, or replace it with --yes");
    }
    let mut beside = file.as_os_str().to_owned();
    beside.push(format!(".{}.new", std::process::id()));
    let beside = PathBuf::from(beside);
    create(
        &beside,
        bytes,
        "it was left by another program: remove it if it is not needed",
    )?;
    std::fs::rename(&beside, file).map_err(|error| {
        let _ = std::fs::remove_file(&beside);
        CliError::io(file.display(), &error)
    })
}

/// Makes a file whole or not at all. Only one that was made here is ever removed.
fn create(path: &Path, bytes: &[u8], when_there: &str) -> Result<(), CliError> {
    let failed = |error: std::io::Error| CliError::io(path.display(), &error);
    let mut made = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => failed(error).hint(when_there),
            _ => failed(error),
        })?;
    made.write_all(bytes)
        .and_then(|()| made.sync_all())
        .map_err(|error| {
            let _ = std::fs::remove_file(path);
            failed(error)
        })
}
