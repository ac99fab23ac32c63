//! Where the locks of rotations lie: owns their directory, beside what is trusted, one file a secret.

use std::path::PathBuf;
use std::time::Duration;

use strongroom_core::ambient::Ambient;
use strongroom_core::id::Hash;
use strongroom_core::rotator::Lock;
use strongroom_core::snapshot::{Entry, Snapshot};

use crate::context::Context;
use crate::error::CliError;

/// Takes the lock of a secret on this host.
pub(super) fn take(
    context: &Context,
    snapshot: &Snapshot,
    entry: &Entry,
    patience: Duration,
) -> Result<Lock, CliError> {
    let setting = context.settings.trust_dir.as_ref().ok_or_else(|| {
        CliError::usage("there is no directory for the lock of the rotation")
            .hint("set HOME, or name one with --trust-dir")
    })?;
    let name = Hash::of_parts(&[&snapshot.fingerprint().0, &entry.id.0]);
    let path: PathBuf = setting.value.join("rotate").join(format!("{name}.lock"));
    Lock::take(&path, patience, &Ambient::system()).map_err(|error| {
        CliError::failed(error.to_string())
            .hint("nothing was committed; `strongroom rotate ENV PATH --resume` goes on later")
    })
}
