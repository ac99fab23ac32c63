//! The kinds of entries: owns their words and format bytes.

use std::fmt;
use std::str::FromStr;

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// A secret: any bytes; never inherited between environments.
    Secret = 1,
    /// A config document; inherited and merged.
    Config = 2,
    /// A feature flag; inherited, the nearest definition wins whole.
    Flag = 3,
    /// A policy.
    Policy = 4,
    /// A schema.
    Schema = 5,
}

impl Kind {
    pub(crate) const ALL: [Self; 5] = [Self::Secret, Self::Config, Self::Flag, Self::Policy, Self::Schema];

    /// The word used in messages, files and on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Config => "config",
            Self::Flag => "flag",
            Self::Policy => "policy",
            Self::Schema => "schema",
        }
    }

    /// True when a child environment sees its parent's entries of this kind.
    #[must_use]
    pub fn is_inherited(self) -> bool {
        matches!(self, Self::Config | Self::Flag)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The word is not a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a kind is one of secret, config, flag, policy, schema")]
pub struct KindError;

impl FromStr for Kind {
    type Err = KindError;
    fn from_str(text: &str) -> Result<Self, KindError> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or(KindError)
    }
}
