//! `environment add|list`: the environments and from where they inherit.

use serde::Serialize;
use strongroom_core::name::{CompartmentName, EnvironmentName};
use strongroom_core::snapshot::Environment;
use strongroom_core::vault::Edit;

use crate::change::{self, ChangeOptions};
use crate::context::Context;
use crate::error::CliError;
use crate::open;
use crate::output::Table;

const ADD_EXAMPLES: &str = "\
An environment inherits config and flags from its parent, never secrets.

Examples:
  strongroom environment add prod
  strongroom environment add staging --parent prod";

/// Add or list environments
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Add an environment with a compartment of its name
    #[command(after_help = ADD_EXAMPLES)]
    Add {
        /// The name of the environment: lower-case letters, digits, `-` and `_`
        name: EnvironmentName,
        /// The environment it inherits config and flags from
        #[arg(long, value_name = "ENV")]
        parent: Option<EnvironmentName>,
        /// Use this compartment instead of a new one
        #[arg(long, value_name = "NAME")]
        compartment: Option<CompartmentName>,
        #[command(flatten)]
        change: ChangeOptions,
    },
    /// List the environments
    List,
}

#[derive(Debug, Serialize)]
struct EnvironmentJson {
    name: String,
    parent: Option<String>,
    compartment: String,
}

impl From<&Environment> for EnvironmentJson {
    fn from(environment: &Environment) -> Self {
        let Environment {
            name,
            parent,
            compartment,
        } = environment;
        Self {
            name: name.to_string(),
            parent: parent.as_ref().map(ToString::to_string),
            compartment: compartment.to_string(),
        }
    }
}

pub(crate) fn run(command: Command, context: &Context) -> Result<(), CliError> {
    let (edit, options) = match command {
        Command::List => return list(context),
        Command::Add {
            name,
            parent,
            compartment,
            change,
        } => (
            Edit::AddEnvironment {
                name,
                parent,
                compartment,
            },
            change,
        ),
    };
    let opened = open::writer(&context.settings)?;
    let change = options.change(vec![edit]);
    change::carry_out(context, &opened, &change, &options)
}

fn list(context: &Context) -> Result<(), CliError> {
    let snapshot = open::reader(&context.settings)?.vault.snapshot();
    let environments: Vec<EnvironmentJson> = snapshot.environments().iter().map(Into::into).collect();
    let mut table = Table::new(&["ENVIRONMENT", "PARENT", "COMPARTMENT"]);
    for environment in &environments {
        let parent = environment.parent.clone().unwrap_or_else(|| "-".into());
        table.row(vec![
            environment.name.clone(),
            parent,
            environment.compartment.clone(),
        ]);
    }
    let json = serde_json::json!({"revision": snapshot.revision().0, "environments": environments});
    context.output.answer(&json, &table.render())
}
