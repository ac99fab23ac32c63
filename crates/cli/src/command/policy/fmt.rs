//! `policy fmt`: formats policy files as Cedar's own formatter does.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use cedar_policy_formatter::{Config, policies_str_to_pretty};
use serde::Serialize;
use strongroom_core::policy::{self, MAX_TEXT};

use super::files;
use crate::context::Context;
use crate::error::CliError;

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

fn replace(file: &Path, text: &str) -> Result<(), CliError> {
    // beside it and then in its place, so that no file is ever half a policy
    let beside = file.with_extension("cedar.new");
    let written = std::fs::metadata(file)
        .map(|old| old.permissions())
        .and_then(|mode| {
            std::fs::write(&beside, text)?;
            std::fs::set_permissions(&beside, mode)?;
            std::fs::rename(&beside, file)
        });
    written.map_err(|error| {
        let _ = std::fs::remove_file(&beside);
        CliError::io(file.display(), &error)
    })
}
