//! `sidecar whoami`: asks a sidecar what it sees of this program.

use std::path::PathBuf;

use strongroom_core::api::client::Client;

use crate::context::Context;
use crate::error::CliError;
use crate::workload::{self, Source};

const WHOAMI_EXAMPLES: &str = "\
What the kernel says of the caller and what a container engine says are told apart. Run it where
the service runs, as its user: in its container, or under its unit.

Examples:
  strongroom sidecar whoami --socket /run/strongroom/web/sidecar.sock
  curl --unix-socket /run/strongroom/web/sidecar.sock http://localhost/api/v1/whoami";

/// Ask a running sidecar
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Show what the sidecar sees of whoever runs this
    #[command(after_help = WHOAMI_EXAMPLES)]
    Whoami {
        /// The sidecar's socket
        #[arg(long, value_name = "FILE")]
        socket: PathBuf,
    },
}

pub(crate) fn run(command: Command, context: &Context) -> Result<(), CliError> {
    let Command::Whoami { socket } = command;
    let client = Client::new(socket);
    let seen = super::workload::runtime()?.block_on(client.whoami())?;
    let from = |source| match source {
        Source::Engine => "engine".to_owned(),
        Source::Owner | Source::Status | Source::Program | Source::Groups => "kernel".to_owned(),
    };
    let text = workload::table(&workload::rows(&seen), from);
    context.output.answer(&seen, &text)
}
