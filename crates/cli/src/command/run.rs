//! `run`: a command with an environment's values, straight from the store or from a sidecar. The
//! supervisor is that of `strongroom-run`; this file owns its options and the store as a source.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use strongroom_cli::run::socket::Sidecar;
use strongroom_cli::run::{self, Options, Source, SourceError, Update, words};
use strongroom_core::inject::env::{EnvSettings, VariableName};
use strongroom_core::inject::files::{FileName, FilesSettings};
use strongroom_core::inject::process::{OnChange, ProcessSettings, Restart, Signal};
use strongroom_core::inject::{Material, Wanted};
use strongroom_core::name::{EntryPath, EnvironmentName};
use strongroom_core::snapshot::governed_by;
use strongroom_core::vault::{Event, Watch};

use crate::context::Context;
use crate::error::{CliError, Exit};
use crate::material::{self, Form};
use crate::open::{self, Opened};
use crate::prompt;

const EXAMPLES: &str = "\
A variable is named after its path: with --prefix web, web/database/password is DATABASE_PASSWORD.
All values are of one revision. When required entries are missing, all are listed and nothing starts.

Examples:
  strongroom run prod --prefix web -- ./server
  strongroom run prod --prefix web --on-change restart -- ./server --port 80
  strongroom run prod --prefix web --files /run/web/files --on-change signal:HUP -- nginx
  strongroom run --socket /run/strongroom/sidecar.sock -- env

Exits with the code of CMD, 128+N if signal N ended it, 126 not executable, 127 not found.";

/// Run a command with an environment's values, and follow changes
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The environment [default: the `environment` setting]
    #[arg(value_name = "ENV", conflicts_with = "socket")]
    environment: Option<EnvironmentName>,
    /// Take the values from the sidecar at this socket instead of the store
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// How long to wait for the sidecar at the start, seconds
    #[arg(long, value_name = "SECS", default_value = "10", value_parser = words::seconds, requires = "socket")]
    wait: Duration,
    /// Only entries at or below this path, which is left out of names
    #[arg(long, short = 'p', value_name = "PATH")]
    prefix: Option<EntryPath>,
    /// Deliver an entry under a variable's name of your own; may be repeated
    #[arg(long, value_name = "NAME=PATH", value_parser = words::variable)]
    map: Vec<(VariableName, EntryPath)>,
    /// Only the variables of --map
    #[arg(long)]
    only_mapped: bool,
    /// Do not start without this entry; may be repeated
    #[arg(long, value_name = "PATH")]
    require: Vec<EntryPath>,
    /// Do not pass on this program's own environment
    #[arg(long)]
    clean_env: bool,
    /// Also write the entries as files into this directory, a tmpfs; removed at the end
    #[arg(long, value_name = "DIR")]
    files: Option<PathBuf>,
    /// Only these files in the directory; may be repeated
    #[arg(long, value_name = "NAME=PATH", value_parser = words::file, requires = "files")]
    file: Vec<(FileName, EntryPath)>,
    /// The permission bits of the files, octal
    #[arg(long, value_name = "MODE", default_value = "0400", value_parser = words::mode, requires = "files")]
    file_mode: u32,
    /// What a change does: restart, signal:NAME, exec:PROGRAM ARG..., or nothing (files are switched)
    #[arg(long, value_name = "WHAT", default_value = "nothing", value_parser = words::on_change)]
    on_change: OnChange,
    /// When to start it again after it ends by itself: never, on-failure or always
    #[arg(long, value_name = "WHEN", default_value = "never", value_parser = words::restart)]
    restart: Restart,
    /// The signal that asks it to end before a restart
    #[arg(long, value_name = "NAME", default_value = "TERM")]
    stop_signal: Signal,
    /// From being asked to end to being killed, seconds
    #[arg(long, value_name = "SECS", default_value = "10", value_parser = words::seconds)]
    grace: Duration,
    /// It and what it starts cannot gain privileges
    #[arg(long)]
    no_new_privs: bool,
    /// Tell what is done, on stderr
    #[arg(long, short = 'v')]
    verbose: bool,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
}

/// What the record of a read says that it was for.
const RUN: &str = "run";

