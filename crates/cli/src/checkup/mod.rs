//! Checks of what protects values: owns the form of a finding. What is looked at is in
//! the modules; nothing here changes anything.

pub(crate) mod files;
pub(crate) mod machine;
pub(crate) mod process;

use serde::Serialize;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    /// The protection holds.
    Ok,
    /// It does not, or less than it could; everything works.
    Warning,
    /// Values are open to others, or something will not work.
    Problem,
    /// There was nothing to look at.
    Skipped,
}

/// One check.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Finding {
    /// What was looked at.
    pub(crate) check: &'static str,
    pub(crate) state: State,
    /// What was found.
    pub(crate) detail: String,
    /// What to do, when it does not hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
}

impl Finding {
    pub(crate) fn ok(check: &'static str, detail: impl Into<String>) -> Self {
        Self::new(check, State::Ok, detail, None)
    }

    pub(crate) fn skipped(check: &'static str, detail: impl Into<String>) -> Self {
        Self::new(check, State::Skipped, detail, None)
    }

    pub(crate) fn warning(check: &'static str, detail: impl Into<String>, next: impl Into<String>) -> Self {
        Self::new(check, State::Warning, detail, Some(next.into()))
    }

    pub(crate) fn problem(check: &'static str, detail: impl Into<String>, next: impl Into<String>) -> Self {
        Self::new(check, State::Problem, detail, Some(next.into()))
    }

    fn new(check: &'static str, state: State, detail: impl Into<String>, next: Option<String>) -> Self {
        Self {
            check,
            state,
            detail: detail.into(),
            next,
        }
    }
}
