//! What every command is given: the settings and the form of the output.

use strongroom_core::name::{EntryPath, EnvironmentName};

use crate::error::CliError;
use crate::output::Output;
use crate::settings::Settings;

/// The surroundings of one command.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) settings: Settings,
    pub(crate) output: Output,
}

impl Context {
    /// The environment that was given, else the one of the settings.
    pub(crate) fn environment(&self, given: Option<&EnvironmentName>) -> Result<EnvironmentName, CliError> {
        given
            .or(self.settings.environment.as_ref().map(|setting| &setting.value))
            .cloned()
            .ok_or_else(|| {
                CliError::usage("no environment is named")
                    .hint("give ENV, set STRONGROOM_ENVIRONMENT, or write `environment` into strongroom.toml")
            })
    }
}

/// The entry a command is about: `ENV PATH`, or `PATH` alone where the settings name the environment.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Target {
    /// The environment; left out, the `environment` setting names it
    #[arg(value_name = "ENV")]
    first: String,
    /// The path of the entry
    #[arg(value_name = "PATH")]
    second: Option<String>,
}

impl Target {
    /// The names, checked.
    pub(crate) fn resolve(&self, context: &Context) -> Result<(EnvironmentName, EntryPath), CliError> {
        resolve(&self.first, self.second.as_deref(), context)
    }
}

/// A [`Target`] that may be left out.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct OptionalTarget {
    /// The environment of an entry; left out before PATH, the `environment` setting names it
    #[arg(value_name = "ENV")]
    first: Option<String>,
    /// The path of the entry
    #[arg(value_name = "PATH")]
    second: Option<String>,
}

impl OptionalTarget {
    /// The environment, where nothing but that may be named.
    pub(crate) fn environment_alone(&self) -> Result<Option<EnvironmentName>, CliError> {
        if self.second.is_some() {
            return Err(CliError::usage(
                "this is about all of an environment: leave PATH out",
            ));
        }
        Ok(self.first.as_deref().map(EnvironmentName::new).transpose()?)
    }

    /// The names, checked; `None` when no entry is named.
    pub(crate) fn resolve(
        &self,
        context: &Context,
    ) -> Result<Option<(EnvironmentName, EntryPath)>, CliError> {
        self.first
            .as_ref()
            .map(|first| resolve(first, self.second.as_deref(), context))
            .transpose()
    }
}

fn resolve(
    first: &str,
    second: Option<&str>,
    context: &Context,
) -> Result<(EnvironmentName, EntryPath), CliError> {
    match second {
        Some(path) => Ok((EnvironmentName::new(first)?, EntryPath::new(path)?)),
        None if context.settings.environment.is_some() => {
            Ok((context.environment(None)?, EntryPath::new(first)?))
        }
        None => Err(CliError::usage("an entry is given as ENV PATH").hint(
            "PATH alone is enough when STRONGROOM_ENVIRONMENT or strongroom.toml names the environment",
        )),
    }
}
