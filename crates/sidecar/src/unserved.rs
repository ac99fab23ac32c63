//! What a verified revision must be besides to be served: owns asking whether its policies hold and
//! its documents are as their schemas say, whether what the settings have made of it can be, and why it is not served. It must not know who waits.

use std::sync::Arc;

use strongroom_core::name::EnvironmentName;
use strongroom_core::policy::{Policies, PolicyError};
use strongroom_core::snapshot::{Changed, Locals, Snapshot, Unfit};

use crate::state::{Current, State};

/// Most faults that are said.
const MAX_SAID: usize = 20;

/// Why a verified revision is not served.
#[derive(Debug, thiserror::Error)]
pub enum Unserved {
    /// Its policies do not hold.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// Documents are not as their schemas say, or refer to secrets that are not there.
    #[error("{}", listed(.0))]
    Config(Vec<Unfit>),
    /// What the settings have made of it cannot be made.
    #[error("{}", listed(.problems))]
    Unmade {
        /// What is wrong.
        problems: Vec<String>,
        /// True when some of it may go by itself, with the same revision.
        is_temporary: bool,
    },
}

impl Unserved {
    /// True when it may go by itself, with the same revision.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        matches!(
            self,
            Self::Unmade {
                is_temporary: true,
                ..
            }
        )
    }

    /// What the audit log says; the log of the process says more.
    #[must_use]
    pub fn recorded(&self) -> &'static str {
        match self {
            Self::Policy(_) => "the policies of the store's newest revision are not valid",
            Self::Config(_) => "documents of the store's newest revision are not fit to be served",
            Self::Unmade { .. } => {
                "what the settings have made of the store's newest revision, such as templates, cannot be made"
            }
        }
    }
}

fn listed(unfit: &[impl ToString]) -> String {
    let said = unfit.iter().take(MAX_SAID).map(ToString::to_string);
    let mut said = said.collect::<Vec<_>>().join("; ");
    if unfit.len() > MAX_SAID {
        said.push_str("; and more");
    }
    said
}

/// Refuses documents that are not as their schemas say, or refer to secrets that are not there; of `changes`
/// only what they made.
///
/// # Errors
/// [`Unserved`].
pub fn check_config(
    snapshot: &Snapshot,
    environment: &EnvironmentName,
    changes: Option<&[Changed]>,
) -> Result<(), Unserved> {
    let unfit = match changes {
        Some(changes) => snapshot.unfit_after(environment, changes),
        None => snapshot.unfit(environment),
    };
    let unfit = unfit.map_err(PolicyError::from)?;
    if unfit.is_empty() {
        Ok(())
    } else {
        Err(Unserved::Config(unfit))
    }
}

/// Refuses what the settings have made of `next` when it cannot be made.
///
/// # Errors
/// [`Unserved`].
pub fn check_made(state: &Arc<State>, next: &Current) -> Result<(), Unserved> {
    state.makings().check(state, &next.decisions, &next.snapshot)
}

/// Refuses what is found wrong when a store is opened; what cannot be asked yet is found missing later.
///
/// # Errors
/// [`Unserved`].
pub fn check_opened(
    snapshot: &Snapshot,
    environment: &EnvironmentName,
    locals: &Arc<Locals>,
) -> Result<(), Unserved> {
    match Policies::of(snapshot, environment) {
        Err(error @ (PolicyError::Text { .. } | PolicyError::TooMany { .. })) => Err(error.into()),
        Err(_) => Ok(()),
        Ok(_) => {
            let snapshot = snapshot.serving(environment, Arc::clone(locals));
            check_config(&snapshot.map_err(PolicyError::from)?, environment, None)
        }
    }
}
