//! `workload explain`: what a sidecar on this machine would see of a process, and where from.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use strongroom_core::api::wire;
use strongroom_core::attest::engine::{self, Engine};
use strongroom_core::attest::{self, Digests, Process};
use strongroom_core::workload::Workload;

use crate::context::Context;
use crate::error::{CliError, Exit};
use crate::output;
use crate::workload::{self, Source};

const EXPLAIN_EXAMPLES: &str = "\
It reads /proc as a sidecar does; run it as root, or as the user of the process. A process's user
is that of now, where a sidecar goes by the one that connected.

Examples:
  strongroom workload explain \"$(systemctl show -P MainPID web)\"
  strongroom workload explain \"$(podman inspect -f '{{.State.Pid}}' web)\" --engine unix:/run/podman/podman.sock";

/// How long an engine may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// See processes as a sidecar does
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Show what is known of a process, and where each attribute comes from
    #[command(after_help = EXPLAIN_EXAMPLES)]
    Explain {
        /// The number of the process
        #[arg(value_name = "PID", value_parser = clap::value_parser!(i32).range(1..))]
        pid: i32,
        /// The API socket of Podman or Docker, to ask for labels and image
        #[arg(long, value_name = "unix:PATH", value_parser = socket)]
        engine: Option<PathBuf>,
    },
}

#[derive(Debug, Serialize)]
struct Explained {
    #[serde(flatten)]
    seen: wire::Workload,
    from: BTreeMap<&'static str, String>,
}

fn socket(address: &str) -> Result<PathBuf, &'static str> {
    engine::socket(address).ok_or("an engine is given as `unix:` and an absolute path")
}

/// An event loop for one answer.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, CliError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::io("an event loop", &error))
}

pub(crate) fn run(command: Command, context: &Context) -> Result<(), CliError> {
    let Command::Explain { pid, engine } = command;
    let process = Process::open(pid).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => CliError::failed("there is no such process")
            .hint("its number is the one that this pid namespace has for it"),
        _ => CliError::io("/proc", &error),
    })?;
    let (uid, gid) = process.owner().map_err(|error| CliError::io("/proc", &error))?;
    let kernel = attest::kernel(&process, uid, gid, &Digests::default())
        .map_err(|error| CliError::failed(error.to_string()))?;
    if kernel.executable.is_none() {
        output::warn("this user may not see which program it runs: run this as root");
    }
    let said = match &engine {
        Some(socket) => ask(socket, &kernel)?,
        None => None,
    };
    if engine.is_some() && said.is_none() && kernel.container.is_some() {
        output::warn("the engine knows no such container in that control group");
    }
    let workload = Workload { kernel, engine: said };
    let seen = wire::Workload::from(&workload);
    let from = |source| match source {
        Source::Owner | Source::Status => format!("/proc/{pid}/status"),
        Source::Program => format!("/proc/{pid}/exe"),
        Source::Groups => format!("/proc/{pid}/cgroup"),
        Source::Engine => engine
            .as_ref()
            .map_or_else(String::new, |socket| format!("unix:{}", socket.display())),
    };
    let rows = workload::rows(&seen);
    let text = workload::table(&rows, from);
    let from = rows.iter().map(|row| (row.key, from(row.from))).collect();
    context.output.answer(&Explained { seen, from }, &text)
}

fn ask(
    socket: &std::path::Path,
    kernel: &strongroom_core::workload::Kernel,
) -> Result<Option<strongroom_core::workload::Engine>, CliError> {
    let engine = Engine::new(socket.to_owned(), PATIENCE);
    runtime()?
        .block_on(engine.ask(kernel))
        .map_err(|error| CliError::new(Exit::Unreachable, error.to_string()))
}
