//! Why a request to a sidecar failed: owns the errors of the client and the exit code each means.

use std::io;
use std::path::PathBuf;

use super::wire::{Code, ContentError};

/// A request failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody answers at the socket.
    #[error(
        "no sidecar answers at {}: check that it runs and that the directory of its socket is mounted here",
        socket.display()
    )]
    Unreachable {
        /// The socket.
        socket: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// This process may not connect.
    #[error(
        "this user may not connect to {}: check the owner and mode of the socket and of its directory",
        socket.display()
    )]
    Forbidden {
        /// The socket.
        socket: PathBuf,
    },
    /// The path cannot be a socket's.
    #[error("a socket's path has at most 107 bytes and no NUL: {} does not fit", socket.display())]
    SocketPath {
        /// The path.
        socket: PathBuf,
    },
    /// No answer in time.
    #[error("the sidecar at {} did not answer in time", socket.display())]
    TimedOut {
        /// The socket.
        socket: PathBuf,
    },
    /// The connection broke in the middle of an answer.
    #[error("the connection to the sidecar at {} broke", socket.display())]
    Broken {
        /// The socket.
        socket: PathBuf,
        /// What broke it.
        source: hyper::Error,
    },
    /// The sidecar refused.
    #[error("{message}")]
    Refused {
        /// Why, for programs.
        code: Code,
        /// Why, for people.
        message: String,
    },
    /// The answer is larger than this client takes.
    #[error("the answer is larger than {limit} bytes: ask for less, with a prefix")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// The answer is not one of this API.
    #[error("the answer is not one of a Strongroom sidecar ({problem}): check the socket's path")]
    Foreign {
        /// What is wrong with it.
        problem: &'static str,
    },
}

impl ClientError {
    /// The code for a program to exit with: 3 denied, 5 unreachable, else 1.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Forbidden { .. }
            | Self::Refused {
                code: Code::Denied, ..
            } => 3,
            Self::Unreachable { .. }
            | Self::TimedOut { .. }
            | Self::Broken { .. }
            | Self::Refused {
                code: Code::Unavailable,
                ..
            } => 5,
            Self::SocketPath { .. } | Self::Refused { .. } | Self::TooLarge { .. } | Self::Foreign { .. } => {
                1
            }
        }
    }

    /// True when the same request may succeed a moment later.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        self.exit_code() == 5
    }
}

impl From<ContentError> for ClientError {
    fn from(_: ContentError) -> Self {
        Self::Foreign {
            problem: "a value that cannot be read",
        }
    }
}
