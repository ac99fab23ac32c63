//! Policies and cases on disk: owns which files of a directory they are, and which entries the
//! policies become.

use std::fs::OpenOptions;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use strongroom_core::name::EntryPath;
use strongroom_core::policy::{self, MAX_TEXT};

use crate::error::CliError;
use crate::output;

/// Where `policy apply` puts policies.
const BELOW: &str = "policy";

/// A file of policies.
#[derive(Debug)]
pub(crate) struct PolicyFile {
    pub(crate) path: EntryPath,
    pub(crate) text: String,
}

/// What one directory holds.
#[derive(Debug)]
pub(crate) struct Directory {
    pub(crate) policies: Vec<PolicyFile>,
    /// Files with cases, by name.
    pub(crate) cases: Vec<PathBuf>,
}

/// Reads a directory; every policy in it validates.
pub(crate) fn read(directory: &Path) -> Result<Directory, CliError> {
    let io = |error: std::io::Error| CliError::io(directory.display(), &error);
    let mut found = Directory {
        policies: Vec::new(),
        cases: Vec::new(),
    };
    for entry in std::fs::read_dir(directory).map_err(io)? {
        let file = entry.map_err(io)?.path();
        if file.is_dir() {
            output::warn(&format!("{}: a directory within it is left out", file.display()));
            continue;
        }
        match file.extension().and_then(|ending| ending.to_str()) {
            Some("toml") if has_cases(&file) => found.cases.push(file),
            Some("toml") => output::warn(&format!(
                "{}: not taken for cases, which are in cases*.toml and *.cases.toml",
                file.display()
            )),
            Some("cedar") => {
                let text = text(&file)?;
                policy::check(&text)
                    .map_err(|fault| CliError::failed(format!("{}: {fault}", file.display())))?;
                let stem = file
                    .file_stem()
                    .and_then(|stem| stem.to_str())
                    .unwrap_or_default();
                let path = EntryPath::new(&format!("{BELOW}/{stem}"))
                    .map_err(|error| CliError::failed(format!("{}: {error}", file.display())))?;
                found.policies.push(PolicyFile { path, text });
            }
            _ => {}
        }
    }
    if found.policies.is_empty() {
        return Err(
            CliError::failed(format!("{}: there is no policy in it", directory.display()))
                .hint("policies are files that end with .cedar"),
        );
    }
    found.policies.sort_by(|a, b| a.path.cmp(&b.path));
    found.cases.sort();
    Ok(found)
}

fn has_cases(file: &Path) -> bool {
    let stem = file
        .file_stem()
        .and_then(|stem| stem.to_str())
        .unwrap_or_default();
    stem.starts_with("cases") || stem.ends_with(".cases")
}

/// The text of a regular file: others may have no end, or wait for a writer that never comes.
pub(crate) fn text(file: &Path) -> Result<String, CliError> {
    let io = |error: std::io::Error| CliError::io(file.display(), &error);
    let wrong = |what: String| CliError::failed(format!("{}: {what}", file.display()));
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits();
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(i32::try_from(nonblocking).unwrap_or_default())
        .open(file)
        .map_err(io)?;
    if !opened.metadata().map_err(io)?.is_file() {
        return Err(wrong("it is no regular file".to_owned()));
    }
    let mut text = String::new();
    let most = u64::try_from(MAX_TEXT).unwrap_or(u64::MAX);
    opened
        .take(most.saturating_add(1))
        .read_to_string(&mut text)
        .map_err(io)?;
    if text.len() > MAX_TEXT {
        return Err(wrong(format!("it has more than {MAX_TEXT} bytes")));
    }
    Ok(text)
}
