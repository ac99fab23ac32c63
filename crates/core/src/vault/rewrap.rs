//! Records under older keys: owns finding them, and wrapping them under the newest key of their
//! compartment in commits of their own. It must not know who asked for the new key.
//!
//! Values, versions and labels stay what they are, so nobody is told of it. Whoever kept an older key
//! and an older copy of the store reads what was in it then: against that a value has to be rotated.

use std::collections::HashMap;
use std::sync::Arc;

use super::change::{Change, Edit};
use super::check::{denied, invalid};
use super::draft::Draft;
use super::error::{CommitError, OpenError};
use super::load::Objects;
use super::{Vault, lock};
use crate::commit::{Break, IntegrityError, Labelled, Rewrap, Role, Sealed};
use crate::crypto::seal::{self, Context, SealError};
use crate::id::{CompartmentId, Hash, Revision, Term};
use crate::name::{CompartmentName, EntryPath, EnvironmentName};
use crate::snapshot::{Entry, Fetch, Label, Snapshot, meta_context, rotation_context, value_context};

/// Entries that are wrapped anew by one commit. In the store a commit of thousands of records touches all of
/// the tree of hashes, so that many small ones cost more; a great one keeps other writers waiting.
const BATCH: usize = 4096;
/// And so many bytes of values, which whoever follows has twice for a moment.
const BATCH_BYTES: usize = 8 << 20;
/// Fewer are not tried in two halves when other writers are always first.
const FEWEST: usize = 64;
/// How often it is begun again for what others changed meanwhile.
const PASSES: u32 = 8;

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rewrapped {
    /// Entries that had a record under an older key and have none now.
    pub entries: u64,
    /// Records that were wrapped anew: of each of these entries its description and its values.
    pub records: u64,
    /// The commits it took.
    pub commits: u64,
    /// The revision of the last of them, or at which there was nothing to do.
    pub revision: Revision,
    /// Entries with a record that does not open under any key: they stay as they are. `verify` names
    /// the revision that listed it; a new value replaces a value.
    pub broken: Vec<(EnvironmentName, EntryPath)>,
}

/// Some entries to be wrapped anew, as they were found.
#[derive(Debug)]
pub struct RewrapEdit {
    compartment: CompartmentId,
    found: Vec<Found>,
}

impl RewrapEdit {
    /// The number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.found.len()
    }

    /// True when there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }
}

/// An entry and the record of its description, which snapshots do not keep.
#[derive(Debug)]
struct Found {
    entry: Arc<Entry>,
    hash: Hash,
    meta: Sealed,
}

impl Vault {
    /// How many live entries of `compartment` have a record that lies under an older key than its newest
    /// one. Blocks.
    ///
    /// # Errors
    /// [`CommitError::Invalid`] when there is no such compartment; [`CommitError::Denied`] when this
    /// identity does not open it; [`OpenError`].
    pub fn under_older_keys(&self, compartment: &CompartmentName) -> Result<u64, CommitError> {
        let snapshot = self.refresh()?;
        let (id, newest) = newest(&snapshot, compartment)?;
        let mut count = 0;
        for entries in batches(&entries_of(&snapshot, id)) {
            count += number(self.found(&snapshot, entries, newest)?.len());
        }
        Ok(count)
    }

