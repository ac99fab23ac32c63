//! `policy test|explain|fmt|apply|list`: the policies of an environment. Owns the grammar; each
//! command has its own file.

mod apply;
mod asked;
mod case_file;
mod cases;
mod described;
mod explain;
mod files;
mod fmt;
mod list;
mod test;
mod writers;

use std::path::PathBuf;

use strongroom_core::name::EnvironmentName;

use crate::change::ChangeOptions;
use crate::context::Context;
use crate::error::CliError;

const TEST_EXAMPLES: &str = "\
A directory holds policies (*.cedar) and cases (cases*.toml, *.cases.toml) beside them. A case
names who asks for what, and what must be decided by which policies:

  [principals.web]
  uid = 1000
  unit = \"web.service\"

  [[case]]
  principal = \"web\"
  action = \"readSecret\"
  resource = \"web/database/password\"
  decision = \"allow\"
  policies = [\"web reads what is below web\"]

Example:
  strongroom policy test policies/systemd";
const EXPLAIN_EXAMPLES: &str = "\
Examples:
  strongroom policy explain prod --action readSecret --path web/key --uid 1000 --unit web.service
  strongroom policy explain prod --action commit --path web/key --member bob

A workload needs a --uid. Of a member, role and compartments are asked as well.";
const APPLY_EXAMPLES: &str = "\
The file DIR/web.cedar becomes the policy entry policy/web. The cases in DIR must pass, and be about
ENV; those that name no environment are. Policies that are so already are left alone; with --prune
those that DIR does not have are deleted.

The first policy ends what is built in, for members too. To leave them what role and compartments
allow, let DIR have:

  @id(\"members within their roles\")
  permit (principal is Member, action, resource);

Examples:
  strongroom policy apply prod policies/systemd --dry-run
  strongroom policy apply prod policies/systemd --prune";

/// Test, explain, format, apply or list the policies that say who may do what
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Run the cases beside policies
    #[command(after_help = TEST_EXAMPLES)]
    Test {
        /// Directories with policies and cases
        #[arg(value_name = "DIR", required = true)]
        directories: Vec<PathBuf>,
    },
    /// Say which policy allows or denies, and why
    #[command(after_help = EXPLAIN_EXAMPLES)]
    Explain(Box<explain::Args>),
    /// Format policy files
    Fmt {
        /// The files; without any, standard input to standard output
        #[arg(value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Change nothing; fail when a file is not formatted
        #[arg(long)]
        check: bool,
    },
    /// Put the policies of a directory into an environment, in one commit
    #[command(after_help = APPLY_EXAMPLES)]
    Apply {
        /// The environment
        #[arg(value_name = "ENV")]
        environment: EnvironmentName,
        /// The directory
        #[arg(value_name = "DIR")]
        directory: PathBuf,
        /// Delete the environment's policies that the directory does not have
        #[arg(long)]
        prune: bool,
        #[command(flatten)]
        change: ChangeOptions,
    },
    /// List the policies that govern an environment
    List {
        /// The environment [default: all of them]
        #[arg(value_name = "ENV")]
        environment: Option<EnvironmentName>,
    },
}

pub(crate) fn run(command: Command, context: &Context) -> Result<(), CliError> {
    match command {
        Command::Test { directories } => test::run(&directories, context),
        Command::Explain(args) => explain::run(&args, context),
        Command::Fmt { files, check } => fmt::run(&files, check, context),
        Command::Apply {
            environment,
            directory,
            prune,
            change,
        } => apply::run(&environment, &directory, prune, &change, context),
        Command::List { environment } => list::run(environment.as_ref(), context),
    }
}
