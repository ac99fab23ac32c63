//! `render`: writes an environment's values into a directory of files, once; or one template or document to
//! standard output.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use strongroom_cli::run::words;
use strongroom_core::config::{self, Delivered};
use strongroom_core::inject::files::{Applied, Directory, FilesSettings};
use strongroom_core::name::EntryPath;
use strongroom_core::secret::Secret;
use strongroom_core::template::{MAX_TEXT, Source as _, Template};
use zeroize::Zeroizing;

use crate::context::Context;
use crate::error::CliError;
use crate::material::{Form, Scope};
use crate::open;
use crate::output;
use crate::source::Values;

const EXAMPLES: &str = "\
All files of a revision switch at once; a rendering that changes nothing switches nothing. The
directory belongs on tmpfs and is what containers mount. The sidecar keeps one up to date.

A template (an entry under template/, or a file) and a document in another format are printed as the
sidecar would deliver them.

Examples:
  strongroom render prod --prefix web --to /run/web/files
  strongroom render prod --template template/nginx.conf
  strongroom render prod --template-file ./nginx.conf.j2
  strongroom render prod --config web --format yaml";

/// Write values into a directory of files, all of one revision; or print a rendered template
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    scope: Scope,
    /// The directory to write into
    #[arg(long, value_name = "DIR", required_unless_present = "made")]
    to: Option<PathBuf>,
    #[command(flatten)]
    made: Option<Made>,
    /// The format of --config: toml, json, yaml, dotenv or properties
    #[arg(long, value_name = "FORMAT", requires = "config")]
    format: Option<Delivered>,
    /// The permission bits of the files, octal
    #[arg(long, value_name = "MODE", default_value = "0400", value_parser = words::mode)]
    mode: u32,
}

/// What is printed instead.
#[derive(Debug, clap::Args)]
#[group(id = "made", multiple = false, conflicts_with_all = ["to", "prefix"])]
struct Made {
    /// Print the template at this path
    #[arg(long, value_name = "PATH")]
    template: Option<EntryPath>,
    /// Print the template in this file
    #[arg(long, value_name = "FILE")]
    template_file: Option<PathBuf>,
    /// Print the config document at this path, in --format
    #[arg(long, value_name = "PATH", requires = "format")]
    config: Option<EntryPath>,
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
    let Some(to) = &args.to else {
        return print(args, context);
    };
    let (environment, material) = args.scope.open(context, "render", Form::Delivered)?;
    let settings = FilesSettings {
        prefix: args.scope.prefix.clone(),
        mode: args.mode,
        ..FilesSettings::new(to)
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
        directory: to.display().to_string(),
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

/// Prints what is made of the environment's values.
fn print(args: &Args, context: &Context) -> Result<(), CliError> {
    let environment = args.scope.environment(context)?;
    let values = Values::new(open::reader(&context.settings)?, environment.clone(), "render");
    let made = match &args.made {
        Some(Made {
            template: Some(path), ..
        }) => values
            .rendered(path)
            .map_err(|error| CliError::failed(error.said)),
        Some(Made {
            template_file: Some(file),
            ..
        }) => {
            let rendered = read(file)?.render(Arc::<Values>::clone(&values));
            rendered.map_err(|error| CliError::failed(error.to_string()))
        }
        Some(Made {
            config: Some(path), ..
        }) => document(path, args.format, &values),
        // what is given with none of them is refused before
        _ => Err(CliError::usage("nothing is to be rendered")),
    }?;
    if !context.output.json {
        return made.expose(output::raw);
    }
    let text = made.expose(|bytes| Zeroizing::new(String::from_utf8_lossy(bytes).into_owned()));
    context.output.json(&serde_json::json!({
        "environment": environment.as_str(),
        "revision": values.snapshot().revision().0,
        "text": &*text,
    }))
}

fn read(file: &Path) -> Result<Template, CliError> {
    let name = file.display().to_string();
    let mut text = Vec::new();
    // what is longer is refused below, whatever its length
    let most = u64::try_from(MAX_TEXT).unwrap_or(u64::MAX).saturating_add(1);
    std::fs::File::open(file)
        .and_then(|file| file.take(most).read_to_end(&mut text))
        .map_err(|error| CliError::io(&name, &error))?;
    Template::parse(&name, &text).map_err(|error| CliError::failed(error.to_string()))
}

fn document(path: &EntryPath, format: Option<Delivered>, values: &Values) -> Result<Secret, CliError> {
    let failed = |why: &dyn std::fmt::Display| CliError::failed(format!("the config {path} {why}"));
    let document = values.config(path).map_err(|why| failed(&why))?;
    let format = format.unwrap_or(Delivered::Json);
    config::deliver(format, &document).map_err(|why| failed(&format_args!("cannot be delivered: {why}")))
}
