//! What a record is beneath its wrap: owns the check that records which were wrapped anew hold what
//! they held, under a newer term. The ciphertext is compared without a key; whoever has the keys compares
//! the plaintext too, since one ciphertext may be made to open under two data keys.

use std::collections::HashMap;

use super::error::OpenError;
use super::load::Objects;
use crate::commit::{Break, IntegrityError, Live, Rewrap, Sealed};
use crate::crypto::keyring::Keyring;
use crate::crypto::seal::{self, Context};
use crate::id::{CompartmentId, EntryId, Hash, Revision, Version};
use crate::snapshot::Fetch;
use crate::store::Store;

/// Pairs compared at a time.
const BATCH: usize = 256;

/// Pairs of records that have to be the same but for their wraps.
#[derive(Default)]
pub(super) struct Unwrapped {
    pairs: Vec<Pair>,
}

/// A record and the one in its place.
pub(super) struct Pair {
    old: Hash,
    new: Hash,
    revision: Revision,
    pub(super) whose: (CompartmentId, EntryId),
    /// The new record of the entry's metadata.
    pub(super) meta: Hash,
    pub(super) what: What,
}

/// What a record of an entry is.
#[derive(Clone, Copy)]
pub(super) enum What {
    Meta,
    Value(Version),
    Rotation,
}

impl Unwrapped {
    /// What a commit lists in place of the records that the entry had.
    pub(super) fn note(&mut self, rewrap: &Rewrap, was: &Live, revision: Revision) {
        let marks = was.marks.as_deref();
        let pending = marks.and_then(|marks| marks.pending);
        let previous = marks.and_then(|marks| marks.previous);
        let records = [
            (Some(was.meta), Some(rewrap.meta), What::Meta),
            (Some(was.value), Some(rewrap.value), What::Value(was.version)),
            (
                pending.map(|marked| marked.value),
                rewrap.pending,
                What::Value(pending.map(|marked| marked.version).unwrap_or_default()),
            ),
            (
                previous.map(|marked| marked.value),
                rewrap.previous,
                What::Value(previous.map(|marked| marked.version).unwrap_or_default()),
            ),
            (was.rotation(), rewrap.rotation, What::Rotation),
        ];
        for (old, new, what) in records {
            if let (Some(old), Some(new)) = (old, new)
                && old != new
            {
                self.pairs.push(Pair {
                    old,
                    new,
                    revision,
                    whose: (was.compartment, rewrap.id),
                    meta: rewrap.meta,
                    what,
                });
            }
        }
    }

    /// Reads them all; `context` tells under what a record opens, where that is known.
    ///
    /// # Errors
    /// [`Break::Contradiction`] where one holds something else than before, or lies under no newer term;
    /// [`Break::Record`], [`Break::MissingObject`].
    pub(super) fn check(
        self,
        store: &dyn Store,
        keyring: &Keyring,
        context: impl Fn(&Pair) -> Option<Context>,
    ) -> Result<(), OpenError> {
        for pairs in self.pairs.chunks(BATCH) {
            let records = records(store, pairs)?;
            for pair in pairs {
                let both = records.get(&pair.old).zip(records.get(&pair.new));
                let (old, new) = both.ok_or(Break::MissingObject.at(pair.revision))?;
                same(old, new, keyring, context(pair).as_ref()).map_err(|what| what.at(pair.revision))?;
            }
        }
        Ok(())
    }
}

fn records(store: &dyn Store, pairs: &[Pair]) -> Result<HashMap<Hash, Sealed>, OpenError> {
    let wanted: HashMap<_, _> = pairs
        .iter()
        .flat_map(|pair| [(pair.old, pair.revision), (pair.new, pair.revision)])
        .collect();
    let hashes: Vec<_> = wanted.keys().copied().collect();
    let mut records = HashMap::with_capacity(hashes.len());
    Objects::of(store).fetch(&hashes, &mut |hash, bytes| -> Result<(), IntegrityError> {
        let revision = wanted.get(&hash).copied().unwrap_or_default();
        records.insert(
            hash,
            Sealed::check(hash, bytes).map_err(|what| what.at(revision))?,
        );
        Ok(())
    })?;
    Ok(records)
}

fn same(old: &Sealed, new: &Sealed, keyring: &Keyring, context: Option<&Context>) -> Result<(), Break> {
    let (before, after) = (old.bytes(), new.bytes());
    let beneath = |bytes| seal::beneath_wrap(bytes).map_err(|_| Break::Record);
    let term = |bytes| seal::term_of(bytes).map_err(|_| Break::Record);
    if beneath(before)? != beneath(after)? || term(before)? >= term(after)? {
        return Err(Break::Contradiction);
    }
    match context.filter(|context| keyring.opens(context.compartment)) {
        Some(context) if !old.open(keyring, context)?.same_as(&new.open(keyring, context)?) => {
            Err(Break::Contradiction)
        }
        _ => Ok(()),
    }
}
