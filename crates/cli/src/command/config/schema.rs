//! `config schema infer`: a schema to begin with, from documents that are right.

use strongroom_core::config;
use strongroom_core::name::EnvironmentName;

use crate::context::{Context, Target};
use crate::error::CliError;
use crate::{open, output};

const EXAMPLES: &str = "\
The schema has the keys and types of the document, requires all of them, and allows no others. With
--also, what other environments have is taken in too. Loosen it where it is too strict, then put it:

  strongroom config schema infer prod web --also dev > web.schema.json
  strongroom put prod schema/web --kind schema --file web.schema.json";

/// Begin with the schema of a config document
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Print a schema that the document fits, without its values
    #[command(after_help = EXAMPLES)]
    Infer {
        #[command(flatten)]
        target: Target,
        /// Another environment whose document has to fit too; may be repeated
        #[arg(long, value_name = "ENV")]
        also: Vec<EnvironmentName>,
    },
}

pub(crate) fn run(command: &Command, context: &Context) -> Result<(), CliError> {
    let Command::Infer { target, also } = command;
    let (environment, path) = target.resolve(context)?;
    let opened = open::reader(&context.settings)?;
    let snapshot = opened.vault.snapshot();
    let mut documents: Vec<serde_json::Value> = Vec::new();
    for environment in [&environment].into_iter().chain(also) {
        super::get::recorded(&opened, &snapshot, environment, &path, "config schema infer")?;
        documents.push(snapshot.config(environment, &path)?);
    }
    let schema = config::infer(&documents.iter().collect::<Vec<_>>());
    output::raw(format!("{schema:#}\n").as_bytes())
}
