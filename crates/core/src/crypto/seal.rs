//! The sealing of one record: owns the envelope bytes and their context binding.
//! Algorithm: `docs/format.md`, "Record".

use zeroize::Zeroizing;

use crate::ambient::Entropy;
use crate::id::{CompartmentId, StoreId, Term};
use crate::secret::Secret;

/// Bytes a sealed record is longer than its plaintext.
pub const OVERHEAD: usize = 81;
/// Longest plaintext of a record, bytes: 1 MiB.
pub const MAX_PLAINTEXT: usize = 1 << 20;

/// A compartment's key of one term: encrypts data keys, never data.
pub struct Kek(Box<Zeroizing<[u8; 32]>>);

impl std::fmt::Debug for Kek {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Kek([redacted])")
    }
}

impl Kek {
    /// A new random key.
    ///
    /// # Errors
    /// [`SealError::Entropy`].
    pub fn generate(entropy: &dyn Entropy) -> Result<Self, SealError> {
        let _ = entropy;
        todo!()
    }
}

/// What a record is; bound into its seal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Purpose {
    /// An entry's name, kind and labels.
    Meta = 1,
    /// An entry's value.
    Value = 2,
    /// The name of a member, compartment or environment.
    Name = 3,
    /// A commit's message.
    Message = 4,
}

/// Everything a record is bound to; a record opens only under exactly the context it was sealed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    /// The store.
    pub store: StoreId,
    /// What the record is.
    pub purpose: Purpose,
    /// The compartment whose key wraps it.
    pub compartment: CompartmentId,
    /// The id of the entry, member, compartment or environment it belongs to.
    pub subject: [u8; 16],
    /// The version of the entry; 0 where there is none.
    pub version: u32,
    /// The kind of the entry as its format byte; 0 where there is none.
    pub kind: u8,
}

/// Why a record was not sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The plaintext is over [`MAX_PLAINTEXT`].
    #[error("the value has {0} bytes; at most 1048576 (1 MiB) can be sealed")]
    TooLong(usize),
    /// No randomness.
    #[error("the random source failed: nothing was sealed")]
    Entropy,
    /// The primitive refused; does not happen with inputs of legal size.
    #[error("the record could not be sealed")]
    Internal,
}

/// Why a record did not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Too short, or an algorithm of a newer format.
    #[error("the record is not of a format this version knows")]
    Format,
    /// Changed, moved to another context, or sealed with another key.
    #[error("the record does not open under its key and context: it was changed or moved")]
    Refused,
}

/// Seals `plaintext` under `kek` of `term`.
///
/// # Errors
/// See [`SealError`].
pub fn seal(
    kek: &Kek,
    term: Term,
    context: &Context,
    plaintext: &[u8],
    entropy: &dyn Entropy,
) -> Result<Vec<u8>, SealError> {
    let _ = (kek, term, context, plaintext, entropy);
    todo!()
}

/// Opens a record sealed by [`seal`]. Everything but the result is wiped.
///
/// # Errors
/// See [`OpenError`].
pub fn open(kek: &Kek, context: &Context, blob: &[u8]) -> Result<Secret, OpenError> {
    let _ = (kek, context, blob);
    todo!()
}

/// The key term a record names; not authenticated before it is opened.
///
/// # Errors
/// [`OpenError::Format`].
pub fn term_of(blob: &[u8]) -> Result<Term, OpenError> {
    let _ = blob;
    todo!()
}

/// The plaintext length of a record of `blob_len` bytes.
#[must_use]
pub fn plaintext_len(blob_len: usize) -> usize {
    blob_len.saturating_sub(OVERHEAD)
}

const _: fn(Zeroizing<[u8; 32]>) -> Kek = |key| Kek(Box::new(key));
const _: fn(CompartmentId, StoreId) = |_, _| {};
