//! `man`: prints the manual page, or writes one page for every command.

use std::path::PathBuf;

use clap::CommandFactory;

use crate::args::Cli;
use crate::error::CliError;
use crate::output;

const EXAMPLES: &str = "\
Examples:
  strongroom man | man -l -
  strongroom man --to ~/.local/share/man/man1";

/// Print the manual page
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Write a page for every command into this directory instead
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<(), CliError> {
    match &args.to {
        Some(dir) => std::fs::create_dir_all(dir)
            .and_then(|()| clap_mangen::generate_to(Cli::command(), dir))
            .map_err(|error| CliError::io(dir.display(), &error)),
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Cli::command())
                .render(&mut page)
                .map_err(|error| CliError::io("the manual page", &error))?;
            output::raw(&page)
        }
    }
}