    /// Wraps every record of `compartment`'s live entries that lies under an older key under its newest
    /// one, some entries in each commit. Whatever ends it leaves a store that is whole, and the next call
    /// goes on with what is left. `progress` gets how many entries were looked at, and of how many. Takes
    /// an admin. Blocks.
    ///
    /// # Errors
    /// [`CommitError`]; what was committed until then stays. [`CommitError::Contended`] when others changed
    /// what was to be wrapped every time.
    pub fn rewrap(
        &self,
        compartment: &CompartmentName,
        message: &str,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Rewrapped, CommitError> {
        let mut done = Rewrapped::default();
        for _ in 0..PASSES {
            let snapshot = self.refresh()?;
            done.broken.clear();
            done.revision = done.revision.max(snapshot.revision());
            let (id, term) = newest(&snapshot, compartment)?;
            let entries = entries_of(&snapshot, id);
            let (total, mut looked, mut left) = (entries.len(), 0, 0);
            for entries in batches(&entries) {
                left += self.rewrap_some(id, term, entries, message, &mut done)?;
                looked += entries.len();
                progress(number(looked), number(total));
            }
            if left == 0 && newest(&self.snapshot(), compartment)?.1 == term {
                if done.commits > 0 {
                    self.checkpoint_if_due(&mut lock(&self.turn), false);
                }
                return Ok(done);
            }
        }
        Err(CommitError::Contended { attempts: PASSES })
    }

    /// One commit, if these entries need it, or two if others are always first; tells how many of them
    /// somebody changed meanwhile.
    fn rewrap_some(
        &self,
        compartment: CompartmentId,
        newest: Term,
        entries: &[Arc<Entry>],
        message: &str,
        done: &mut Rewrapped,
    ) -> Result<u64, CommitError> {
        let found = self.found(&self.snapshot(), entries, newest)?;
        let wanted = number(found.len());
        if wanted == 0 {
            return Ok(0);
        }
        let change = Change {
            message: message.to_owned(),
            edits: vec![Edit::Rewrap(RewrapEdit { compartment, found })],
        };
        let committed = self.commit_in(&mut lock(&self.turn), &change);
        let committed = match committed {
            Err(CommitError::Contended { .. }) if entries.len() > FEWEST => {
                let (one, other) = entries.split_at(entries.len() / 2);
                let left = self.rewrap_some(compartment, newest, one, message, done)?;
                return Ok(left + self.rewrap_some(compartment, newest, other, message, done)?);
            }
            committed => committed?,
        };
        let broken = committed.broken.iter();
        let broken = broken.map(|entry| (entry.environment.clone(), entry.path.clone()));
        done.broken.extend(broken);
        if committed.receipt.committed {
            done.entries += number(committed.rewrapped);
            done.records += number(committed.objects);
            done.commits += 1;
            done.revision = committed.receipt.revision;
        }
        Ok(wanted.saturating_sub(number(committed.rewrapped + committed.broken.len())))
    }

    /// Those of `entries` that have a record under an older key than `newest`, with the records of their
    /// descriptions. What is gone by now is passed over.
    fn found(
        &self,
        snapshot: &Snapshot,
        entries: &[Arc<Entry>],
        newest: Term,
    ) -> Result<Vec<Found>, OpenError> {
        let mut hashes = Vec::with_capacity(entries.len());
        let mut wanted = HashMap::with_capacity(entries.len());
        for (at, entry) in entries.iter().enumerate() {
            if let Some(live) = snapshot.state().entry(entry.id) {
                hashes.push(live.meta);
                wanted.insert(live.meta, (at, entry));
            }
        }
        let mut found = Vec::with_capacity(hashes.len());
        Objects::of(&*self.store).fetch(&hashes, &mut |hash, bytes| -> Result<(), IntegrityError> {
            let Some((at, entry)) = wanted.remove(&hash) else {
                return Ok(());
            };
            let meta = Sealed::check(hash, bytes).map_err(|what| what.at(snapshot.revision()))?;
            if is_old(&meta, newest) || entry.records().any(|record| is_old(record, newest)) {
                let entry = Arc::clone(entry);
                found.push((at, Found { entry, hash, meta }));
            }
            Ok(())
        })?;
        if let Some(revision) = wanted.into_values().map(|(_, entry)| entry.revision).min() {
            return Err(Break::MissingObject.at(revision).into());
        }
        found.sort_unstable_by_key(|(at, _)| *at);
        Ok(found.into_iter().map(|(_, found)| found).collect())
    }
}

impl Draft<'_> {
    /// Takes some entries, as far as they are what they were when they were found.
    pub(super) fn rewrap(&mut self, edit: &RewrapEdit) -> Result<(), CommitError> {
        if self.role != Role::Admin {
            return Err(denied(format!("its role is {}, this takes an admin", self.role)));
        }
        for found in &edit.found {
            let (base, id) = (self.base, found.entry.id);
            let now = base.own(&found.entry.environment, &found.entry.path);
            let (Some(entry), Some(live)) = (now, base.state().entry(id)) else {
                continue;
            };
            if entry.id != id || live.compartment != edit.compartment || live.meta != found.hash {
                continue;
            }
            self.once(id)?;
            let (store, compartment) = (self.store, live.compartment);
            let of = |version| value_context(store, compartment, id, version, entry.kind);
            let labelled = |label, labelled: Option<Labelled>| {
                let (labelled, sealed) = (labelled?, entry.record(label)?);
                Some((labelled.value, sealed, of(labelled.version)))
            };
            let marks = live.marks.as_deref();
            let pending = labelled(Label::Pending, marks.and_then(|marks| marks.pending));
            let previous = labelled(Label::Previous, marks.and_then(|marks| marks.previous));
            let rotation = live.rotation().zip(entry.rotation());
            let rotation =
                rotation.map(|(hash, sealed)| (hash, sealed, rotation_context(store, compartment, id)));
            let meta = (found.hash, &found.meta, meta_context(store, compartment, id));
            let current = (live.value, entry.current(), of(live.version));
            let wrapped = (|| {
                Ok(Rewrap {
                    id,
                    meta: self.under_newest(meta)?,
                    value: self.under_newest(current)?,
                    pending: pending.map(|record| self.under_newest(record)).transpose()?,
                    previous: previous.map(|record| self.under_newest(record)).transpose()?,
                    rotation: rotation.map(|record| self.under_newest(record)).transpose()?,
                })
            })();
            let rewrap = match wrapped {
                Ok(rewrap) => rewrap,
                Err(Unwrappable::Broken) => {
                    self.broken.push(Arc::clone(entry));
                    continue;
                }
                Err(Unwrappable::Other(error)) => return Err(error),
            };
            let same = rewrap.meta == live.meta
                && rewrap.value == live.value
                && rewrap.pending == pending.map(|(hash, ..)| hash)
                && rewrap.previous == previous.map(|(hash, ..)| hash)
                && rewrap.rotation == rotation.map(|(hash, ..)| hash);
            if !same {
                self.rewraps.insert(id, rewrap);
            }
        }
        Ok(())
    }

