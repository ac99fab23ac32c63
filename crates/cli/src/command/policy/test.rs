//! `policy test`: runs the cases beside policies and shows those that went otherwise.

use std::path::PathBuf;

use serde::Serialize;

use super::cases::{self, Outcome};
use super::files;
use crate::context::Context;
use crate::error::CliError;
use crate::output;

#[derive(Debug, Serialize)]
struct DirectoryJson {
    directory: String,
    #[serde(flatten)]
    outcome: Outcome,
}

pub(crate) fn run(directories: &[PathBuf], context: &Context) -> Result<(), CliError> {
    let mut all = Vec::new();
    for directory in directories {
        let outcome = cases::run(&files::read(directory)?, None)?;
        if outcome.cases == 0 {
            return Err(
                CliError::failed(format!("{}: there are no cases in it", directory.display()))
                    .hint("cases are in cases.toml, cases-NAME.toml or NAME.cases.toml; --help shows one"),
            );
        }
        all.push(DirectoryJson {
            directory: directory.display().to_string(),
            outcome,
        });
    }
    let mut text = String::new();
    let (mut cases, mut failed) = (0, 0);
    for one in &all {
        cases += one.outcome.cases;
        failed += one.outcome.failures.len();
        text.extend(one.outcome.failures.iter().map(cases::Failure::text));
        for name in &one.outcome.untested {
            output::warn(&format!(
                "{}: no case is decided by policy {name:?}",
                one.directory
            ));
        }
    }
    if failed == 0 {
        text += &format!("{cases} cases passed\n");
    }
    context.output.answer(&all, &text)?;
    if failed == 0 {
        Ok(())
    } else {
        Err(CliError::failed(format!(
            "{failed} of {cases} cases were decided otherwise"
        )))
    }
}
