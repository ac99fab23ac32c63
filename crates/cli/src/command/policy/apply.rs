//! `policy apply`: puts the policies of a directory into an environment, in one commit.

use std::path::Path;

use strongroom_core::config::Format;
use strongroom_core::kind::Kind;
use strongroom_core::name::EnvironmentName;
use strongroom_core::secret::Secret;
use strongroom_core::vault::{Edit, Expect, Put};

use super::{cases, files, writers};
use crate::change::{self, ChangeOptions};
use crate::context::Context;
use crate::error::CliError;
use crate::{open, output};

pub(crate) fn run(
    environment: &EnvironmentName,
    directory: &Path,
    prune: bool,
    options: &ChangeOptions,
    context: &Context,
) -> Result<(), CliError> {
    let found = files::read(directory)?;
    let outcome = cases::run(&found, Some(environment))?;
    if outcome.cases == 0 {
        output::warn(&format!(
            "{}: there are no cases in it: nothing says what these policies are meant to decide",
            directory.display()
        ));
    } else if outcome.about == 0 {
        return Err(
            CliError::failed(format!("no case is about {environment:?}: nothing was changed"))
                .hint("leave `environment` out of the cases, or name this one there"),
        );
    }
    let failed = outcome.failures.len();
    if failed > 0 {
        return Err(CliError::failed(format!(
            "{failed} cases are decided otherwise: nothing was changed"
        ))
        .hint(format!(
            "`strongroom policy test {}` shows them",
            directory.display()
        )));
    }
    let opened = open::writer(&context.settings)?;
    let mut edits = Vec::new();
    if prune {
        for entry in opened.vault.snapshot().entries(environment, None)? {
            let stays = found.policies.iter().any(|file| file.path == entry.path);
            if entry.kind == Kind::Policy && !stays {
                edits.push(Edit::Delete {
                    environment: environment.clone(),
                    path: entry.path.clone(),
                    expect: Expect::Version(entry.version),
                });
            }
        }
    }
    writers::warn(&opened.vault.snapshot(), environment, &found, prune)?;
    edits.extend(found.policies.into_iter().map(|file| {
        Edit::Put(Put {
            environment: environment.clone(),
            path: file.path,
            kind: Kind::Policy,
            value: Secret::new(file.text.into_bytes()),
            format: Format::Text,
            labels: None,
            compartment: None,
            expect: Expect::Any,
        })
    }));
    change::carry_out(context, &opened, &options.change(edits), options)
}
