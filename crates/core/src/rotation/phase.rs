//! The phases of a rotation and the steps between them: owns which step may follow what, and how
//! it moves the labels. A phase is what is stored; whatever is done in it may be done again.

use std::fmt;
use std::str::FromStr;

/// How the target goes from one credential to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Strategy {
    /// One credential, changed in place: the old one ends when the new one is applied.
    Replace = 1,
    /// Two credentials are valid at once.
    Overlap = 2,
    /// Two accounts take turns.
    Alternate = 3,
}

impl Strategy {
    pub(crate) const ALL: [Self; 3] = [Self::Replace, Self::Overlap, Self::Alternate];

    /// The word used in messages and plans.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Replace => "replace",
            Self::Overlap => "overlap",
            Self::Alternate => "alternate",
        }
    }

    /// True where the old credential is valid until it is retired.
    #[must_use]
    pub fn keeps_previous(self) -> bool {
        match self {
            Self::Replace => false,
            Self::Overlap | Self::Alternate => true,
        }
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The word is not a strategy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a strategy is one of replace, overlap, alternate")]
pub struct StrategyError;

impl FromStr for Strategy {
    type Err = StrategyError;
    fn from_str(text: &str) -> Result<Self, StrategyError> {
        Self::ALL
            .into_iter()
            .find(|strategy| strategy.as_str() == text)
            .ok_or(StrategyError)
    }
}

/// Where a rotation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Phase {
    /// The new credential is pending; the target may have it or not.
    Applying = 1,
    /// The new credential is current; consumers take it up.
    Delivering = 2,
    /// The old credential is to end; the target may have ended it or not. There is no way back.
    Retiring = 3,
    /// The new credential is to end; the target may have ended it or not.
    Undoing = 4,
    /// The old credential is current again; consumers take it up.
    Returning = 5,
}

impl Phase {
    pub(crate) const ALL: [Self; 5] = [
        Self::Applying,
        Self::Delivering,
        Self::Retiring,
        Self::Undoing,
        Self::Returning,
    ];

    /// The word used in messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Applying => "applying",
            Self::Delivering => "delivering",
            Self::Retiring => "retiring",
            Self::Undoing => "undoing",
            Self::Returning => "returning",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A decision, which is one commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A new value is pending.
    Begin,
    /// The new credential works: it is current from here on.
    Deliver,
    /// Consumers have the new credential, or somebody does not wait for them: the old one ends.
    Retire {
        /// Whether somebody did not wait.
        forced: bool,
    },
    /// Consumers go back to the old credential.
    TakeBack,
    /// The new credential ends.
    Undo {
        /// Whether somebody did not wait for consumers to go back.
        forced: bool,
    },
    /// Nothing is left to do.
    End(Outcome),
}

/// How a rotation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The new credential alone is valid.
    Rotated,
    /// The old credential alone is valid.
    Undone,
}

/// How a step moves the labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// A new version becomes pending.
    Pending,
    /// Not at all.
    Stay,
    /// Pending becomes current, current becomes previous.
    Promote,
    /// Previous becomes current, current becomes pending.
    TakeBack,
    /// Pending goes.
    Drop,
    /// Previous goes.
    Retire,
}

impl Step {
    /// The phase it leads to from `phase`, and how it moves the labels; `None` where it does not
    /// follow. The outer phase is `None` before a rotation begins, the inner one after it ended.
    #[must_use]
    pub fn from(self, strategy: Strategy, phase: Option<Phase>) -> Option<(Option<Phase>, Move)> {
        let keeps = strategy.keeps_previous();
        let (to, moves) = match (self, phase) {
            (Self::Begin, None) => (Phase::Applying, Move::Pending),
            (Self::Deliver, Some(Phase::Applying)) => (Phase::Delivering, Move::Promote),
            (Self::Retire { .. }, Some(Phase::Delivering)) if keeps => (Phase::Retiring, Move::Stay),
            (Self::TakeBack, Some(Phase::Delivering)) if keeps => (Phase::Returning, Move::TakeBack),
            (Self::Undo { .. }, Some(Phase::Applying | Phase::Returning)) => (Phase::Undoing, Move::Stay),
            (Self::End(Outcome::Undone), Some(Phase::Undoing)) => return Some((None, Move::Drop)),
            (Self::End(Outcome::Rotated), Some(Phase::Retiring)) => return Some((None, Move::Retire)),
            // Applying the new credential has ended the old one.
            (Self::End(Outcome::Rotated), Some(Phase::Delivering)) if !keeps => {
                return Some((None, Move::Retire));
            }
            _ => return None,
        };
        Some((Some(to), moves))
    }
}
