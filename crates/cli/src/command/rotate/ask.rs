//! What is asked before a rotation runs: owns the questions. Without a terminal nothing is asked.

use strongroom_core::Vault;
use strongroom_core::rotator::Named;
use strongroom_core::vault::Rotation;

use super::Options;
use crate::error::CliError;
use crate::{output, prompt};

/// Shows `text` and asks, where a person is there.
pub(super) fn confirm(options: &Options, text: &str, question: &str) -> Result<(), CliError> {
    if !prompt::is_attended(options.yes)? {
        return Ok(());
    }
    output::note(text);
    if prompt::confirm(question)? {
        Ok(())
    } else {
        Err(CliError::failed("nothing was changed"))
    }
}

/// A rotation of somebody else that goes by another plan than the one in force is gone on with only by
/// who says so of this one: its runner chose which of the plans there were.
pub(super) fn same_plan(
    vault: &Vault,
    rotation: &Rotation,
    named: &Named,
    options: &Options,
) -> Result<(), CliError> {
    let now = Named::of(&vault.snapshot(), &rotation.environment, &rotation.path);
    let same = now.is_ok_and(|now| now.text == named.text && now.path == named.path);
    if same || rotation.is_own || (options.yes && !options.due) {
        return Ok(());
    }
    let text = format!(
        "It goes by the plan {} of revision {}:\n\n{}\n",
        named.path, named.revision, named.text
    );
    if prompt::is_attended(false)? {
        return confirm(
            options,
            &text,
            "Go on with that plan, which is not the one in force?",
        );
    }
    Err(CliError::failed(format!(
        "the rotation by {} goes by {} of revision {}, which is not the plan in force",
        rotation.runner, named.path, named.revision
    ))
    .hint("read that plan (`strongroom get ENV PLAN --at REVISION`), then `strongroom rotate ENV PATH --resume --yes`"))
}
