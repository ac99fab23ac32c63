//! `render`: writes an environment's values into a directory of files, once.

use std::path::PathBuf;

use serde::Serialize;
use strongroom_cli::run::words;
use strongroom_core::inject::files::{Applied, Directory, FilesSettings};

use crate::context::Context;
use crate::error::CliError;
use crate::material::{Form, Scope};
use crate::output;

const EXAMPLES: &str = "\
All files of a revision switch at once; a rendering that changes nothing switches nothing. The
directory belongs on tmpfs and is what containers mount. The sidecar keeps one up to date.

Example:
  strongroom render prod --prefix web --to /run/web/files";

/// Write values into a directory of files, all of one revision
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    scope: Scope,
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
    let (environment, material) = args.scope.open(context, "render", Form::Delivered)?;
    let settings = FilesSettings {
        prefix: args.scope.prefix.clone(),
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
