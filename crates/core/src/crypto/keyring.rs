//! Compartment keys: owns key files (one age file per compartment and term) and the set of keys
//! an identity has opened. It must not know which key files a signed commit lists; callers check.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::sync::Arc;

use zeroize::zeroize_stack;

use super::identity::{Identity, PublicIdentity, age_recipient};
use super::seal::Kek;
use crate::id::{CompartmentId, Term};

/// Stack that age may have left key material on, bytes; see `tests/memory.rs`.
pub(super) const STACK: usize = 32 << 10;

/// Why a key file was not made or not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyFileError {
    /// A key file needs at least one recipient.
    #[error("a key file needs at least one member to open it")]
    NoRecipient,
    /// A recipient is not an age X25519 key.
    #[error("a member's public key is not an age X25519 recipient")]
    Recipient,
    /// Not an age file holding a 32-byte key.
    #[error("the key file is damaged")]
    Damaged,
    /// Not sealed to this identity.
    #[error("the key file is not sealed to this identity")]
    NotRecipient,
}

/// Wraps `kek` to every recipient: one binary age file. Age draws its own randomness.
///
/// # Errors
/// [`KeyFileError::NoRecipient`]; [`KeyFileError::Recipient`] when one of them is not a key.
pub fn wrap(kek: &Kek, recipients: &[&PublicIdentity]) -> Result<Vec<u8>, KeyFileError> {
    let recipients = recipients
        .iter()
        .map(|public| age_recipient(&public.recipient).ok_or(KeyFileError::Recipient))
        .collect::<Result<Vec<_>, _>>()?;
    let encryptor = age::Encryptor::with_recipients(recipients.iter().map(|one| one as &dyn age::Recipient))
        .map_err(|_| KeyFileError::NoRecipient)?;
    // writing into memory: the errors below cannot happen
    let mut file = Vec::new();
    let mut writer = encryptor
        .wrap_output(&mut file)
        .map_err(|_| KeyFileError::Damaged)?;
    writer.write_all(kek.bytes()).map_err(|_| KeyFileError::Damaged)?;
    writer.finish().map_err(|_| KeyFileError::Damaged)?;
    zeroize_stack::<STACK>();
    Ok(file)
}

/// Opens a key file with `identity`. Age does not authenticate who wrote a key file: it counts
/// only when a signed commit lists its hash.
///
/// # Errors
/// [`KeyFileError::NotRecipient`] or [`KeyFileError::Damaged`].
pub fn unwrap(file: &[u8], identity: &Identity) -> Result<Kek, KeyFileError> {
    let kek = unwrap_core(file, identity);
    zeroize_stack::<STACK>();
    kek
}

#[inline(never)]
fn unwrap_core(file: &[u8], identity: &Identity) -> Result<Kek, KeyFileError> {
    let decryptor = age::Decryptor::new_buffered(file).map_err(|_| KeyFileError::Damaged)?;
    let mut reader = decryptor
        .decrypt(std::iter::once(identity.age() as &dyn age::Identity))
        .map_err(|error| match error {
            age::DecryptError::NoMatchingKeys => KeyFileError::NotRecipient,
            _ => KeyFileError::Damaged,
        })?;
    let mut kek = Kek::zeroed();
    reader
        .read_exact(kek.bytes_mut())
        .map_err(|_| KeyFileError::Damaged)?;
    match reader.read(&mut [0]) {
        Ok(0) => Ok(kek),
        _ => Err(KeyFileError::Damaged),
    }
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

    /// All open terms of a compartment, oldest first.
    pub fn terms(&self, compartment: CompartmentId) -> impl Iterator<Item = (Term, &Arc<Kek>)> {
        self.0
            .range((compartment, Term(0))..=(compartment, Term(u32::MAX)))
            .map(|((_, term), kek)| (*term, kek))
    }

    /// True when any term of the compartment is open.
    #[must_use]
    pub fn opens(&self, compartment: CompartmentId) -> bool {
        self.newest(compartment).is_some()
    }
}
