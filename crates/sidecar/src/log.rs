//! The log: owns its format and changing its level while it runs. It goes to standard error.

use std::io::IsTerminal as _;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Registry, fmt, reload};

use crate::settings::Log;

/// Changes the level of the running log.
#[derive(Clone, Debug)]
pub struct Level(reload::Handle<LevelFilter, Registry>);

impl Level {
    /// Logs at `log`'s level from now on.
    pub fn set(&self, log: Log) {
        if self.0.reload(LevelFilter::from_level(log.level)).is_err() {
            tracing::warn!("the log's level could not be changed");
        }
    }
}

/// Starts the log of this process.
#[must_use]
pub fn start(log: Log) -> Level {
    let (level, handle) = reload::Layer::new(LevelFilter::from_level(log.level));
    let registry = tracing_subscriber::registry().with(level);
    let lines = fmt::layer().with_writer(std::io::stderr).with_target(false);
    // a second log in one process (tests) keeps the first
    let _ = if log.json {
        registry.with(lines.json().flatten_event(true)).try_init()
    } else {
        registry
            .with(lines.with_ansi(std::io::stderr().is_terminal()))
            .try_init()
    };
    Level(handle)
}
