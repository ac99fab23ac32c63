//! Finding one of very many hashes: owns an index that holds positions only, so that it is small
//! enough to stay in the processor's caches. It must not know what the hashes are of.

use hashbrown::HashTable;

use crate::id::Hash;

/// Positions by hash. The hashes themselves stay where they are; the caller shows them.
pub(crate) struct HashIndex(HashTable<u32>);

impl HashIndex {
    /// Room for `capacity` positions.
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self(HashTable::with_capacity(capacity))
    }

    /// Adds `position`, at which `hash` lies; `at` shows the hash at any position. The first
    /// position of a hash is kept; tells which that is.
    pub(crate) fn insert<'a>(
        &mut self,
        hash: &Hash,
        position: u32,
        at: impl Fn(u32) -> Option<&'a Hash>,
    ) -> u32 {
        let entry = self.0.entry(
            prefix(hash),
            |other| at(*other) == Some(hash),
            |other| at(*other).map_or(0, prefix),
        );
        *entry.or_insert(position).get()
    }

    /// The position of `hash`.
    pub(crate) fn find<'a>(&self, hash: &Hash, at: impl Fn(u32) -> Option<&'a Hash>) -> Option<u32> {
        self.0
            .find(prefix(hash), |other| at(*other) == Some(hash))
            .copied()
    }

    /// How many distinct hashes there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// A SHA-256 digest is as good a hash as any.
fn prefix(hash: &Hash) -> u64 {
    hash.0.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}
