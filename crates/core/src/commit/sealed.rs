//! A record that counts: owns the proof that a sealed record's bytes are those a signed commit
//! lists. Records are opened through these types only; plain AES-GCM commits to no key, the listed
//! hash does.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::change::Commit;
use super::error::Break;
use crate::crypto::keyring::Keyring;
use crate::crypto::seal::{self, Context};
use crate::id::Hash;
use crate::secret::Secret;

/// Sealed bytes that were checked, where they lie: to open at once, or to keep.
#[derive(Clone, Copy, Debug)]
pub struct Checked<'a>(&'a [u8]);

impl<'a> Checked<'a> {
    /// Accepts `bytes` as the object that is listed as `hash`.
    ///
    /// # Errors
    /// [`Break::ForeignObject`].
    pub fn object(hash: Hash, bytes: &'a [u8]) -> Result<Self, Break> {
        if Hash::of(bytes) == hash {
            Ok(Self(bytes))
        } else {
            Err(Break::ForeignObject)
        }
    }

    /// The message of a commit that was verified: it lies in the signed bytes themselves.
    pub(crate) fn message(verified: &'a Commit) -> Self {
        Self(&verified.message)
    }

    /// The sealed bytes.
    #[must_use]
    pub fn bytes(self) -> &'a [u8] {
        self.0
    }

    /// Opens the record with the key of the term it names.
    ///
    /// # Errors
    /// [`Break::Record`].
    pub fn open(self, keyring: &Keyring, context: &Context) -> Result<Secret, Break> {
        let term = seal::term_of(self.0).map_err(|_| Break::Record)?;
        let kek = keyring.get(context.compartment, term).ok_or(Break::Record)?;
        seal::open(kek, context, self.0).map_err(|_| Break::Record)
    }

    /// A copy that outlives the bytes.
    #[must_use]
    pub fn keep(self) -> Sealed {
        Sealed(Arc::from(self.0))
    }
}

/// Records with whose they are, their bytes side by side: what one thread hands to another without an allocation for
/// each, over which the two would wait for each other.
pub(crate) struct Batch {
    bytes: Vec<u8>,
    records: Vec<(u32, Result<Range<usize>, Break>)>,
}

impl Batch {
    /// Room for so many bytes.
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(bytes),
            records: Vec::new(),
        }
    }

    /// Adds one, or why it does not count.
    pub(crate) fn push(&mut self, whose: u32, record: Result<Checked<'_>, Break>) {
        let range = record.map(|record| {
            let begin = self.bytes.len();
            self.bytes.extend_from_slice(record.bytes());
            begin..self.bytes.len()
        });
        self.records.push((whose, range));
    }

    /// How many bytes there are.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Each in turn.
    pub(crate) fn records(&self) -> impl Iterator<Item = (u32, Result<Checked<'_>, Break>)> {
        self.records.iter().map(|(whose, range)| {
            let record = range.clone();
            let record = record.map(|range| Checked(self.bytes.get(range).unwrap_or_default()));
            (*whose, record)
        })
    }
}

/// Sealed bytes that were checked, kept.
#[derive(Clone)]
pub struct Sealed(Arc<[u8]>);

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} bytes)", self.0.len())
    }
}

impl Sealed {
    /// Accepts and keeps `bytes` as the object that is listed as `hash`.
    ///
    /// # Errors
    /// [`Break::ForeignObject`].
    pub fn check(hash: Hash, bytes: &[u8]) -> Result<Self, Break> {
        Checked::object(hash, bytes).map(Checked::keep)
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
        Checked(&self.0).open(keyring, context)
    }
}