pub(crate) fn run(args: Args, context: &Context) -> Result<u8, CliError> {
    let (socket, wait, environment) = (args.socket.clone(), args.wait, args.environment.clone());
    let options = options(args);
    let wanted = options.process.wanted();
    if let Some(socket) = socket {
        let source = Sidecar::new(socket, wanted, wait).map_err(|error| CliError::failed(error.message))?;
        return Ok(run::supervise(source, options));
    }
    let environment = context.environment(environment.as_ref())?;
    let opened = open::reader(&context.settings)?;
    let follows = options.process.files.is_some()
        || options.process.on_change != OnChange::Nothing
        || options.process.restart != Restart::Never;
    // From before the first reading, so that no commit falls between the two.
    let watch = if follows {
        let watch = opened.vault.watch();
        opened.vault.follow()?;
        Some(watch)
    } else {
        None
    };
    let (first, secrets) = open_now(&opened, &environment, &wanted)?;
    let told = first.revision;
    // From here on signals are for the command.
    prompt::release_interrupt();
    let source = Store {
        opened,
        environment,
        wanted,
        secrets,
        watch,
        first: Some(first),
        told,
        behind: false,
    };
    Ok(run::supervise(source, options))
}

fn options(args: Args) -> Options {
    let files = args.files.map(|directory| FilesSettings {
        prefix: args.prefix.clone(),
        derive: args.file.is_empty(),
        names: args.file,
        mode: args.file_mode,
        ..FilesSettings::new(directory)
    });
    let process = ProcessSettings {
        env: EnvSettings {
            prefix: args.prefix,
            derive: !args.only_mapped,
            names: args.map,
        },
        clean_env: args.clean_env,
        files,
        clear_files: true,
        required: args.require,
        on_change: args.on_change,
        restart: args.restart,
        stop_signal: args.stop_signal,
        grace: args.grace,
        no_new_privs: args.no_new_privs,
        ..ProcessSettings::new(args.command)
    };
    Options {
        process,
        name: "strongroom run",
        verbose: args.verbose,
    }
}

/// The store as a source of revisions.
struct Store {
    opened: Opened,
    environment: EnvironmentName,
    wanted: Wanted,
    /// Secrets that became part of documents.
    secrets: Vec<EntryPath>,
    /// `None` when changes are of no use to the command.
    watch: Option<Watch>,
    first: Option<Material>,
    /// The revision that was told last.
    told: u64,
    /// True while a change is known whose values were not read yet.
    behind: bool,
}

impl Source for Store {
    fn next(&mut self) -> Result<Option<Update>, SourceError> {
        if let Some(first) = self.first.take() {
            return Ok(Some(Update::Values(first)));
        }
        while !self.behind {
            let Some(event) = self.watch.as_mut().and_then(Watch::next_blocking) else {
                return Ok(None);
            };
            match event {
                Event::Revised(revised) => {
                    self.opened.remember();
                    let concerns = revised
                        .changes
                        .iter()
                        .map(|changed| {
                            // a schema changes what a document is delivered as
                            let governed = governed_by(changed.kind, &changed.path);
                            governed.unwrap_or_else(|| changed.path.clone())
                        })
                        .any(|path| self.wanted.contains(&path) || self.secrets.contains(&path));
                    if concerns {
                        self.behind = true;
                    } else if revised.revision.0 > self.told {
                        self.told = revised.revision.0;
                        return Ok(Some(Update::Revision(self.told)));
                    }
                }
                Event::Lagged => self.behind = true,
                Event::Refused { reason } => {
                    return Err(trouble(
                        Exit::Integrity,
                        format!("a revision was refused, the last good one stays: {reason}"),
                    ));
                }
                Event::StoreLost { reason, .. } => {
                    return Err(trouble(
                        Exit::Unreachable,
                        format!("the store is out of reach, the values stay: {reason}"),
                    ));
                }
                Event::StoreBack => return Ok(Some(Update::Revision(self.told))),
            }
        }
        let opened = open_now(&self.opened, &self.environment, &self.wanted);
        let (material, secrets) = opened.map_err(|error| trouble(error.exit, error.message))?;
        self.secrets = secrets;
        self.behind = false;
        self.told = material.revision;
        Ok(Some(Update::Values(material)))
    }
}

fn open_now(
    opened: &Opened,
    environment: &EnvironmentName,
    wanted: &Wanted,
) -> Result<(Material, Vec<EntryPath>), CliError> {
    material::open(opened, environment, wanted, RUN, Form::Delivered)
}

fn trouble(exit: Exit, message: String) -> SourceError {
    SourceError {
        message,
        exit: exit as u8,
    }
}
