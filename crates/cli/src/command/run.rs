//! `run`: starts and supervises a command with an environment's values, straight from the store.

use std::ffi::OsString;

use strongroom_core::name::{EntryPath, EnvironmentName};

use crate::context::Context;
use crate::error::CliError;

/// Run a command with an environment's values
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The environment [default: the `environment` setting]
    #[arg(value_name = "ENV")]
    environment: Option<EnvironmentName>,
    /// Only entries at or below this path, which is left out of the names
    #[arg(long, short = 'p', value_name = "PATH")]
    prefix: Option<EntryPath>,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
}

pub(crate) fn run(args: Args, context: &Context) -> Result<u8, CliError> {
    let _ = (args.environment, args.prefix, args.command, context);
    Err(CliError::failed("not there yet"))
}
