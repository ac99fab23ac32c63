//! What a record is beneath its wrap: owns the proof that records which were wrapped anew hold what
//! they held. It needs no key, so that it covers what nobody here opens.

use std::collections::HashMap;

use super::error::OpenError;
use super::load::Objects;
use crate::commit::{Break, Checked, IntegrityError, Live, Rewrap};
use crate::crypto::seal;
use crate::id::{Hash, Revision};
use crate::snapshot::Fetch;
use crate::store::Store;

/// Pairs of records that have to be the same but for their wraps.
#[derive(Default)]
pub(super) struct Unwrapped {
    pairs: Vec<(Hash, Hash, Revision)>,
}

impl Unwrapped {
    /// What a commit lists in place of the records that the entry had.
    pub(super) fn note(&mut self, rewrap: &Rewrap, was: &Live, revision: Revision) {
        let marks = was.marks.as_deref();
        let pending = marks.and_then(|marks| marks.pending).map(|marked| marked.value);
        let previous = marks.and_then(|marks| marks.previous).map(|marked| marked.value);
        let pairs = [
            (Some(was.meta), Some(rewrap.meta)),
            (Some(was.value), Some(rewrap.value)),
            (pending, rewrap.pending),
            (previous, rewrap.previous),
            (was.rotation(), rewrap.rotation),
        ];
        for (old, new) in pairs {
            if let (Some(old), Some(new)) = (old, new)
                && old != new
            {
                self.pairs.push((old, new, revision));
            }
        }
    }

    /// Reads them all.
    ///
    /// # Errors
    /// [`Break::Contradiction`] where one holds something else than before; [`Break::MissingObject`].
    pub(super) fn check(self, store: &dyn Store) -> Result<(), OpenError> {
        let wanted: HashMap<_, _> = self
            .pairs
            .iter()
            .flat_map(|(old, new, revision)| [(*old, *revision), (*new, *revision)])
            .collect();
        let hashes: Vec<_> = wanted.keys().copied().collect();
        let mut beneath = HashMap::with_capacity(hashes.len());
        Objects::of(store).fetch(&hashes, &mut |hash, bytes| -> Result<(), IntegrityError> {
            let revision = wanted.get(&hash).copied().unwrap_or_default();
            let digest = Checked::object(hash, bytes)
                .and_then(|sealed| seal::beneath_wrap(sealed.bytes()).map_err(|_| Break::Record))
                .map(Hash::of);
            beneath.insert(hash, digest.map_err(|what| what.at(revision))?);
            Ok(())
        })?;
        for (old, new, revision) in self.pairs {
            match (beneath.get(&old), beneath.get(&new)) {
                (Some(old), Some(new)) if old == new => {}
                (Some(_), Some(_)) => return Err(Break::Contradiction.at(revision).into()),
                _ => return Err(Break::MissingObject.at(revision).into()),
            }
        }
        Ok(())
    }
}
