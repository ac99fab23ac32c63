//! The command line: owns its words.

use std::path::PathBuf;

use clap::Parser;

/// Opens what its identity may and injects it into containers, live.
#[derive(Debug, Parser)]
#[command(name = "strongroom-sidecar", version)]
pub struct Args {
    /// The settings file
    #[arg(long, value_name = "FILE", required_unless_present = "example_settings")]
    pub settings: Option<PathBuf>,
    /// Check the settings file and end
    #[arg(long, requires = "settings")]
    pub check: bool,
    /// Print a settings file that documents every key, and end
    #[arg(long, conflicts_with = "settings")]
    pub example_settings: bool,
}
