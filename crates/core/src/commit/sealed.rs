//! A record that counts: owns the proof that a sealed record's bytes are those a signed commit
//! lists. Records are opened through this type only; plain AES-GCM commits to no key, the listed
//! hash does.

use std::sync::Arc;

use super::error::Break;
use crate::crypto::keyring::Keyring;
use crate::crypto::seal::{self, Context};
use crate::id::Hash;
use crate::secret::Secret;

/// Sealed bytes whose hash was checked.
#[derive(Clone, Debug)]
pub struct Sealed(Arc<[u8]>);

impl Sealed {
    /// Accepts `bytes` as the object that is listed as `hash`.
    ///
    /// # Errors
    /// [`Break::ForeignObject`].
    pub fn check(hash: Hash, bytes: &[u8]) -> Result<Self, Break> {
        if Hash::of(bytes) == hash {
            Ok(Self(Arc::from(bytes)))
        } else {
            Err(Break::ForeignObject)
        }
    }

    /// The sealed bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Opens the record with the key of the term it names.
    ///
    /// # Errors
    /// [`Break::Record`].
    pub fn open(&self, keyring: &Keyring, context: &Context) -> Result<Secret, Break> {
        open(&self.0, keyring, context)
    }
}

fn open(bytes: &[u8], keyring: &Keyring, context: &Context) -> Result<Secret, Break> {
    let term = seal::term_of(bytes).map_err(|_| Break::Record)?;
    let kek = keyring.get(context.compartment, term).ok_or(Break::Record)?;
    seal::open(kek, context, bytes).map_err(|_| Break::Record)
}
