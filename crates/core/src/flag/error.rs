//! What can be wrong with flags: owns the error of a definition, with its place, and the codes of an evaluation
//! that has no result. Errors never hold any of the definition or of the context but known words.

use std::fmt;
use std::sync::LazyLock;

use serde_json::{Map, Value};

/// Why a text is not a flag definition, a set or a flagd file. Never holds any of it but the names of known keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the flag definition is not valid{}: {problem}", place(.position))]
pub struct FlagError {
    /// See [`FlagError::position`].
    pub(super) position: String,
    pub(super) problem: String,
}

/// The place of a member, or an item, of what stands at `place`, as a JSON pointer has it.
pub(super) fn below(place: &str, step: &str) -> String {
    format!("{place}/{}", step.replace('~', "~0").replace('/', "~1"))
}

fn place(position: &str) -> String {
    if position.is_empty() {
        String::new()
    } else {
        format!(" at {position}")
    }
}

impl FlagError {
    pub(super) fn new(problem: impl Into<String>) -> Self {
        Self {
            position: String::new(),
            problem: problem.into(),
        }
    }

    /// Where it is wrong, as a JSON pointer such as `/targeting/if/0`; empty for the whole. An evaluator of a set
    /// stands there by its number, since its name is not told: `/$evaluators/0`.
    #[must_use]
    pub fn position(&self) -> &str {
        &self.position
    }

    /// What is wrong.
    #[must_use]
    pub fn problem(&self) -> &str {
        &self.problem
    }
}

/// The error codes of OpenFeature that an evaluation ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// There is no such flag.
    FlagNotFound,
    /// The definition cannot be evaluated.
    Parse,
    /// The value is of another type than asked for.
    TypeMismatch,
    /// Everything else: a rule chose what is no variant, or asked for too much work.
    General,
}

impl Code {
    /// The code as the protocols have it, such as `FLAG_NOT_FOUND`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FlagNotFound => "FLAG_NOT_FOUND",
            Self::Parse => "PARSE_ERROR",
            Self::TypeMismatch => "TYPE_MISMATCH",
            Self::General => "GENERAL",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An evaluation without a result. Its text says what is wrong, without values.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("{code}: {detail}")]
pub struct Failure<'a> {
    /// The code.
    pub code: Code,
    /// What is wrong.
    pub detail: &'a str,
    /// The metadata of the flag and its set, which answers have with errors too.
    pub metadata: &'a Map<String, Value>,
}

impl Failure<'static> {
    /// That there is no such flag.
    #[must_use]
    pub fn not_found() -> Self {
        Self::bare(Code::FlagNotFound, "there is no such flag")
    }

    /// That there is no value, to who cannot be told to take his own.
    #[must_use]
    pub fn no_default() -> Self {
        Self::bare(Code::FlagNotFound, "the flag leaves its value to who asks")
    }
}

impl<'a> Failure<'a> {
    /// One of which there is no flag that could say more.
    pub(crate) fn bare(code: Code, detail: &'a str) -> Self {
        static NOTHING: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);
        let metadata = &NOTHING;
        Self {
            code,
            detail,
            metadata,
        }
    }
}
