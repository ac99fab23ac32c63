//! Why policies are refused: owns the fault of one text, with its place, and the error that says
//! whose text it was.

use std::fmt;

use crate::name::{EntryPath, EnvironmentName};
use crate::snapshot::ReadError;

/// Why a set of policies was not made. Nobody may go on without it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// A policy entry is no valid policy.
    #[error("policy {path:?} in {environment:?}: {fault}")]
    Text {
        /// The environment of the entry.
        environment: EnvironmentName,
        /// Its path.
        path: EntryPath,
        /// What is wrong with it and where.
        fault: Fault,
    },
    /// A policy entry was not read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// More policies than one environment may have.
    #[error("{environment:?} has and inherits more than {limit} policies")]
    TooMany {
        /// The environment.
        environment: EnvironmentName,
        /// The most.
        limit: usize,
    },
    /// What is built in does not fit together, or a principal cannot be described.
    #[error("policies: {0}")]
    Internal(String),
}

/// What is wrong with one text of policies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where, when that is known.
    pub place: Option<Place>,
    /// Which policy of the text, from 1.
    pub policy: Option<usize>,
    /// What, and what may have been meant. Names the attributes, actions and types of the text,
    /// never its strings.
    pub reason: String,
}

/// A place in a text, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

impl Place {
    /// The place of a byte of `text`.
    pub(super) fn of(text: &str, byte: usize) -> Self {
        let mut place = Self { line: 1, column: 1 };
        for (at, char) in text.char_indices() {
            if at >= byte {
                break;
            }
            if char == '\n' {
                place = Self {
                    line: place.line + 1,
                    column: 1,
                };
            } else {
                place.column += 1;
            }
        }
        place
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Place { line, column }) = self.place {
            write!(f, "line {line}, column {column}: ")?;
        }
        if let Some(policy) = self.policy {
            write!(f, "policy {policy}: ")?;
        }
        f.write_str(&self.reason)
    }
}

impl std::error::Error for Fault {}
