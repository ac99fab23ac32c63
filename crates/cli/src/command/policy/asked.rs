//! What is asked for when only its path is said: owns which kind of entry an action is about, and the
//! compartment an entry lies in that says none.

use strongroom_core::kind::Kind;
use strongroom_core::name::{CompartmentName, NameError};
use strongroom_core::policy::Action;

/// The kind an action is about when nothing else is said.
pub(super) fn kind_of(action: Action) -> Kind {
    match action {
        Action::ReadConfig => Kind::Config,
        Action::EvaluateFlag => Kind::Flag,
        Action::Administer => Kind::Policy,
        Action::ReadSecret
        | Action::Describe
        | Action::Watch
        | Action::Confirm
        | Action::Commit
        | Action::Rotate => Kind::Secret,
    }
}

/// Policies lie in `common`, everything else in the compartment of its environment.
pub(super) fn home(kind: Kind, environment: &str) -> Result<CompartmentName, NameError> {
    CompartmentName::new(if kind == Kind::Policy {
        "common"
    } else {
        environment
    })
}
