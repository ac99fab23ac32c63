//! The settings file `strongroom.toml`: owns finding it, who may have written it and its keys.
//! It must not know options or variables.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::{CliError, Exit};

const NAME: &str = "strongroom.toml";
/// Far more than any settings file needs; a bound for what is read.
const MAX_BYTES: u64 = 64 * 1024;

/// The keys of the file as text; paths and a SQLite store are relative to the file's directory.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SettingsFile {
    #[serde(skip)]
    pub(crate) path: PathBuf,
    pub(crate) store: Option<String>,
    pub(crate) environment: Option<String>,
    pub(crate) identity: Option<String>,
    pub(crate) passphrase_file: Option<String>,
    pub(crate) fingerprint: Option<String>,
    pub(crate) trust_dir: Option<String>,
    pub(crate) audit: Option<String>,
}

/// Looks for the file in `from` and every directory above it.
pub(crate) fn find(from: &Path, home: Option<&Path>) -> Result<Option<SettingsFile>, CliError> {
    for dir in from.ancestors() {
        let path = dir.join(NAME);
        // Another's FIFO must not hold up whoever works below it.
        let opened = OpenOptions::new()
            .read(true)
            .custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed())
            .open(&path);
        match opened {
            Ok(file) => {
                check_author(&path, &file)?;
                return parse(&path, file, home).map(Some);
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(CliError::io(path.display(), &error)),
        }
    }
    Ok(None)
}

/// A file that is merely found could send values into another person's store: it counts only when
/// this user or root wrote it and not everybody may. Asked of the open file, which nobody swaps.
fn check_author(path: &Path, file: &File) -> Result<(), CliError> {
    let found = file
        .metadata()
        .map_err(|error| CliError::io(path.display(), &error))?;
    let user = rustix::process::geteuid().as_raw();
    let problem = if !found.is_file() {
        "is not a regular file"
    } else if found.uid() != user && found.uid() != 0 {
        "belongs to another user"
    } else if found.mode() & 0o002 != 0 {
        "may be written by everybody"
    } else {
        return Ok(());
    };
    Err(CliError::new(
        Exit::Denied,
        format!("{} {problem}: it was not used", path.display()),
    )
    .hint("name it with --settings if you trust it, change its owner or mode, or remove it"))
}

/// Reads the file at `path`, which was named and may be a pipe.
pub(crate) fn read(path: &Path, home: Option<&Path>) -> Result<SettingsFile, CliError> {
    let file = File::open(path).map_err(|error| CliError::io(path.display(), &error))?;
    parse(path, file, home)
}

fn parse(path: &Path, file: File, home: Option<&Path>) -> Result<SettingsFile, CliError> {
    let mut text = String::new();
    let length = file
        .take(MAX_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(|error| CliError::io(path.display(), &error))?;
    if length as u64 > MAX_BYTES {
        return Err(CliError::usage(format!(
            "{} is longer than {MAX_BYTES} bytes: this is no settings file",
            path.display()
        )));
    }
    let mut file: SettingsFile = toml::from_str(&text).map_err(|error| refused(path, &text, &error))?;
    file.path = std::path::absolute(path).map_err(|error| CliError::io(path.display(), &error))?;
    let dir = file.path.parent().unwrap_or(Path::new("/")).to_path_buf();
    let paths = [
        &mut file.identity,
        &mut file.passphrase_file,
        &mut file.trust_dir,
        &mut file.audit,
    ];
    for value in paths.into_iter().flatten() {
        *value = resolve(value, &dir, home);
    }
    if let Some(relative) = file
        .store
        .as_deref()
        .and_then(|store| store.strip_prefix("sqlite:"))
        && !relative.is_empty()
    {
        file.store = Some(format!("sqlite:{}", resolve(relative, &dir, home)));
    }
    Ok(file)
}

fn resolve(path: &str, dir: &Path, home: Option<&Path>) -> String {
    let resolved = match (path.strip_prefix("~/"), home) {
        (Some(below), Some(home)) => home.join(below),
        _ => dir.join(path),
    };
    resolved.to_string_lossy().into_owned()
}

/// Says where and what without repeating the line, which may hold anything.
fn refused(path: &Path, text: &str, error: &toml::de::Error) -> CliError {
    let line = error.span().map_or(1, |span| {
        1 + text
            .bytes()
            .take(span.start)
            .filter(|byte| *byte == b'\n')
            .count()
    });
    let problem = if error.message().starts_with("unknown field") {
        error.message()
    } else {
        "this is not a setting: write `key = \"text\"`"
    };
    CliError::usage(format!("{}, line {line}: {problem}", path.display()))
        .hint("the keys are store, environment, identity, passphrase_file, fingerprint, trust_dir and audit")
}
