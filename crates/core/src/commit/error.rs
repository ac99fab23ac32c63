//! What can be wrong with a store's contents: owns the names of the ways in which it breaks.

use crate::id::Revision;

/// What an untrusted store held instead of what was signed. Nothing of it was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("revision {revision}: {what}")]
pub struct IntegrityError {
    /// The revision at fault.
    pub revision: Revision,
    /// What broke.
    pub what: Break,
}

/// The ways in which a store can break its chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Break {
    /// Another store than the pinned one.
    #[error("the store's fingerprint is not the pinned one: this is another store")]
    Fingerprint,
    /// The store went back behind what was verified.
    #[error("the store was rolled back: it was verified at a higher revision before")]
    RolledBack,
    /// The commit at a verified revision is another one now.
    #[error("the history was replaced: the commit verified before is not this one")]
    Replaced,
    /// A commit is missing.
    #[error("a commit is missing")]
    MissingCommit,
    /// A commit does not decode, or its bytes are not those its hash names.
    #[error("the commit is damaged")]
    DamagedCommit,
    /// A commit of a newer format.
    #[error("the commit has a newer format: update this program")]
    NewerFormat,
    /// A commit does not name its predecessor.
    #[error("the commit does not follow the one before it")]
    BrokenChain,
    /// The signature does not verify.
    #[error("the commit's signature does not verify")]
    Signature,
    /// The author is no member, or its role does not allow the change.
    #[error("the commit's author was not allowed to make it")]
    Unauthorised,
    /// A change contradicts the state before it.
    #[error("the commit contradicts the state before it")]
    Contradiction,
    /// A listed object is missing.
    #[error("a sealed record or key file that the commit lists is missing")]
    MissingObject,
    /// An object's bytes are not those that were signed.
    #[error("a sealed record or key file is not the one that was signed")]
    ForeignObject,
    /// A record does not open under its context.
    #[error("a sealed record does not open: it was changed or moved")]
    Record,
    /// A key file does not open for a member it was listed for.
    #[error("a key file does not open for this identity, which should open it")]
    KeyFile,
    /// The checkpoint does not verify.
    #[error("the checkpoint does not verify")]
    Checkpoint,
}

impl Break {
    /// This break at `revision`.
    #[must_use]
    pub fn at(self, revision: Revision) -> IntegrityError {
        IntegrityError { revision, what: self }
    }
}
