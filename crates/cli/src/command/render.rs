//! `render`: writes an environment's values into a directory of files, once.

use std::path::PathBuf;

use serde::Serialize;
use strongroom_cli::run::words;
use strongroom_core::inject::files::{Applied, Directory, FilesSettings};
use strongroom_core::name::{EntryPath, EnvironmentName};

use crate::context::Context;
use crate::error::CliError;
use crate::{material, open, output};

const EXAMPLES: &str = "\
All files of a revision switch at once; a rendering that changes nothing switches nothing. The
directory belongs on tmpfs and is what containers mount. The sidecar keeps one up to date.

Example:
  strongroom render prod --prefix web --to /run/web/files";

/// Write values into a directory of files, all of one revision
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The environment [default: the `environment` setting]
    #[arg(value_name = "ENV")]
    environment: Option<EnvironmentName>,
    /// Only entries at or below this path, which is left out of the names
    #[arg(long, short = 'p', value_name = "PATH")]
    prefix: Option<EntryPath>,
    /// The directory to write into
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// The permission bits of the files, octal
    #[arg(long, value_name = "MODE", default_value = "0400", value_parser = words::mode)]
    mode: u32,
}

#[derive(Debug, Serialize)]
struct Rendered {
    directory: String,
    environment: String,
    revision: u64,
    files: usize,
    switched: bool,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let environment = context.environment(args.environment.as_ref())?;
    let opened = open::reader(&context.settings)?;
    let wanted = material::under(args.prefix.as_ref());
    let material = material::open(&opened.vault.snapshot(), &environment, &wanted)?;
    let settings = FilesSettings {
        prefix: args.prefix.clone(),
        mode: args.mode,
        ..FilesSettings::new(&args.to)
    };
    let mut directory = Directory::open(settings)?;
    let Applied {
        revision,
        switched,
        files,
        notes,
    } = directory.apply(&material)?;
    for note in directory.notes().iter().chain(&notes) {
        output::warn(&note.to_string());
    }
    let rendered = Rendered {
        directory: args.to.display().to_string(),
        environment: environment.to_string(),
        revision,
        files,
        switched,
    };
    let text = format!(
        "{files} files of revision {revision} in {}{}\n",
        rendered.directory,
        if switched { "" } else { ", as they were already" },
    );
    context.output.answer(&rendered, &text)
}
