//! Records of an entry under a newer key, as data: owns the fields and canonical bytes
//! (`docs/format.md`, "Commit"). It must not know how a record is wrapped.

use super::codec::{Malformed, Reader, Writer};
use super::entry::{option, optional};
use crate::id::{EntryId, Hash};

/// Fewest bytes.
pub(super) const MIN: usize = 16 + 32 + 32 + 3;

/// The records of a live entry, all of them, after they were wrapped anew. Versions, labels and
/// what is in the records stay what they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rewrap {
    /// The entry.
    pub id: EntryId,
    /// The record of its metadata.
    pub meta: Hash,
    /// The record of its current value.
    pub value: Hash,
    /// The record of the pending version, where there is one.
    pub pending: Option<Hash>,
    /// The record of the previous version, where there is one.
    pub previous: Option<Hash>,
    /// The record of the rotation that runs, where one does.
    pub rotation: Option<Hash>,
}

impl Rewrap {
    /// The objects it lists, also those that stay what they were.
    pub fn objects(&self) -> impl Iterator<Item = Hash> {
        let marked = [self.pending, self.previous, self.rotation];
        [self.meta, self.value]
            .into_iter()
            .chain(marked.into_iter().flatten())
    }

    pub(super) fn encode(&self, w: &mut Writer) {
        w.fixed(&self.id.0);
        w.fixed(&self.meta.0);
        w.fixed(&self.value.0);
        optional(w, self.pending);
        optional(w, self.previous);
        optional(w, self.rotation);
    }

    pub(super) fn decode(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            id: EntryId(r.fixed()?),
            meta: Hash(r.fixed()?),
            value: Hash(r.fixed()?),
            pending: option(r)?,
            previous: option(r)?,
            rotation: option(r)?,
        })
    }
}
