//! The commands, one file each: owns which one runs and with what.

pub(crate) mod audit;
pub(crate) mod compartment;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod delete;
pub(crate) mod diff;
pub(crate) mod doctor;
pub(crate) mod edit;
pub(crate) mod environment;
pub(crate) mod export;
pub(crate) mod flag;
pub(crate) mod get;
pub(crate) mod history;
pub(crate) mod identity;
pub(crate) mod import;
pub(crate) mod init;
pub(crate) mod label;
pub(crate) mod list;
pub(crate) mod man;
pub(crate) mod member;
pub(crate) mod plan;
pub(crate) mod policy;
pub(crate) mod promote;
pub(crate) mod put;
pub(crate) mod render;
pub(crate) mod rollback;
pub(crate) mod rotate;
pub(crate) mod run;
pub(crate) mod show;
pub(crate) mod sidecar;
pub(crate) mod status;
pub(crate) mod template;
pub(crate) mod uptake;
pub(crate) mod verify;
pub(crate) mod watch;
pub(crate) mod workload;

use crate::args::{self, Cli, Color, Command};
use crate::context::Context;
use crate::error::CliError;
use crate::output::Output;
use crate::settings::Settings;
use crate::usage;
use plan::NotPlanned;

/// Runs the command that was asked for; the exit code of a command that did what it should.
pub(crate) fn run(cli: Cli) -> Result<u8, CliError> {
    if let Command::Plan(args) = cli.command {
        return match plan::planned(args, cli.json, cli.color, &cli.settings) {
            // a plan of a plan is the plan
            Ok(planned) => run(planned),
            Err(NotPlanned::Grammar(error)) => Ok(usage::show(*error, args::asks_for_json())),
            Err(NotPlanned::Unplanned(error)) => Err(error),
        };
    }
    match cli.color {
        Color::Auto => {}
        Color::Always => anstream::ColorChoice::Always.write_global(),
        Color::Never => anstream::ColorChoice::Never.write_global(),
    }
    // These two work anywhere, whatever the settings are.
    match cli.command {
        Command::Completions(args) => return completions::run(&args).map(|()| 0),
        Command::Man(args) => return man::run(&args).map(|()| 0),
        _ => {}
    }
    let current_dir =
        std::env::current_dir().map_err(|error| CliError::io("the current directory", &error))?;
    let context = Context {
        settings: Settings::resolve(&cli.settings, &|name| std::env::var_os(name), &current_dir)?,
        output: Output { json: cli.json },
    };
    let done = match cli.command {
        Command::Run(args) => return run::run(args, &context),
        Command::Rotate(args) => return rotate::run(&args, &context),
        Command::Member(command) => return member::run(command, &context),
        Command::Status(args) => return status::run(&args, &context),
        Command::Doctor(args) => return doctor::run(&args, &context),
        Command::Completions(_) | Command::Man(_) | Command::Plan(_) => Ok(()),
        Command::Init(args) => init::run(args, &context),
        Command::Identity(command) => identity::run(&command, &context),
        Command::Compartment(command) => compartment::run(command, &context),
        Command::Environment(command) => environment::run(command, &context),
        Command::Policy(command) => policy::run(command, &context),
        Command::Sidecar(command) => sidecar::run(command, &context),
        Command::Workload(command) => workload::run(command, &context),
        Command::Config(command) => config::run(command, &context),
        Command::Template(command) => template::run(command, &context),
        Command::Flag(command) => flag::run(*command, &context),
        Command::Put(args) => put::run(args, &context),
        Command::Get(args) => get::run(&args, &context),
        Command::List(args) => list::run(&args, &context),
        Command::Show(args) => show::run(&args, &context),
        Command::Edit(args) => edit::run(&args, &context),
        Command::History(args) => history::run(&args, &context),
        Command::Diff(args) => diff::run(&args, &context),
        Command::Promote(args) => promote::run(&args, &context),
        Command::Rollback(args) => rollback::run(&args, &context),
        Command::Delete(args) => delete::run(&args, &context),
        Command::Label(command) => label::run(command, &context),
        Command::Import(args) => import::run(&args, &context),
        Command::Export(args) => export::run(&args, &context),
        Command::Render(args) => render::run(&args, &context),
        Command::Watch(args) => watch::run(&args, &context),
        Command::Uptake(args) => uptake::run(&args, &context),
        Command::Verify(args) => verify::run(&args, &context),
        Command::Audit(command) => audit::run(&command, &context),
    };
    done.map(|()| 0)
}
