//! Why a vault refuses: owns the errors of opening, refreshing and committing.

use crate::ambient::{EntropyError, Timestamp};
use crate::commit::IntegrityError;
use crate::crypto::seal::SealError;
use crate::id::{Revision, Version};
use crate::name::{EntryPath, EnvironmentName};
use crate::policy::PolicyError;
use crate::rotation::Phase;
use crate::snapshot::{ReadError, Unfit};
use crate::store::StoreError;

/// Why a store was not opened, refreshed or verified.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store has no first commit.
    #[error("{location}: the store is empty: it has no first commit")]
    Empty {
        /// Where.
        location: String,
    },
    /// What the store holds was changed, forged, replayed or cut.
    #[error(transparent)]
    Integrity(#[from] IntegrityError),
    /// The identity is no member of this store.
    #[error("this identity is not a member of the store: ask an admin for `strongroom member add`")]
    NotMember,
}

/// Why nothing was committed; after [`CommitError::Unknown`] it may have been.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// The store could not be read or holds what was not signed.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// An entry, environment or member named by the change is not there.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No randomness.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// A precondition does not hold: somebody else was first.
    #[error("{path:?} in {environment:?} is at version {found}, not as expected: read it again")]
    Stale {
        /// The environment.
        environment: EnvironmentName,
        /// The path.
        path: EntryPath,
        /// The version that is there; 0 when absent.
        found: Version,
    },
    /// A rotation is at work on the entry, and it is not for this program to go on with it.
    #[error(
        "{path:?} in {environment:?} is being rotated by {by:?} since {since} ({phase}): resume or abort that first; other members can from {until} on"
    )]
    Rotating {
        /// The environment.
        environment: EnvironmentName,
        /// The path.
        path: EntryPath,
        /// Who runs it, by name, or the id of a removed member.
        by: String,
        /// Where it is.
        phase: Phase,
        /// When it began.
        since: Timestamp,
        /// Until when its program may be at work at the target.
        until: Timestamp,
    },
    /// No rotation is at work on the entry.
    #[error("{path:?} in {environment:?} is not being rotated: the rotation has ended, or none began")]
    NotRotating {
        /// The environment.
        environment: EnvironmentName,
        /// The path.
        path: EntryPath,
    },
    /// The storage failed in a way that leaves open whether the commit is in.
    #[error(
        "the store failed while it stored revision {revision}: whether the commit is in is not known; look at the history before trying again: {reason}"
    )]
    Unknown {
        /// The revision it would have.
        revision: Revision,
        /// The storage's own words.
        reason: String,
    },
    /// Other writers were first too often.
    #[error("other writers were first {attempts} times: nothing was committed; try again")]
    Contended {
        /// How often it was tried.
        attempts: u32,
    },
    /// The member's role or compartments do not allow it.
    #[error("this identity may not do that: {reason}")]
    Denied {
        /// Why.
        reason: String,
    },
    /// The policies that govern the change are not valid, or those it would leave behind are not.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// Documents would not be as their schemas say.
    #[error("{}", listed(.unfit))]
    Unfit {
        /// Everything that is wrong, at most 50.
        unfit: Vec<Unfit>,
    },
    /// The change itself is not valid.
    #[error("{problem}")]
    Invalid {
        /// What is wrong and what to do, never with a value.
        problem: String,
    },
}

fn listed(unfit: &[Unfit]) -> String {
    let lines = unfit.iter().map(|each| format!("\n  {each}"));
    format!(
        "these documents would not be fit to be delivered:{}",
        lines.collect::<String>()
    )
}

impl From<SealError> for CommitError {
    fn from(error: SealError) -> Self {
        match error {
            SealError::Entropy => Self::Entropy(EntropyError),
            SealError::TooLong(_) | SealError::Internal | SealError::Open(_) => Self::Invalid {
                problem: error.to_string(),
            },
        }
    }
}
