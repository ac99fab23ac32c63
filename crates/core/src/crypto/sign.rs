//! Ed25519 signatures (RFC 8032) with ring: owns the key types. It must not know what is signed.

use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use zeroize::{Zeroizing, zeroize_stack};

use crate::ambient::{Entropy, EntropyError};

/// Length of a signature in bytes.
pub const SIGNATURE: usize = 64;

/// Stack that ring may have left key material on, bytes; see `tests/memory.rs`.
const STACK: usize = 16 << 10;

/// A private signing key: its 32-byte seed. Ring's expanded key cannot be wiped, so it is made
/// for each signature, on a stack that is wiped after it.
pub struct SigningKey {
    seed: Box<Zeroizing<[u8; 32]>>,
    public: VerifyKey,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey([redacted])")
    }
}

/// A public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VerifyKey(pub [u8; 32]);

/// The signature was not made by this key over these bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not verify")]
pub struct BadSignature;

impl SigningKey {
    /// A new random key.
    ///
    /// # Errors
    /// [`EntropyError`].
    pub fn generate(entropy: &dyn Entropy) -> Result<Self, EntropyError> {
        let mut seed = Box::new(Zeroizing::new([0; 32]));
        entropy.fill(seed.as_mut_slice())?;
        Ok(Self::from_seed(seed))
    }

    pub(super) fn from_seed(seed: Box<Zeroizing<[u8; 32]>>) -> Self {
        let public = VerifyKey(public_core(&seed));
        zeroize_stack::<STACK>();
        Self { seed, public }
    }

    pub(crate) fn seed(&self) -> &[u8; 32] {
        &self.seed
    }

    /// The public half.
    #[must_use]
    pub fn verify_key(&self) -> VerifyKey {
        self.public
    }

    /// Signs `message`.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; SIGNATURE] {
        let signature = sign_core(&self.seed, message);
        zeroize_stack::<STACK>();
        signature
    }
}

// Ring refuses a seed for its length only, so neither default below is ever returned; both are
// harmless, since nothing verifies with them.

#[inline(never)]
fn public_core(seed: &[u8; 32]) -> [u8; 32] {
    let mut public = [0; 32];
    if let Ok(pair) = Ed25519KeyPair::from_seed_unchecked(seed) {
        public.copy_from_slice(pair.public_key().as_ref());
    }
    public
}

#[inline(never)]
fn sign_core(seed: &[u8; 32], message: &[u8]) -> [u8; SIGNATURE] {
    let mut signature = [0; SIGNATURE];
    if let Ok(pair) = Ed25519KeyPair::from_seed_unchecked(seed) {
        signature.copy_from_slice(pair.sign(message).as_ref());
    }
    signature
}

impl VerifyKey {
    /// Checks `signature` over `message`.
    ///
    /// # Errors
    /// [`BadSignature`].
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
        UnparsedPublicKey::new(&ED25519, &self.0)
            .verify(message, signature)
            .map_err(|_| BadSignature)
    }
}
