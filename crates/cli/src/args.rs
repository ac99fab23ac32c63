//! The grammar of the command line: owns the options every command has and the list of commands.
//! Each command's own arguments live beside it in `command/`.

use clap::{Parser, Subcommand, ValueEnum};

use crate::command;
use crate::settings::SettingOptions;

const EXAMPLES: &str = "\
Begin:
  strongroom init sqlite:./store.db --admin alice --identity ./alice.identity
  export STRONGROOM_STORE=sqlite:./store.db STRONGROOM_IDENTITY=./alice.identity
  strongroom environment add prod
  printf s3cret | strongroom put prod web/database/password
  strongroom get prod web/database/password
  strongroom run prod --prefix web -- ./server

Exit codes: 0 ok, 1 failed, 2 usage, 3 denied, 4 integrity, 5 unreachable,
6 a rotation stands halfway.";

/// Keeps secrets, config and feature flags sealed, and puts them into containers, live
#[derive(Debug, Parser)]
#[command(name = "strongroom", version, propagate_version = false, after_help = EXAMPLES, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Answer with one JSON document on stdout, and errors as JSON on stderr
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// When to use colours
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        hide_possible_values = false
    )]
    pub(crate) color: Color,
    #[command(flatten)]
    pub(crate) settings: SettingOptions,
}

/// When colours are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    #[default]
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Init(command::init::Args),
    #[command(subcommand)]
    Identity(command::identity::Command),
    #[command(subcommand)]
    Member(command::member::Command),
    #[command(subcommand)]
    Compartment(command::compartment::Command),
    #[command(subcommand)]
    Environment(command::environment::Command),
    #[command(subcommand)]
    Policy(command::policy::Command),
    Put(command::put::Args),
    Get(command::get::Args),
    List(command::list::Args),
    Show(command::show::Args),
    Edit(command::edit::Args),
    History(command::history::Args),
    Diff(command::diff::Args),
    Plan(command::plan::Args),
    Promote(command::promote::Args),
    Rollback(command::rollback::Args),
    Delete(command::delete::Args),
    #[command(subcommand)]
    Config(command::config::Command),
    #[command(subcommand)]
    Template(command::template::Command),
    #[command(subcommand)]
    Flag(Box<command::flag::Command>),
    #[command(subcommand)]
    Label(command::label::Command),
    Rotate(Box<command::rotate::Args>),
    Import(command::import::Args),
    Export(command::export::Args),
    Run(command::run::Args),
    Render(command::render::Args),
    Watch(command::watch::Args),
    Uptake(command::uptake::Args),
    Verify(command::verify::Args),
    #[command(subcommand)]
    Audit(command::audit::Command),
    Status(command::status::Args),
    #[command(subcommand)]
    Sidecar(command::sidecar::Command),
    #[command(subcommand)]
    Workload(command::workload::Command),
    Doctor(command::doctor::Args),
    Completions(command::completions::Args),
    Man(command::man::Args),
}

/// True when `--json` stands among the raw arguments, for errors of the grammar itself.
pub(crate) fn asks_for_json() -> bool {
    std::env::args_os()
        .skip(1)
        .take_while(|argument| argument != "--")
        .any(|argument| argument == "--json")
}
