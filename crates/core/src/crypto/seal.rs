//! The sealing of one record: owns the envelope bytes and their context binding.
//! Algorithm: `docs/format.md`, "Record". It must not know where records are kept or who may open
//! them; a record counts only when a signed commit lists its hash, which callers check first.
//!
//! ```text
//! blob = alg(1) | term(4) | nonce(12) | wrap(32 + 16) | ct | tag(16)
//! wrap = AES-256-GCM(kek, nonce,  aad = context | term, dek)
//! ct   = AES-256-GCM(dek, 0^12,   aad = context,        plaintext)
//! ```
//!
//! The term is bound where the term's key is used, in the wrap, and nowhere else: so a new term
//! re-wraps 60 bytes of a record ([`rewrap`]) and leaves its ciphertext alone. The data key is
//! random and seals once, hence the constant nonce.

use std::sync::OnceLock;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, Tag, UnboundKey};
use zeroize::{Zeroize, Zeroizing, zeroize_stack};

use super::heap;
use crate::ambient::Entropy;
use crate::id::{CompartmentId, StoreId, Term};
use crate::secret::Secret;

/// Bytes a sealed record is longer than its plaintext.
pub const OVERHEAD: usize = HEADER + WRAP + TAG;
/// Longest plaintext of a record, bytes: 1 MiB.
pub const MAX_PLAINTEXT: usize = 1 << 20;

/// The only algorithm of this format: AES-256-GCM for both layers. 2 is reserved for
/// ChaCha20-Poly1305.
const ALG: u8 = 1;
const KEY: usize = 32;
const TAG: usize = 16;
const HEADER: usize = 1 + 4 + NONCE_LEN;
const WRAP: usize = KEY + TAG;

/// Stack that the primitives below may have left key schedules on, bytes; frames are larger when
/// they are not optimised. The scan in `tests/memory.rs` fails when it is too little.
const STACK: usize = if cfg!(debug_assertions) { 32 << 10 } else { 8 << 10 };

/// A compartment's key of one term: encrypts data keys, never data.
///
/// Ring's key schedule cannot be wiped: where the allocator does not do it (see [`heap`]), it is built
/// for each call, on a stack that is wiped after it.
pub struct Kek {
    bytes: Box<Zeroizing<[u8; KEY]>>,
    schedule: OnceLock<Box<LessSafeKey>>,
}

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
        let mut kek = Self::zeroed();
        entropy.fill(kek.bytes_mut()).map_err(|_| SealError::Entropy)?;
        Ok(kek)
    }

    /// A key to be filled in place, so that no copy of it is left on the stack.
    pub(super) fn zeroed() -> Self {
        Self {
            bytes: Box::new(Zeroizing::new([0; KEY])),
            schedule: OnceLock::new(),
        }
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        self.schedule.take();
        self.bytes.as_mut_slice()
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.as_slice()
    }

    /// Its key schedule, where it is kept.
    fn kept(&self) -> Option<&LessSafeKey> {
        if let Some(kept) = self.schedule.get() {
            return Some(kept);
        }
        if !heap::is_wiped() {
            return None;
        }
        let made = Box::new(key(self.bytes())?);
        Some(self.schedule.get_or_init(|| made))
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
    /// The key that entry ids are made with.
    Index = 5,
    /// What is known of a rotation that runs.
    Rotation = 6,
    /// What a sidecar reports of a consumer.
    Report = 7,
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
    /// The record to be wrapped anew does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
}

/// Why a record did not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Too short, too long, or an algorithm of a newer format.
    #[error("the record is not of a format this version knows")]
    Format,
    /// Changed, moved to another context, or sealed with another key.
    #[error("the record does not open under its key and context: it was changed or moved")]
    Refused,
}

/// Seals `plaintext` under `kek` of `term`. Draws 44 bytes of entropy: nonce, then data key.
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
    if plaintext.len() > MAX_PLAINTEXT {
        return Err(SealError::TooLong(plaintext.len()));
    }
    let mut random = Zeroizing::new([0; NONCE_LEN + KEY]);
    entropy
        .fill(random.as_mut_slice())
        .map_err(|_| SealError::Entropy)?;
    let sealed = seal_core(kek, term, context, plaintext, &random);
    zeroize_stack::<STACK>();
    sealed
}

/// Opens a record sealed by [`seal`]. Everything but the result is wiped.
///
/// # Errors
/// See [`OpenError`].
pub fn open(kek: &Kek, context: &Context, blob: &[u8]) -> Result<Secret, OpenError> {
    let opened = open_core(kek, context, &Envelope::parse(blob)?);
    zeroize_stack::<STACK>();
    opened
}

