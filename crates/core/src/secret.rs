//! The one type that may hold a plaintext: owns wiping and redaction.
//! It must not gain `Clone`, `Display`, `Serialize`, `PartialEq` or `AsRef`.

use std::fmt;

use zeroize::{Zeroize, Zeroizing};

/// A plaintext value: kept on the heap so that moves copy no bytes, wiped when dropped, redacted
/// in `Debug`.
pub struct Secret(Vec<u8>);

impl Secret {
    /// Takes ownership of `bytes`; the allocation is reused, not copied.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// Lends the plaintext to `f`. Every call is a place to look at in review.
    pub fn expose<R>(&self, f: impl FnOnce(&[u8]) -> R) -> R {
        f(&self.0)
    }

    /// For filling in place; whoever fills must not change the length.
    #[cfg(feature = "vault")]
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }

    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True for the empty value, which is legal.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Compares in time that depends on the lengths only.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        subtle::ConstantTimeEq::ct_eq(self.0.as_slice(), other.0.as_slice()).into()
    }
}

/// Takes the text, which is not copied.
impl From<Zeroizing<String>> for Secret {
    fn from(mut text: Zeroizing<String>) -> Self {
        Self(std::mem::take(&mut *text).into_bytes())
    }
}

impl Drop for Secret {
    // Not `Zeroizing<Vec<u8>>`: that writes byte by byte, which for 1 MiB takes as long as opening
    // it (143 µs); these two are bulk writes over the whole allocation (11 µs).
    fn drop(&mut self) {
        self.0.spare_capacity_mut().zeroize();
        self.0.as_mut_slice().zeroize();
    }
}

/// A plaintext that is being written, up to a limit: what it outgrows is wiped.
#[cfg(feature = "vault")]
pub(crate) struct Filling {
    bytes: Secret,
    limit: usize,
}

#[cfg(feature = "vault")]
impl Filling {
    /// Nothing yet, and at most `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            bytes: Secret::new(Vec::new()),
            limit,
        }
    }

    /// What was written.
    pub(crate) fn finish(self) -> Secret {
        self.bytes
    }
}

#[cfg(feature = "vault")]
impl std::io::Write for Filling {
    fn write(&mut self, more: &[u8]) -> std::io::Result<usize> {
        let held = &mut self.bytes.0;
        let length = held.len().saturating_add(more.len());
        if length > self.limit {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        if length > held.capacity() {
            let mut larger = Vec::with_capacity(length.saturating_mul(2).max(256));
            larger.extend_from_slice(held);
            // the smaller one is wiped where it is dropped
            self.bytes = Secret::new(larger);
        }
        self.bytes.0.extend_from_slice(more);
        Ok(more.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret([redacted])")
    }
}
