//! `config get|show|set|unset|edit|import|check|doc|schema`: documents by their keys. Owns the grammar; each command
//! has its own file.

mod check;
mod doc;
mod edit;
mod get;
mod import;
mod schema;
mod set;
mod show;
mod written;

use crate::context::Context;
use crate::error::CliError;

/// Read and change config documents by their keys
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Get(get::Args),
    Show(show::Args),
    Set(set::SetArgs),
    Unset(set::UnsetArgs),
    Edit(edit::Args),
    Import(import::Args),
    Check(check::Args),
    Doc(doc::Args),
    #[command(subcommand)]
    Schema(schema::Command),
}

pub(crate) fn run(command: Command, context: &Context) -> Result<(), CliError> {
    match command {
        Command::Get(args) => get::run(&args, context),
        Command::Show(args) => show::run(&args, context),
        Command::Set(args) => set::set(&args, context),
        Command::Unset(args) => set::unset(&args, context),
        Command::Edit(args) => edit::run(args, context),
        Command::Import(args) => import::run(&args, context),
        Command::Check(args) => check::run(&args, context),
        Command::Doc(args) => doc::run(&args, context),
        Command::Schema(command) => schema::run(&command, context),
    }
}
