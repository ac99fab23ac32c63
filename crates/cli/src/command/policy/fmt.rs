//! `policy fmt`: formats policy files as Cedar's own formatter does.

use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, fchown};
use std::path::{Path, PathBuf};

use cedar_policy_formatter::{Config, policies_str_to_pretty};
use serde::Serialize;
use strongroom_core::policy::{self, MAX_TEXT};
use tempfile::NamedTempFile;

use super::files;
use crate::context::Context;
use crate::error::{CliError, Exit};

const STYLE: Config = Config {
    line_width: 100,
    indent_width: 2,
};

#[derive(Debug, Serialize)]
struct FormattedJson {
    file: String,
    changed: bool,
}

pub(crate) fn run(files: &[PathBuf], check: bool, context: &Context) -> Result<(), CliError> {
    if files.is_empty() {
        return filter(check, context);
    }
    let mut all = Vec::new();
    let mut replaced = Vec::new();
    // all of them before any is written: one that is wrong leaves the others as they were
    for file in files {
        let text = files::text(file)?;
        let pretty = pretty(&text, &file.display().to_string())?;
        let changed = pretty != text;
        if changed && !check {
            replaced.push((file, pretty));
        }
        all.push(FormattedJson {
            file: file.display().to_string(),
            changed,
        });
    }
    for (file, pretty) in replaced {
        replace(file, &pretty)?;
    }
    let changed: Vec<_> = all.iter().filter(|one| one.changed).collect();
    let said = if check { "is not formatted" } else { "formatted" };
    let text: String = changed
        .iter()
        .map(|one| format!("{}: {said}\n", one.file))
        .collect();
    context.output.answer(&all, &text)?;
    if check && !changed.is_empty() {
        return Err(
            CliError::failed(format!("{} files are not formatted", changed.len()))
                .hint("run `strongroom policy fmt` on them"),
        );
    }
    Ok(())
}

/// Standard input to standard output; to be checked, nothing is written.
fn filter(check: bool, context: &Context) -> Result<(), CliError> {
    if context.output.json {
        return Err(
            CliError::usage("--json is for files: what is formatted is no JSON").hint("name the files"),
        );
    }
    let mut text = String::new();
    let most = MAX_TEXT as u64 + 1;
    std::io::stdin()
        .lock()
        .take(most)
        .read_to_string(&mut text)
        .map_err(|error| CliError::io("standard input", &error))?;
    let pretty = pretty(&text, "standard input")?;
    if !check {
        return context.output.text(&pretty);
    }
    if pretty == text {
        return Ok(());
    }
    Err(CliError::failed("standard input is not formatted"))
}

fn pretty(text: &str, name: &str) -> Result<String, CliError> {
    policy::check(text).map_err(|fault| CliError::failed(format!("{name}: {fault}")))?;
    policies_str_to_pretty(text, &STYLE).map_err(|error| CliError::failed(format!("{name}: {error}")))
}

/// No file is ever half a policy, and each stays what it was otherwise: a link leads where it led, mode and
/// owner are the same.
fn replace(file: &Path, text: &str) -> Result<(), CliError> {
    let failed = |error: &std::io::Error| CliError::io(file.display(), error);
    let target = std::fs::canonicalize(file).map_err(|error| failed(&error))?;
    let old = std::fs::metadata(&target).map_err(|error| failed(&error))?;
    let directory = target.parent().unwrap_or(Path::new("."));
    let written = || -> std::io::Result<NamedTempFile> {
        let mut beside = NamedTempFile::new_in(directory)?;
        beside.write_all(text.as_bytes())?;
        let new = beside.as_file().metadata()?;
        if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
            fchown(beside.as_file(), Some(old.uid()), Some(old.gid()))?;
        }
        // after the owner, which takes bits of the mode along
        beside.as_file().set_permissions(old.permissions())?;
        beside.as_file().sync_all()?;
        Ok(beside)
    };
    let beside = written().map_err(|error| match error.kind() {
        ErrorKind::PermissionDenied => CliError::new(
            Exit::Denied,
            format!(
                "{}: it could not be replaced by a file of the same owner and mode",
                file.display()
            ),
        )
        .hint("run this as the owner of the file, with write permission in its directory"),
        _ => failed(&error),
    })?;
    beside.persist(&target).map_err(|error| failed(&error.error))?;
    Ok(())
}
