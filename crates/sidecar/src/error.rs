//! Why a sidecar does not start: owns the exit code of every reason.

use strongroom_core::crypto::identity::IdentityError;
use strongroom_core::store::StoreError;
use strongroom_core::vault::{OpenError, TrustError};

use crate::listen::{DoorError, ListenError};
use crate::settings::Problems;
use crate::unserved::Unserved;

/// Why a sidecar does not start, or ends.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The settings file cannot be read.
    #[error("{file}: {source}")]
    SettingsFile {
        /// The file.
        file: String,
        /// The reason.
        source: std::io::Error,
    },
    /// The settings are not valid.
    #[error("{file} is not valid:\n{problems}")]
    Settings {
        /// The file.
        file: String,
        /// All of them.
        problems: Problems,
    },
    /// The identity cannot be used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The passphrase's file cannot be used.
    #[error("passphrase file {file}: {problem}")]
    Passphrase {
        /// The file.
        file: String,
        /// What is wrong.
        problem: String,
    },
    /// Others may read the passphrase.
    #[error("passphrase file {file} may be read by others (mode {mode:04o}): run `chmod 600` on it")]
    PassphraseMode {
        /// The file.
        file: String,
        /// Its permission bits.
        mode: u32,
    },
    /// The state directory cannot be used.
    #[error("state directory {directory}: {problem}")]
    State {
        /// The directory.
        directory: String,
        /// What is wrong.
        problem: String,
    },
    /// The audit log cannot be written.
    #[error("audit log in {directory}: {source}")]
    Audit {
        /// Its directory.
        directory: String,
        /// The reason.
        source: std::io::Error,
    },
    /// What would be served has policies that do not hold, or documents that are not as schemas say.
    #[error("{error}{copy}")]
    Unserved {
        /// What is wrong.
        error: Unserved,
        /// Why the copy cannot be used, if there is one.
        copy: String,
    },
    /// The trust file cannot be used.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The store does not open, and there is no copy that does.
    #[error("{error}{copy}")]
    Open {
        /// Why the store does not.
        error: OpenError,
        /// Why the copy does not, if there is one.
        copy: String,
    },
    /// The environment is not there.
    #[error("there is no environment {name:?} in this store; it has: {known}")]
    Environment {
        /// The one of the settings.
        name: String,
        /// Those that are there.
        known: String,
    },
    /// The socket cannot be served.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The system refused.
    #[error("could not {action}: {source}")]
    System {
        /// What was tried.
        action: &'static str,
        /// The reason.
        source: std::io::Error,
    },
}

impl From<DoorError> for StartError {
    fn from(error: DoorError) -> Self {
        match error {
            DoorError::Listen(error) => error.into(),
            DoorError::Policy(error) => Unserved::from(error).into(),
        }
    }
}

impl From<Unserved> for StartError {
    fn from(error: Unserved) -> Self {
        Self::Unserved {
            error,
            copy: String::new(),
        }
    }
}

impl StartError {
    /// 1 failed, 2 usage, 3 denied, 4 integrity, 5 unreachable.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::SettingsFile { .. } | Self::Settings { .. } => 2,
            Self::PassphraseMode { .. }
            | Self::Identity(IdentityError::Mode { .. } | IdentityError::WrongPassphrase { .. })
            | Self::Identity(IdentityError::NeedsPassphrase { .. }) => 3,
            Self::Open { error, .. } => match error {
                OpenError::NotMember => 3,
                OpenError::Integrity(_) => 4,
                OpenError::Store(StoreError::Damaged { .. } | StoreError::Newer { .. }) => 4,
                OpenError::Store(StoreError::Location { .. }) => 2,
                OpenError::Store(_) | OpenError::Empty { .. } => 5,
            },
            Self::Identity(_)
            | Self::Passphrase { .. }
            | Self::State { .. }
            | Self::Trust(_)
            | Self::Environment { .. }
            | Self::Listen(_)
            | Self::Audit { .. }
            | Self::System { .. } => 1,
            Self::Unserved { .. } => 4,
        }
    }
}
