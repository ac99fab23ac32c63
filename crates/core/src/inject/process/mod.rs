//! A supervised process: owns how a command gets the environment and files of one revision, what
//! happens to it when a new revision arrives, and how its signals and exit are passed on. It must
//! not know where revisions come from.
//!
//! ```no_run
//! # use strongroom_core::inject::{Material, process::{self, ProcessSettings}};
//! # fn demo(first: Material) -> Result<(), process::ProcessError> {
//! let (handle, updates) = process::channel();
//! // give `handle` to whatever delivers later revisions, then:
//! let settings = ProcessSettings::new(["server", "--port", "80"]);
//! let exit = process::supervise(settings, first, updates, &mut |report| println!("{report}"))?;
//! std::process::exit(exit.code());
//! # }
//! ```

mod channel;
mod child;
mod command;
mod delivery;
mod report;
mod signal;
mod supervise;
mod supervisor;

use std::ffi::OsString;
use std::io;
use std::time::Duration;

pub use channel::{Handle, Updates, channel};
pub use report::Report;
pub use signal::{Signal, SignalError};
pub use supervise::supervise;

use super::Missing;
use super::env::{EnvError, EnvSettings};
use super::files::{FilesError, FilesSettings};
use crate::name::EntryPath;

/// What to run and how to treat it.
#[derive(Clone, Debug)]
pub struct ProcessSettings {
    /// The program and its arguments; a program without `/` is looked up in `PATH`.
    pub command: Vec<OsString>,
    /// Which entries become its environment variables.
    pub env: EnvSettings,
    /// True: it gets those variables and nothing of this process's environment.
    pub clean_env: bool,
    /// Files beside the variables, of the same revision.
    pub files: Option<FilesSettings>,
    /// True: the files are removed when supervision ends.
    pub clear_files: bool,
    /// Entries without which nothing starts.
    pub required: Vec<EntryPath>,
    /// What to do when values change.
    pub on_change: OnChange,
    /// How long the command of [`OnChange::Run`] may take; then it and all in its group are killed.
    pub command_limit: Duration,
    /// Whether it is started again when it ends without being asked to.
    pub restart: Restart,
    /// How long to wait before it is started again.
    pub backoff: Backoff,
    /// What asks it to end, before a restart and when supervision is stopped.
    pub stop_signal: Signal,
    /// How long it has to end after being asked; then it and all in its group are killed.
    pub grace: Duration,
    /// True: signals this process gets are passed on, and this process's own group and terminal
    /// are handled. False inside a program with other work, which calls [`Handle::stop`].
    pub pass_signals: bool,
    /// Its process group.
    pub group: Group,
    /// True: take in and reap orphaned descendants. Only for a process that has no other children.
    pub reap_orphans: bool,
    /// True: neither it nor its descendants can gain privileges (setuid, file capabilities).
    pub no_new_privs: bool,
}

impl ProcessSettings {
    /// Runs `command` with every entry in its environment; it ends when the command does, and
    /// changes are delivered to nobody. Signals are passed on.
    #[must_use]
    pub fn new<T: Into<OsString>>(command: impl IntoIterator<Item = T>) -> Self {
        Self {
            command: command.into_iter().map(Into::into).collect(),
            env: EnvSettings::default(),
            clean_env: false,
            files: None,
            clear_files: false,
            required: Vec::new(),
            on_change: OnChange::Nothing,
            command_limit: Duration::from_secs(60),
            restart: Restart::Never,
            backoff: Backoff::default(),
            stop_signal: Signal::TERM,
            grace: Duration::from_secs(10),
            pass_signals: true,
            group: Group::Detect,
            reap_orphans: false,
            no_new_privs: false,
        }
    }

