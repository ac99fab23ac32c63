//! `identity new|show`: makes identity files and prints their public halves.

use std::path::{Path, PathBuf};

use serde::Serialize;
use strongroom_core::ambient::Ambient;
use strongroom_core::crypto::identity::{Identity, IdentityError};

use crate::context::Context;
use crate::error::CliError;
use crate::{open, output, prompt};

const NEW_EXAMPLES: &str = "\
Examples:
  strongroom identity new                                # yours, sealed by a passphrase
  strongroom identity new ./web.identity --no-passphrase # a machine's";
const SHOW_EXAMPLES: &str = "\
Examples:
  strongroom identity show ./web.identity
  strongroom member add web --role reader --compartment prod \\
      --public \"$(strongroom identity show ./web.identity)\"";

/// Make an identity, or show its public half
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Make an identity file (two private keys, mode 0600) and print its public half
    #[command(after_help = NEW_EXAMPLES)]
    New {
        /// The file to write [default: the `identity` setting]
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
        #[command(flatten)]
        new: NewOptions,
    },
    /// Print the public half of an identity, for `member add --public`
    #[command(after_help = SHOW_EXAMPLES)]
    Show {
        /// The identity file [default: the `identity` setting]
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
}

/// How a new identity file is protected.
#[derive(Debug, clap::Args)]
pub(crate) struct NewOptions {
    /// Leave the identity file without a passphrase, for machines
    #[arg(long)]
    no_passphrase: bool,
}

#[derive(Debug, Serialize)]
struct Shown {
    path: String,
    public: String,
}

pub(crate) fn run(command: &Command, context: &Context) -> Result<(), CliError> {
    match command {
        Command::New { file, new } => {
            let path = chosen(file.as_ref(), context)?;
            let shown = Shown {
                path: path.display().to_string(),
                public: make(path, new, context)?.public().to_string(),
            };
            output::note(&format!(
                "made {}: keep a copy, it cannot be made again\n",
                shown.path
            ));
            context.output.answer(&shown, &format!("{}\n", shown.public))
        }
        Command::Show { file } => {
            let path = chosen(file.as_ref(), context)?;
            let identity = open::identity(path, &context.settings)?;
            let shown = Shown {
                path: path.display().to_string(),
                public: identity.public().to_string(),
            };
            context.output.answer(&shown, &format!("{}\n", shown.public))
        }
    }
}

fn chosen<'a>(file: Option<&'a PathBuf>, context: &'a Context) -> Result<&'a Path, CliError> {
    file.map_or_else(|| context.settings.identity(), |file| Ok(file))
}

/// Makes an identity and writes its file; asks for a passphrase unless none is wanted.
pub(crate) fn make(path: &Path, options: &NewOptions, context: &Context) -> Result<Identity, CliError> {
    if path.exists() {
        return Err(CliError::failed(format!(
            "{} exists: an identity is never overwritten",
            path.display()
        ))
        .hint("choose another file"));
    }
    let passphrase = match (&context.settings.passphrase_file, options.no_passphrase) {
        (_, true) => None,
        (Some(setting), false) => Some(prompt::passphrase_file(&setting.value)?),
        (None, false) => Some(prompt::new_passphrase()?),
    };
    let identity = Identity::generate(&Ambient::system()).map_err(IdentityError::from)?;
    if let Some(dir) = path
        .parent()
        .filter(|dir| !dir.as_os_str().is_empty() && !dir.exists())
    {
        use std::os::unix::fs::DirBuilderExt;
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(|error| CliError::io(dir.display(), &error))?;
    }
    identity.write_file(path, passphrase.as_ref())?;
    Ok(identity)
}
