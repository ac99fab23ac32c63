//! Errors of the command line: owns which failure ends with which exit code and what to do next.
//! Messages never hold a value or the rejected input.

use std::fmt;

use strongroom_core::api::error::ClientError;
use strongroom_core::crypto::identity::IdentityError;
use strongroom_core::inject::files::FilesError;
use strongroom_core::name::NameError;
use strongroom_core::policy::PolicyError;
use strongroom_core::snapshot::ReadError;
use strongroom_core::store::StoreError;
use strongroom_core::vault::{Break, CommitError, IntegrityError, OpenError, OriginError, TrustError};

/// How a command that did not succeed ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Failed = 1,
    Usage = 2,
    Denied = 3,
    Integrity = 4,
    Unreachable = 5,
    Stopped = 6,
}

impl Exit {
    /// The word in the JSON form of an error.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::Denied => "denied",
            Self::Integrity => "integrity",
            Self::Unreachable => "unreachable",
            Self::Stopped => "stopped",
        }
    }
}

/// What is shown when a command ends without success.
#[derive(Debug)]
pub(crate) struct CliError {
    pub(crate) exit: Exit,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl CliError {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            hint: None,
        }
    }

    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, message)
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// Adds what to do next.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// A file or stream could not be read or written.
    pub(crate) fn io(what: impl fmt::Display, source: &std::io::Error) -> Self {
        Self::failed(format!("{what}: {source}"))
    }

    fn maybe_hint(mut self, hint: Option<&str>) -> Self {
        self.hint = hint.map(str::to_owned);
        self
    }
}

impl From<NameError> for CliError {
    fn from(error: NameError) -> Self {
        Self::usage(error.to_string())
    }
}

impl From<StoreError> for CliError {
    fn from(error: StoreError) -> Self {
        let (exit, hint) = match &error {
            StoreError::Missing { .. } => (Exit::Unreachable, None),
            StoreError::Exists { .. } => (
                Exit::Failed,
                Some("choose another place, or use the store that is there"),
            ),
            StoreError::Unreachable { .. } => (
                Exit::Unreachable,
                Some("check the path, its permissions, and whether another program holds the store"),
            ),
            StoreError::ReadOnly { .. } => (
                Exit::Denied,
                Some("run this as a user who may write the store file and its directory"),
            ),
            StoreError::Damaged { .. } => (Exit::Integrity, Some(RESTORE)),
            StoreError::Newer { .. } => (Exit::Integrity, None),
            StoreError::Location { .. } => (Exit::Usage, None),
        };
        Self::new(exit, error.to_string()).maybe_hint(hint)
    }
}

impl From<IntegrityError> for CliError {
    fn from(error: IntegrityError) -> Self {
        let hint = match error.what {
            Break::Fingerprint => {
                "nothing was used; check that the store setting and the pinned fingerprint belong together \
                 (`strongroom status` shows both)"
            }
            Break::RolledBack | Break::Replaced => {
                "nothing was used; if the store was put back on purpose, remove the trust file that \
                 `strongroom status` shows"
            }
            Break::NewerFormat => "nothing was used; install a newer strongroom",
            _ => RESTORE,
        };
        Self::new(Exit::Integrity, error.to_string()).hint(hint)
    }
}

const RESTORE: &str = "nothing was used; restore the store from a copy and run `strongroom verify`";

impl From<OpenError> for CliError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Store(error) => error.into(),
            OpenError::Integrity(error) => error.into(),
            OpenError::Empty { .. } => Self::failed(error.to_string()).hint("run `strongroom init` on it"),
            OpenError::NotMember => Self::new(Exit::Denied, error.to_string())
                .hint("check the identity setting with `strongroom status`"),
        }
    }
}

impl From<ReadError> for CliError {
    fn from(error: ReadError) -> Self {
        let (exit, hint) = match &error {
            ReadError::NoEnvironment { .. } => (
                Exit::Failed,
                Some("`strongroom environment list` shows those there are"),
            ),
            ReadError::NoEntry { .. } => (Exit::Failed, Some("`strongroom list ENV` shows what it opens")),
            ReadError::NoLabel { .. } => (Exit::Failed, Some("`strongroom show ENV PATH` shows what it has")),
            ReadError::Kind { .. } | ReadError::Document { .. } | ReadError::NoSecret { .. } => {
                (Exit::Failed, None)
            }
            ReadError::Rotation { .. } => (
                Exit::Failed,
                Some("an admin runs `strongroom rotate ENV PATH --give-up`, after a look at the target"),
            ),
            ReadError::Damaged { .. } => (Exit::Integrity, Some(RESTORE)),
        };
        Self::new(exit, error.to_string()).maybe_hint(hint)
    }
}