    /// The entries it needs and those it may use; a source need not open others.
    #[must_use]
    pub fn wanted(&self) -> super::Wanted {
        let mut wanted = super::Wanted::default();
        if self.env.derive {
            wanted.add_prefix(self.env.prefix.as_ref());
        }
        self.env.required().for_each(|path| wanted.add(path));
        if let Some(files) = &self.files {
            if files.derive {
                wanted.add_prefix(files.prefix.as_ref());
            }
            files.required().for_each(|path| wanted.add(path));
        }
        self.required.iter().for_each(|path| wanted.add(path));
        wanted
    }

    /// False when later revisions are of no use: nothing is done about them, and it is never
    /// started again.
    #[must_use]
    pub fn follows(&self) -> bool {
        self.files.is_some() || self.on_change != OnChange::Nothing || self.restart != Restart::Never
    }

    /// Every entry that must be there.
    fn all_required(&self) -> impl Iterator<Item = &EntryPath> {
        let files = self.files.iter().flat_map(FilesSettings::required);
        self.required.iter().chain(self.env.required()).chain(files)
    }
}

/// What to do with the running process when values change. Files are switched in any case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OnChange {
    /// End it in good order and start it with the new environment.
    Restart,
    /// Send it a signal.
    Signal(Signal),
    /// Run another command, with the new environment; one at a time, in a group of its own. It is
    /// killed after [`ProcessSettings::command_limit`], and when supervision ends.
    Run(Vec<OsString>),
    /// Leave it alone.
    Nothing,
}

/// Whether a process is started again when it ends without being asked to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Restart {
    /// No: its exit is the result.
    #[default]
    Never,
    /// Unless it exited with 0.
    OnFailure,
    /// Always.
    Always,
}

/// The process group of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Group {
    /// This process's own when it has a terminal, so that the terminal's keys reach the process;
    /// else a group of its own.
    #[default]
    Detect,
    /// A group of its own: signals that end it reach all of its descendants in it.
    Own,
    /// This process's own group.
    Shared,
}

/// Pauses before a process is started again: each is twice the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The first pause.
    pub first: Duration,
    /// The longest pause.
    pub most: Duration,
    /// After it has lived this long, pauses begin at the first again.
    pub reset: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(500),
            most: Duration::from_secs(60),
            reset: Duration::from_secs(60),
        }
    }
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It exited with this code, 0 to 255.
    Code(i32),
    /// A signal of this number ended it.
    Signal(i32),
}

impl Exit {
    /// The code to exit with: its own, or 128 and the number of the signal.
    #[must_use]
    pub fn code(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(number) => number.saturating_add(128),
        }
    }

    /// True for code 0.
    #[must_use]
    pub fn is_success(self) -> bool {
        self == Self::Code(0)
    }
}

/// Why a process was not started, or a revision not delivered to it.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The settings name no program.
    #[error("there is no command to run: name a program")]
    NoCommand,
    /// Required entries are not there.
    #[error(transparent)]
    Missing(#[from] Missing),
    /// Entries cannot be environment variables.
    #[error(transparent)]
    Env(#[from] EnvError),
    /// Files could not be delivered.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// The program is not there.
    #[error("{} was not found: check its name and PATH", program.display())]
    NotFound {
        /// The program.
        program: OsString,
    },
    /// The program may not be run.
    #[error("{} may not be run: check that it is executable", program.display())]
    NotExecutable {
        /// The program.
        program: OsString,
    },
    /// The environment is larger than the kernel allows.
    #[error("the environment is too large to start {}: use a prefix, or files", program.display())]
    TooLarge {
        /// The program.
        program: OsString,
    },
    /// The system refused something else.
    #[error("could not {action}")]
    System {
        /// What was tried.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl ProcessError {
    /// The code that shells and `env` use for a program that could not be run: 127 or 126.
    #[must_use]
    pub fn exec_code(&self) -> Option<i32> {
        match self {
            Self::NotFound { .. } => Some(127),
            Self::NotExecutable { .. } | Self::TooLarge { .. } => Some(126),
            _ => None,
        }
    }
}