/// Wraps a record's data key anew, from the key it was sealed under to `new` of `term`; the
/// ciphertext is copied as it stands. The result is another record, with a hash of its own.
///
/// # Errors
/// [`SealError::Open`] when `old` does not unwrap the record; [`SealError::Entropy`].
pub fn rewrap(
    old: &Kek,
    new: &Kek,
    term: Term,
    context: &Context,
    blob: &[u8],
    entropy: &dyn Entropy,
) -> Result<Vec<u8>, SealError> {
    let envelope = Envelope::parse(blob)?;
    let mut nonce = [0; NONCE_LEN];
    entropy.fill(&mut nonce).map_err(|_| SealError::Entropy)?;
    let rewrapped = rewrap_core(old, new, term, context, &envelope, nonce);
    zeroize_stack::<STACK>();
    rewrapped
}

/// The key term a record names; not authenticated before it is opened.
///
/// # Errors
/// [`OpenError::Format`].
pub fn term_of(blob: &[u8]) -> Result<Term, OpenError> {
    Ok(Envelope::parse(blob)?.term)
}

/// What of a record stays when it is wrapped anew: its ciphertext and tag.
///
/// # Errors
/// [`OpenError::Format`].
pub fn beneath_wrap(blob: &[u8]) -> Result<&[u8], OpenError> {
    Envelope::parse(blob)?;
    blob.get(HEADER + WRAP..).ok_or(OpenError::Format)
}

/// The plaintext length of a record of `blob_len` bytes.
#[must_use]
pub fn plaintext_len(blob_len: usize) -> usize {
    blob_len.saturating_sub(OVERHEAD)
}

/// The parts of a record, still sealed.
struct Envelope<'a> {
    term: Term,
    nonce: [u8; NONCE_LEN],
    wrap: [u8; WRAP],
    ct: &'a [u8],
    tag: [u8; TAG],
}

impl<'a> Envelope<'a> {
    fn parse(blob: &'a [u8]) -> Result<Self, OpenError> {
        Self::split(blob).ok_or(OpenError::Format)
    }

    fn split(blob: &'a [u8]) -> Option<Self> {
        let (&[alg], rest) = blob.split_first_chunk::<1>()?;
        let (term, rest) = rest.split_first_chunk::<4>()?;
        let (nonce, rest) = rest.split_first_chunk()?;
        let (wrap, rest) = rest.split_first_chunk()?;
        let (ct, tag) = rest.split_last_chunk()?;
        (alg == ALG && ct.len() <= MAX_PLAINTEXT).then_some(Self {
            term: Term(u32::from_be_bytes(*term)),
            nonce: *nonce,
            wrap: *wrap,
            ct,
            tag: *tag,
        })
    }
}

/// The context as bytes: each field behind a byte of its length, the term last.
struct Bound([u8; Self::LEN]);

impl Bound {
    /// Format 1, algorithm 1. Short on purpose: ring takes 10 ns for each 16 bytes of context,
    /// twice a record.
    const DOMAIN: &'static [u8] = b"strongroom/1/1";
    const TERM: usize = 1 + 4;
    const LEN: usize = (1 + Self::DOMAIN.len()) + 17 + 2 + 17 + 17 + 5 + 2 + Self::TERM;

    fn new(context: &Context, term: Term) -> Self {
        let mut bytes = [0; Self::LEN];
        let mut rest = bytes.as_mut_slice();
        for field in [
            Self::DOMAIN,
            &context.store.0,
            &[context.purpose as u8],
            &context.compartment.0,
            &context.subject,
            &context.version.to_be_bytes(),
            &[context.kind],
            &term.0.to_be_bytes(),
        ] {
            rest = put(rest, field);
        }
        Self(bytes)
    }

    /// For the wrap: everything.
    fn with_term(&self) -> Aad<&[u8]> {
        Aad::from(&self.0)
    }

    /// For the ciphertext: everything but the term.
    fn without_term(&self) -> Aad<&[u8]> {
        let (context, _) = self.0.split_at(Self::LEN - Self::TERM);
        Aad::from(context)
    }
}

/// Writes one length-prefixed field and returns what is left of `out`.
fn put<'a>(out: &'a mut [u8], field: &[u8]) -> &'a mut [u8] {
    let (prefixed, rest) = out.split_at_mut(1 + field.len());
    if let Some((length, bytes)) = prefixed.split_first_mut() {
        *length = field.len() as u8;
        bytes.copy_from_slice(field);
    }
    rest
}

// Each `_core` function stays a frame of its own, below the frame that wipes the stack after it.

