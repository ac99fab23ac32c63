//! The settings of attestation: owns the keys of `[attestation]`. It must not ask an engine.

use std::path::PathBuf;
use std::time::Duration;

use strongroom_core::attest::engine;

use super::table::Table;

/// What is found out about clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attestation {
    /// The API socket of the container engine.
    pub engine: Option<PathBuf>,
    /// For one answer of it.
    pub engine_timeout: Duration,
    /// Nobody in a container is attested while it does not answer.
    pub engine_required: bool,
}

pub(super) fn attestation(table: &Table<'_>) -> Attestation {
    let engine = table.parse("engine", |text| {
        engine::socket(text).ok_or("an engine is given as `unix:` and an absolute path")
    });
    let engine_required = table.boolean("engine_required", false);
    if engine_required && table.raw("engine").is_none() {
        table.problem(
            "engine_required",
            "there is no engine whose answer could be required: give engine too",
        );
    }
    Attestation {
        engine,
        engine_timeout: table.duration("engine_timeout", Duration::from_secs(1)),
        engine_required,
    }
}
