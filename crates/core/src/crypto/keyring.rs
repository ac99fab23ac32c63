//! Compartment keys: owns key files (one age file per compartment and term) and the set of keys
//! an identity has opened. It must not know which key files a signed commit lists; callers check.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::identity::{Identity, PublicIdentity};
use super::seal::Kek;
use crate::id::{CompartmentId, Term};

/// Why a key file was not made or not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyFileError {
    /// A key file needs at least one recipient.
    #[error("a key file needs at least one member to open it")]
    NoRecipient,
    /// Not an age file holding a 32-byte key.
    #[error("the key file is damaged")]
    Damaged,
    /// Not sealed to this identity.
    #[error("the key file is not sealed to this identity")]
    NotRecipient,
}

/// Wraps `kek` to every recipient: one age file.
///
/// # Errors
/// [`KeyFileError::NoRecipient`], [`KeyFileError::Damaged`] when age refuses.
pub fn wrap(kek: &Kek, recipients: &[&PublicIdentity]) -> Result<Vec<u8>, KeyFileError> {
    let _ = (kek, recipients);
    todo!()
}

/// Opens a key file with `identity`.
///
/// # Errors
/// [`KeyFileError::NotRecipient`] or [`KeyFileError::Damaged`].
pub fn unwrap(file: &[u8], identity: &Identity) -> Result<Kek, KeyFileError> {
    let _ = (file, identity);
    todo!()
}

/// The keys that are open, by compartment and term. Cloning shares them.
#[derive(Clone, Debug, Default)]
pub struct Keyring(BTreeMap<(CompartmentId, Term), Arc<Kek>>);

impl Keyring {
    /// Adds a key.
    pub fn insert(&mut self, compartment: CompartmentId, term: Term, kek: Arc<Kek>) {
        self.0.insert((compartment, term), kek);
    }

    /// The key of one term.
    #[must_use]
    pub fn get(&self, compartment: CompartmentId, term: Term) -> Option<&Arc<Kek>> {
        self.0.get(&(compartment, term))
    }

    /// The newest term that is open, and its key.
    #[must_use]
    pub fn newest(&self, compartment: CompartmentId) -> Option<(Term, &Arc<Kek>)> {
        self.0
            .range((compartment, Term(0))..=(compartment, Term(u32::MAX)))
            .next_back()
            .map(|((_, term), kek)| (*term, kek))
    }

    /// True when any term of the compartment is open.
    #[must_use]
    pub fn opens(&self, compartment: CompartmentId) -> bool {
        self.newest(compartment).is_some()
    }
}
