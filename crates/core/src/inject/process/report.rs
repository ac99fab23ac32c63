//! What a supervisor tells its owner while it works: owns the events and their words.

use std::fmt;
use std::time::Duration;

use super::{Exit, ProcessError, Signal};
use crate::inject::WithCauses;
use crate::inject::files::Note;

/// Something happened; `Display` is one line for a log.
#[derive(Debug)]
#[non_exhaustive]
pub enum Report<'a> {
    /// The process runs.
    Started {
        /// Its process id.
        pid: i32,
        /// The revision it was given.
        revision: u64,
    },
    /// The process ended.
    Exited {
        /// How.
        exit: Exit,
    },
    /// It is started again after a pause.
    Waiting {
        /// The pause.
        pause: Duration,
    },
    /// It did not end in time and was killed.
    Killed {
        /// The time it had.
        grace: Duration,
    },
    /// A new revision is in place.
    Delivered {
        /// The revision.
        revision: u64,
        /// False when nothing of it concerns this process, which was left alone.
        changed: bool,
    },
    /// It was sent a signal for a new revision.
    Signalled {
        /// The signal.
        signal: Signal,
    },
    /// A revision was not delivered; the one before stays.
    Refused {
        /// The revision.
        revision: u64,
        /// Why.
        reason: &'a ProcessError,
    },
    /// The command that is run on changes succeeded.
    CommandDone {
        /// The revision it was run for; its values may be of a later one, too.
        revision: u64,
    },
    /// The command that is run on changes failed.
    CommandFailed {
        /// How it ended, unless it could not be started.
        exit: Option<Exit>,
    },
    /// The command that is run on changes took too long and was killed.
    CommandKilled {
        /// The time it had.
        limit: Duration,
    },
    /// Something about the files.
    Note(&'a Note),
    /// Files could not be removed at the end.
    NotCleared {
        /// Why.
        reason: &'a crate::inject::files::FilesError,
    },
}

impl Report<'_> {
    /// True for what an operator should see who did not ask for more.
    #[must_use]
    pub fn needs_attention(&self) -> bool {
        match self {
            Self::Waiting { .. }
            | Self::Killed { .. }
            | Self::Refused { .. }
            | Self::CommandFailed { .. }
            | Self::CommandKilled { .. }
            | Self::Note(_)
            | Self::NotCleared { .. } => true,
            Self::Started { .. }
            | Self::Exited { .. }
            | Self::Delivered { .. }
            | Self::Signalled { .. }
            | Self::CommandDone { .. } => false,
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(number) => match rustix::process::Signal::from_named_raw(*number) {
                Some(signal) => Signal::from(signal).fmt(f),
                None => write!(f, "signal {number}"),
            },
        }
    }
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started { pid, revision } => write!(f, "started process {pid} with revision {revision}"),
            Self::Exited { exit } => write!(f, "the process ended: {exit}"),
            Self::Waiting { pause } => write!(f, "starting it again in {pause:?}"),
            Self::Killed { grace } => write!(f, "the process did not end in {grace:?} and was killed"),
            Self::Delivered {
                revision,
                changed: true,
            } => write!(f, "delivered revision {revision}"),
            Self::Delivered {
                revision,
                changed: false,
            } => {
                write!(f, "revision {revision} changes nothing here")
            }
            Self::Signalled { signal } => write!(f, "sent {signal}"),
            Self::Refused { revision, reason } => {
                let reason = WithCauses(*reason);
                write!(
                    f,
                    "revision {revision} was not delivered, the one before stays: {reason}"
                )
            }
            Self::CommandDone { revision } => {
                write!(f, "the command run on changes succeeded for revision {revision}")
            }
            Self::CommandFailed { exit: Some(exit) } => {
                write!(f, "the command run on changes failed: {exit}")
            }
            Self::CommandFailed { exit: None } => {
                write!(f, "the command run on changes could not be started")
            }
            Self::CommandKilled { limit } => {
                write!(
                    f,
                    "the command run on changes did not end in {limit:?} and was killed"
                )
            }
            Self::Note(note) => note.fmt(f),
            Self::NotCleared { reason } => write!(f, "files were left behind: {}", WithCauses(*reason)),
        }
    }
}
