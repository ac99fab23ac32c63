//! Rotators: owns how a rotation is driven from its plan to its end, with a target and consumers
//! behind two small traits. It must not know terminals, nor what any target is.

mod account;
mod drive;
mod due;
pub mod exec;
mod lock;
mod named;
mod reported;

use std::time::Duration;

use crate::ambient::Timestamp;
use crate::id::{EntryId, Revision, Version};
use crate::name::{EntryPath, EnvironmentName};
use crate::rotation::{Effect, Phase, Step, Strategy};
use crate::secret::Secret;
use crate::snapshot::Entry;

#[cfg(feature = "targets")]
pub(crate) use account::Account;
pub use account::AccountError;
pub use drive::{DriveError, Driver, End, How};
pub use due::{Standing, StandingError, due};
pub use lock::{Lock, LockError};
pub use named::{LABEL, Named, PlanTrouble};
pub use reported::Reports;

/// What a target is asked to do. Each may have been done before, in whole or in part, and is to leave
/// the same behind as if it had not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The new credential becomes valid; with `replace` in place of the old one.
    Apply,
    /// Is the new credential valid?
    ProbeNew,
    /// Is the old credential valid?
    ProbeOld,
    /// The old credential is valid no more.
    Retire,
    /// The new credential is valid no more, the old one is.
    Undo,
}

impl From<Effect> for Action {
    fn from(effect: Effect) -> Self {
        match effect {
            Effect::Apply => Self::Apply,
            Effect::ProbePending => Self::ProbeNew,
            Effect::ProbeCurrent => Self::ProbeOld,
            Effect::Retire => Self::Retire,
            Effect::Undo => Self::Undo,
        }
    }
}

/// One version of the secret.
#[derive(Clone, Copy, Debug)]
pub struct Credential<'a> {
    /// Its number.
    pub version: Version,
    /// Its value.
    pub value: &'a Secret,
}

/// What is asked of a target.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// What to do.
    pub action: Action,
    /// The environment.
    pub environment: &'a EnvironmentName,
    /// The path of the secret.
    pub path: &'a EntryPath,
    /// How the target goes from one credential to the next.
    pub strategy: Strategy,
    /// The credential that the rotation brings.
    pub new: Credential<'a>,
    /// The credential from before.
    pub old: Credential<'a>,
    /// The secret that the plan names as the admin's.
    pub admin: Option<&'a Secret>,
}

/// What is asked of a target before a rotation begins.
#[derive(Clone, Copy, Debug)]
pub struct Check<'a> {
    /// How the target is to go from one credential to the next.
    pub strategy: Strategy,
    /// The two accounts that take turns.
    pub accounts: Option<&'a [String; 2]>,
    /// The secret that the plan names as the admin's.
    pub admin: Option<&'a Secret>,
}

/// Why a target did not do what it was asked. Never holds a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// It may do it later.
    #[error("{0}")]
    Later(String),
    /// It will not, or nobody knows whether it did.
    #[error("{0}")]
    Failed(String),
}

/// Where credentials are valid.
pub trait Target {
    /// Whether it is there and would do what is asked, as far as it can tell without changing anything.
    ///
    /// # Errors
    /// [`Trouble`].
    fn check(&mut self, _check: &Check<'_>, _limit: Duration) -> Result<(), Trouble> {
        Ok(())
    }
    /// Does what is asked, within `limit`: what is not done by then is ended.
    ///
    /// # Errors
    /// [`Trouble`].
    fn perform(&mut self, call: &Call<'_>, limit: Duration) -> Result<(), Trouble>;
}

/// A version that consumers are to have.
#[derive(Clone, Copy, Debug)]
pub struct Delivered<'a> {
    /// The environment.
    pub environment: &'a EnvironmentName,
    /// The path of the secret.
    pub path: &'a EntryPath,
    /// Which entry it is.
    pub entry: EntryId,
    /// The version.
    pub version: Version,
    /// The revision that made it current.
    pub revision: Revision,
    /// Since when this rotator waits.
    pub since: Timestamp,
}

/// A consumer that has not confirmed a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Who it is, for people.
    pub consumer: String,
    /// Since when it is waited for.
    pub since: Timestamp,
}

/// What consumers have.
pub trait Uptake {
    /// The consumers that have not confirmed it; none when all have.
    ///
    /// # Errors
    /// Why nobody can tell.
    fn waiting(&mut self, delivered: &Delivered<'_>) -> Result<Vec<Waiting>, String>;

    /// Waits until something may have changed, at most so long. Blocks.
    fn pause(&mut self, at_most: Duration) {
        std::thread::sleep(at_most);
    }
}

/// What happened, as it happens.
#[derive(Clone, Debug)]
pub enum Told<'a> {
    /// A decision is in the store.
    Committed(Step, Revision),
    /// This rotator runs it from here on.
    TakenOver(Phase),
    /// The target did it.
    Done(Effect),
    /// The target is asked again.
    Again(Effect, &'a str),
    /// The target did not do it.
    Failed(Effect, &'a str),
    /// Consumers are waited for.
    Waiting(&'a [Waiting]),
}

/// Who looks on.
pub trait Witness {
    /// Values are about to be opened for the target: a record of that, where one is kept.
    ///
    /// # Errors
    /// Why it could not be recorded: no value is opened then.
    fn opens(&mut self, entries: &[&Entry], at: Revision) -> Result<(), String>;
    /// Something happened.
    fn told(&mut self, told: &Told<'_>);
}
