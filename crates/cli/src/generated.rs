//! Values that are made up: owns reading the CA's entry that a generator names. A generator never
//! shows what it made.

use strongroom_core::ambient::Ambient;
use strongroom_core::name::EnvironmentName;
use strongroom_core::rotation::generate::{GenerateError, Generated, Generator};
use strongroom_core::snapshot::Snapshot;

use crate::error::CliError;

/// A new value for an entry of `environment`.
pub(crate) fn generate(
    generator: &Generator,
    snapshot: &Snapshot,
    environment: &EnvironmentName,
) -> Result<Generated, CliError> {
    let authority = match generator.authority() {
        None => None,
        Some(path) => Some(snapshot.secret(environment, path)?),
    };
    Ok(generator.generate(&Ambient::system(), authority.as_ref())?)
}

impl From<GenerateError> for CliError {
    fn from(error: GenerateError) -> Self {
        let error = Self::failed(format!("nothing was stored: {error}"));
        error.hint("`strongroom put --help` has examples")
    }
}
