//! What can be asked of an entry: owns the words of actions, and which of them a change is. It
//! must not know Cedar.

use std::fmt;
use std::str::FromStr;

use crate::kind::Kind;

/// What somebody wants to do with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// A workload takes a secret.
    ReadSecret,
    /// A workload learns that the entry exists, and its version.
    Describe,
    /// A workload takes a config document, or a policy or schema.
    ReadConfig,
    /// A workload has a flag evaluated, or takes its definition.
    EvaluateFlag,
    /// A workload is told of changes.
    Watch,
    /// A workload says that it uses a version.
    Confirm,
    /// A member changes or deletes an entry that is no policy.
    Commit,
    /// A member gives a secret a new value and changes nothing else.
    Rotate,
    /// A member changes or deletes a policy.
    Administer,
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::ReadSecret,
        Self::Describe,
        Self::ReadConfig,
        Self::EvaluateFlag,
        Self::Watch,
        Self::Confirm,
        Self::Commit,
        Self::Rotate,
        Self::Administer,
    ];

    /// The word used in policies, messages and on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReadSecret => "readSecret",
            Self::Describe => "describe",
            Self::ReadConfig => "readConfig",
            Self::EvaluateFlag => "evaluateFlag",
            Self::Watch => "watch",
            Self::Confirm => "confirm",
            Self::Commit => "commit",
            Self::Rotate => "rotate",
            Self::Administer => "administer",
        }
    }

    /// True when members do it, and not workloads.
    #[must_use]
    pub fn is_of_members(self) -> bool {
        matches!(self, Self::Commit | Self::Rotate | Self::Administer)
    }

    /// What taking a value of that kind is.
    #[must_use]
    pub fn read_of(kind: Kind) -> Self {
        match kind {
            Kind::Secret => Self::ReadSecret,
            Kind::Flag => Self::EvaluateFlag,
            Kind::Config | Kind::Policy | Kind::Schema => Self::ReadConfig,
        }
    }

    /// What a member's change of an entry of that kind is; `only_value` when the entry was there
    /// and keeps everything but its value.
    #[must_use]
    pub fn change_of(kind: Kind, only_value: bool) -> Self {
        match kind {
            Kind::Policy => Self::Administer,
            Kind::Secret if only_value => Self::Rotate,
            Kind::Secret | Kind::Config | Kind::Flag | Kind::Schema => Self::Commit,
        }
    }

    /// Its place in [`Action::ALL`].
    pub(super) fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The word is not an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "an action is one of readSecret, describe, readConfig, evaluateFlag, watch, confirm, commit, rotate, administer"
)]
pub struct ActionError;

impl FromStr for Action {
    type Err = ActionError;

    fn from_str(text: &str) -> Result<Self, ActionError> {
        let known = |action: &Self| action.as_str() == text;
        Self::ALL.into_iter().find(known).ok_or(ActionError)
    }
}