impl From<CommitError> for CliError {
    fn from(error: CommitError) -> Self {
        let (exit, hint) = match error {
            CommitError::Open(error) => return error.into(),
            CommitError::Read(error) => return error.into(),
            CommitError::Store(error) => return error.into(),
            CommitError::Policy(error) => return error.into(),
            CommitError::Entropy(_) | CommitError::Invalid { .. } | CommitError::Contended { .. } => {
                (Exit::Failed, None)
            }
            CommitError::Unfit { .. } => (
                Exit::Failed,
                Some(
                    "`strongroom config show ENV PATH --origin` says where a key comes from; nothing was committed",
                ),
            ),
            CommitError::Unknown { .. } => (Exit::Unreachable, None),
            CommitError::Stale { .. } => (
                Exit::Failed,
                Some("`strongroom history ENV PATH` shows who was first; nothing was committed"),
            ),
            CommitError::Rotating { .. } | CommitError::NotRotating { .. } => {
                (Exit::Failed, Some("nothing was committed"))
            }
            CommitError::Denied { .. } => (
                Exit::Denied,
                Some(
                    "`strongroom member list` and `strongroom policy explain` show who may; nothing was committed",
                ),
            ),
        };
        Self::new(exit, error.to_string()).maybe_hint(hint)
    }
}

impl From<OriginError> for CliError {
    fn from(error: OriginError) -> Self {
        match error {
            OriginError::Read(error) => error.into(),
            OriginError::Open(error) => error.into(),
        }
    }
}

impl From<PolicyError> for CliError {
    fn from(error: PolicyError) -> Self {
        match error {
            PolicyError::Read(error) => error.into(),
            PolicyError::Text { .. } | PolicyError::TooMany { .. } | PolicyError::Internal(_) => {
                Self::failed(error.to_string())
            }
        }
    }
}

impl From<IdentityError> for CliError {
    fn from(error: IdentityError) -> Self {
        let (exit, hint) = match &error {
            IdentityError::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => (
                Exit::Failed,
                Some("`strongroom identity new` makes one; --identity or STRONGROOM_IDENTITY names another"),
            ),
            IdentityError::Io { source, .. } if source.kind() == std::io::ErrorKind::AlreadyExists => (
                Exit::Failed,
                Some("choose another file; an identity is never overwritten"),
            ),
            IdentityError::Io { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => {
                (Exit::Denied, None)
            }
            IdentityError::Io { .. }
            | IdentityError::Format { .. }
            | IdentityError::BadPassphrase { .. }
            | IdentityError::Work { .. }
            | IdentityError::Entropy(_) => (Exit::Failed, None),
            IdentityError::Mode { .. } => (Exit::Denied, None),
            IdentityError::NeedsPassphrase { .. } => (
                Exit::Denied,
                Some(
                    "type it at a terminal, or name a file with --passphrase-file or STRONGROOM_PASSPHRASE_FILE",
                ),
            ),
            IdentityError::WrongPassphrase { .. } => (Exit::Denied, None),
        };
        Self::new(exit, error.to_string()).maybe_hint(hint)
    }
}

impl From<FilesError> for CliError {
    fn from(error: FilesError) -> Self {
        let exit = match &error {
            FilesError::Settings { .. } => Exit::Usage,
            FilesError::Symlink { .. }
            | FilesError::Writable { .. }
            | FilesError::Owner { .. }
            | FilesError::Denied { .. }
            | FilesError::Chown { .. }
            | FilesError::ReadOnly { .. } => Exit::Denied,
            _ => Exit::Failed,
        };
        Self::new(exit, error.to_string())
    }
}

impl From<ClientError> for CliError {
    fn from(error: ClientError) -> Self {
        let exit = match error.exit_code() {
            3 => Exit::Denied,
            5 => Exit::Unreachable,
            _ => Exit::Failed,
        };
        Self::new(exit, error.to_string())
    }
}

impl From<TrustError> for CliError {
    fn from(error: TrustError) -> Self {
        Self::failed(error.to_string()).hint(
            "the trust file remembers the highest verified revision; remove it only when you trust the \
             store as it is now",
        )
    }
}