#[inline(never)]
fn seal_core(
    kek: &Kek,
    term: Term,
    context: &Context,
    plaintext: &[u8],
    random: &[u8; NONCE_LEN + KEY],
) -> Result<Vec<u8>, SealError> {
    let bound = Bound::new(context, term);
    let (nonce, dek) = random.split_first_chunk().ok_or(SealError::Internal)?;
    let mut blob = Vec::with_capacity(OVERHEAD + plaintext.len());
    put_header(&mut blob, kek, term, *nonce, &bound, dek)?;
    let (start, data) = (blob.len(), key(dek).ok_or(SealError::Internal)?);
    blob.extend_from_slice(plaintext);
    let ct = blob.get_mut(start..).ok_or(SealError::Internal)?;
    match data.seal_in_place_separate_tag(zero_nonce(), bound.without_term(), ct) {
        Ok(tag) => blob.extend_from_slice(tag.as_ref()),
        Err(_) => {
            // ring leaves the buffer unspecified: it may hold plaintext
            ct.zeroize();
            return Err(SealError::Internal);
        }
    }
    Ok(blob)
}

#[inline(never)]
fn open_core(kek: &Kek, context: &Context, envelope: &Envelope<'_>) -> Result<Secret, OpenError> {
    let bound = Bound::new(context, envelope.term);
    let dek = unwrap(kek, envelope, &bound)?;
    let data = key(dek.as_slice()).ok_or(OpenError::Refused)?;
    // wiped with the buffer when ring refuses
    let mut plaintext = Secret::new(envelope.ct.to_vec());
    data.open_in_place_separate_tag(
        zero_nonce(),
        bound.without_term(),
        Tag::from(envelope.tag),
        plaintext.bytes_mut(),
        0..,
    )
    .map_err(|_| OpenError::Refused)?;
    Ok(plaintext)
}

#[inline(never)]
fn rewrap_core(
    old: &Kek,
    new: &Kek,
    term: Term,
    context: &Context,
    envelope: &Envelope<'_>,
    nonce: [u8; NONCE_LEN],
) -> Result<Vec<u8>, SealError> {
    let dek = unwrap(old, envelope, &Bound::new(context, envelope.term))?;
    let mut blob = Vec::with_capacity(OVERHEAD + envelope.ct.len());
    put_header(
        &mut blob,
        new,
        term,
        nonce,
        &Bound::new(context, term),
        dek.as_slice(),
    )?;
    blob.extend_from_slice(envelope.ct);
    blob.extend_from_slice(&envelope.tag);
    Ok(blob)
}

/// Appends `alg | term | nonce | wrap`.
fn put_header(
    blob: &mut Vec<u8>,
    kek: &Kek,
    term: Term,
    nonce: [u8; NONCE_LEN],
    bound: &Bound,
    dek: &[u8],
) -> Result<(), SealError> {
    let mut wrapped = Zeroizing::new([0; KEY]);
    wrapped.copy_from_slice(dek);
    let tag = key(kek.bytes())
        .ok_or(SealError::Internal)?
        .seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            bound.with_term(),
            wrapped.as_mut_slice(),
        )
        .map_err(|_| SealError::Internal)?;
    blob.push(ALG);
    blob.extend_from_slice(&term.0.to_be_bytes());
    blob.extend_from_slice(&nonce);
    blob.extend_from_slice(wrapped.as_slice());
    blob.extend_from_slice(tag.as_ref());
    Ok(())
}

/// The data key of a record.
fn unwrap(kek: &Kek, envelope: &Envelope<'_>, bound: &Bound) -> Result<Zeroizing<[u8; KEY]>, OpenError> {
    let (wrapped, tag) = envelope.wrap.split_at(KEY);
    let mut dek = Zeroizing::new([0; KEY]);
    dek.copy_from_slice(wrapped);
    let tag = Tag::try_from(tag).map_err(|_| OpenError::Format)?;
    let made;
    let key = match kek.kept() {
        Some(kept) => kept,
        None => {
            made = key(kek.bytes()).ok_or(OpenError::Refused)?;
            &made
        }
    };
    key.open_in_place_separate_tag(
        Nonce::assume_unique_for_key(envelope.nonce),
        bound.with_term(),
        tag,
        dek.as_mut_slice(),
        0..,
    )
    .map_err(|_| OpenError::Refused)?;
    Ok(dek)
}

/// `None` never happens: ring refuses lengths only.
fn key(bytes: &[u8]) -> Option<LessSafeKey> {
    Some(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, bytes).ok()?))
}

fn zero_nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}