    /// The record under the newest key; the same one where it lies there.
    fn under_newest(&mut self, (hash, sealed, context): Record<'_>) -> Result<Hash, Unwrappable> {
        let term = seal::term_of(sealed.bytes()).map_err(|_| Unwrappable::Broken)?;
        let keys = self.keyring.newest(context.compartment);
        let (newest, new) = keys.ok_or(Unwrappable::Broken)?;
        if term >= newest {
            return Ok(hash);
        }
        // Whoever put it wrote the term.
        let old = self.keyring.get(context.compartment, term);
        let old = old.ok_or(Unwrappable::Broken)?;
        let entropy = self.ambient.entropy();
        let record = seal::rewrap(old, new, newest, &context, sealed.bytes(), entropy);
        let record = record.map_err(|error| match error {
            SealError::Open(_) => Unwrappable::Broken,
            other => Unwrappable::Other(other.into()),
        })?;
        Ok(self.object(record))
    }
}

/// Why a record was not wrapped anew.
enum Unwrappable {
    /// It does not open: whoever put it saw to that, and nobody read it yet.
    Broken,
    Other(CommitError),
}

/// A record by its hash, as it lies there, and what it is.
type Record<'a> = (Hash, &'a Sealed, Context);

fn newest(snapshot: &Snapshot, compartment: &CompartmentName) -> Result<(CompartmentId, Term), CommitError> {
    let id = snapshot.directory().compartment(compartment).ok_or_else(|| {
        invalid(format!(
            "there is no compartment {compartment:?}: `strongroom compartment list` shows them"
        ))
    })?;
    let newest = snapshot.keyring().newest(id);
    let (term, _) = newest.ok_or_else(|| denied("it does not open the compartment"))?;
    Ok((id, term))
}

/// The entries of a compartment, in the order in which they were put: stores keep side by side what came
/// together, and it stays so.
fn entries_of(snapshot: &Snapshot, compartment: CompartmentId) -> Vec<Arc<Entry>> {
    let all = snapshot.all_entries();
    let own = all.filter(|entry| entry.sealed_in == compartment);
    let mut entries: Vec<_> = own.cloned().collect();
    entries.sort_unstable_by_key(|entry| (entry.revision, entry.id));
    entries
}

/// In so many at a time.
fn batches(entries: &[Arc<Entry>]) -> impl Iterator<Item = &[Arc<Entry>]> {
    let mut rest = entries;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = |entry: &&Arc<Entry>| {
            bytes += entry.records().map(|record| record.bytes().len()).sum::<usize>();
            bytes <= BATCH_BYTES
        };
        let count = rest.iter().take(BATCH).take_while(fits).count().max(1);
        let (some, others) = rest.split_at_checked(count)?;
        rest = others;
        Some(some)
    })
}

/// What does not parse is not old: it is found where it is opened.
fn is_old(sealed: &Sealed, newest: Term) -> bool {
    seal::term_of(sealed.bytes()).is_ok_and(|term| term < newest)
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
