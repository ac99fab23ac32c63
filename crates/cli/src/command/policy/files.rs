//! Policies and cases on disk: owns which files of a directory they are, and which entries the
//! policies become.

use std::path::{Path, PathBuf};

use strongroom_core::name::EntryPath;
use strongroom_core::policy::{self, MAX_TEXT};

use crate::error::CliError;

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
        match file.extension().and_then(|ending| ending.to_str()) {
            Some("toml") => found.cases.push(file),
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

/// The text of a file.
pub(crate) fn text(file: &Path) -> Result<String, CliError> {
    let io = |error: std::io::Error| CliError::io(file.display(), &error);
    let size = std::fs::metadata(file).map_err(io)?.len();
    if size > MAX_TEXT as u64 {
        return Err(CliError::failed(format!(
            "{}: it has more than {MAX_TEXT} bytes",
            file.display()
        )));
    }
    std::fs::read_to_string(file).map_err(io)
}
