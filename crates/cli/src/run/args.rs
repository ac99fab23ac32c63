//! The command line of `strongroom-run`: owns its options and its help. Small on purpose: this
//! program is mounted into containers.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

use lexopt::{Arg, Parser, ValueExt as _};
use strongroom_core::inject::env::EnvSettings;
use strongroom_core::inject::files::FilesSettings;
use strongroom_core::inject::process::ProcessSettings;

use super::{Options, words};

/// Where the socket is unless said otherwise.
const SOCKET: &str = "/run/strongroom/sidecar.sock";

/// What `--help` prints.
pub const HELP: &str = "\
Runs a command with the values that a Strongroom sidecar gives over its socket.

Usage: strongroom-run [OPTIONS] [--] COMMAND [ARG]...

Where from:
  --socket PATH         The sidecar's socket [default: $STRONGROOM_SOCKET,
                        else /run/strongroom/sidecar.sock]
  --wait SECS           How long to wait for the sidecar at the start [default: 10]

What:
  --prefix PATH         Only entries at or below PATH; it is left out of names
  --map NAME=PATH       Deliver the entry PATH as the variable NAME; repeatable
  --only-mapped         Only the variables of --map, none named by the rule
                        (a/b-c becomes A_B_C)
  --require PATH        Do not start without the entry PATH; repeatable
  --clean-env           Do not pass on this program's own environment
  --files DIR           Also write the entries as files into DIR, a tmpfs; all
                        switch at once, and they are removed at the end
  --file NAME=PATH      Only these files in DIR; repeatable
  --file-mode MODE      Permission bits of files, octal [default: 0400]

How:
  --on-change WHAT      restart, signal:NAME, exec:PROGRAM ARG..., nothing
                        [default: nothing; files are switched in any case]
  --restart WHEN        When it ends by itself: never, on-failure, always
                        [default: never]
  --stop-signal NAME    Asks it to end before a restart [default: TERM]
  --grace SECS          From being asked to end to being killed [default: 10]
  --no-new-privs        It and what it starts cannot gain privileges
  -v, --verbose         Tell what is done, on stderr
  -h, --help            Print this
  -V, --version         Print the version

Exits with the code of COMMAND, 128+N if signal N ended it; without starting it
with 1 failed, 2 usage, 3 denied, 5 unreachable, 126 not executable, 127 not found.
";

/// What the command line asks for.
#[derive(Debug)]
pub enum Asked {
    /// The help.
    Help,
    /// The version.
    Version,
    /// To run a command.
    Run(Box<Run>),
}

/// A command to run and where its values come from.
#[derive(Debug)]
pub struct Run {
    /// The sidecar's socket.
    pub socket: PathBuf,
    /// How long to wait for it.
    pub wait: Duration,
    /// The command and what it gets.
    pub options: Options,
}

/// Parses the arguments after the program's name.
///
/// # Errors
/// One line for the operator; the exit code is 2.
pub fn parse<I>(arguments: I, socket: Option<OsString>) -> Result<Asked, String>
where
    I: IntoIterator<Item: Into<OsString>>,
{
    let mut parser = Parser::from_args(arguments);
    let mut socket = PathBuf::from(socket.unwrap_or_else(|| SOCKET.into()));
    let mut wait = Duration::from_secs(10);
    let mut env = EnvSettings::default();
    let mut files: Option<PathBuf> = None;
    let mut names = Vec::new();
    let mut mode = None;
    let mut verbose = false;
    let mut process = ProcessSettings::new(Vec::<OsString>::new());
    while let Some(argument) = parser.next().map_err(|error| plain(&error))? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => return Ok(Asked::Help),
            Arg::Short('V') | Arg::Long("version") => return Ok(Asked::Version),
            Arg::Short('v') | Arg::Long("verbose") => verbose = true,
            Arg::Long("only-mapped") => env.derive = false,
            Arg::Long("clean-env") => process.clean_env = true,
            Arg::Long("no-new-privs") => process.no_new_privs = true,
            Arg::Long("socket") => socket = raw(&mut parser, "--socket")?.into(),
            Arg::Long("files") => files = Some(raw(&mut parser, "--files")?.into()),
            Arg::Long("wait") => wait = value(&mut parser, "--wait", words::seconds)?,
            Arg::Long("prefix") => env.prefix = Some(value(&mut parser, "--prefix", words::path)?),
            Arg::Long("map") => env.names.push(value(&mut parser, "--map", words::variable)?),
            Arg::Long("require") => process
                .required
                .push(value(&mut parser, "--require", words::path)?),
            Arg::Long("file") => names.push(value(&mut parser, "--file", words::file)?),
            Arg::Long("file-mode") => mode = Some(value(&mut parser, "--file-mode", words::mode)?),
            Arg::Long("on-change") => {
                process.on_change = value(&mut parser, "--on-change", words::on_change)?
            }
            Arg::Long("restart") => process.restart = value(&mut parser, "--restart", words::restart)?,
            Arg::Long("stop-signal") => {
                process.stop_signal = value(&mut parser, "--stop-signal", |text| {
                    text.parse().map_err(|error| format!("{error}"))
                })?;
            }
            Arg::Long("grace") => process.grace = value(&mut parser, "--grace", words::seconds)?,
            Arg::Value(program) => {
                process.command.push(program);
                process
                    .command
                    .extend(parser.raw_args().map_err(|error| plain(&error))?);
            }
            other => return Err(plain(&other.unexpected())),
        }
    }
    if process.command.is_empty() {
        return Err("there is no command to run: it comes last, after --".to_owned());
    }
    process.files = match files {
        None if mode.is_some() || !names.is_empty() => {
            return Err("--file and --file-mode need --files DIR".to_owned());
        }
        None => None,
        Some(directory) => Some(FilesSettings {
            prefix: env.prefix.clone(),
            derive: names.is_empty(),
            names,
            mode: mode.unwrap_or(0o400),
            ..FilesSettings::new(directory)
        }),
    };
    process.clear_files = true;
    process.env = env;
    let options = Options {
        process,
        name: "strongroom-run",
        verbose,
    };
    Ok(Asked::Run(Box::new(Run {
        socket,
        wait,
        options,
    })))
}

fn raw(parser: &mut Parser, option: &'static str) -> Result<OsString, String> {
    match parser.value() {
        Ok(value) if value != OsStr::new("") => Ok(value),
        _ => Err(format!("{option} needs a value")),
    }
}

fn value<T>(
    parser: &mut Parser,
    option: &'static str,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<T, String> {
    let text = raw(parser, option)?
        .string()
        .map_err(|_| format!("{option} is not text"))?;
    parse(&text).map_err(|problem| format!("{option}: {problem}"))
}

/// The parser's complaint without what was typed, which may be a value in the wrong place.
fn plain(error: &lexopt::Error) -> String {
    match error {
        lexopt::Error::UnexpectedOption(option) if is_word(option) => format!("{option} is not an option"),
        lexopt::Error::UnexpectedOption(_) => "that is not an option".to_owned(),
        lexopt::Error::UnexpectedValue { option, .. } => format!("{option} takes no value"),
        lexopt::Error::MissingValue { option: Some(option) } => format!("{option} needs a value"),
        _ => "the arguments are not understood".to_owned(),
    }
}

fn is_word(option: &str) -> bool {
    option.len() <= 24
        && option
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'-')
}
