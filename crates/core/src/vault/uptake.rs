//! Uptake of this store: owns sealing and signing reports as this member, and which of the stored
//! ones count. It must not know who is waited for.

use super::Vault;
use crate::ambient::Timestamp;
use crate::crypto::seal::{self, SealError};
use crate::id::MemberId;
use crate::snapshot::{Snapshot, report_context};
use crate::store::{StoreError, StoreWatch, StoredReport};
use crate::uptake::{Consumer, Report, Reported, Uptake, decode, is_outdated, slot};

/// Why nothing was reported.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// Every member opens `common`; this identity does not any more.
    #[error("this identity opens no compartment to report in")]
    Closed,
    /// A report could not be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The store did not take them.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Vault {
    /// Reports what `consumers` have, sealed for all members and signed as this one. What was reported
    /// before of the same consumer with a lower `counter` is replaced. Needs no permission to change
    /// the store itself. Blocks.
    ///
    /// # Errors
    /// [`ReportError`]; none of them was reported.
    pub fn report(&self, consumers: Vec<Consumer>, counter: u64) -> Result<(), ReportError> {
        let snapshot = self.snapshot();
        let state = snapshot.state();
        let common = state.admin().common();
        let (term, kek) = snapshot.keyring().newest(common).ok_or(ReportError::Closed)?;
        let time = self.ambient.now();
        let mut reports = Vec::with_capacity(consumers.len());
        for mut consumer in consumers {
            consumer.fit();
            let place = snapshot.directory().index.report_place(&[
                consumer.kind.as_str(),
                &consumer.host,
                &consumer.sidecar,
                &consumer.name,
            ]);
            let context = report_context(state.store(), common, place);
            let report = Report {
                store: state.store(),
                author: snapshot.me(),
                place,
                counter,
                time,
                body: seal::seal(kek, term, &context, &consumer.encode(), self.ambient.entropy())?,
            };
            reports.push(StoredReport {
                slot: report.slot(),
                counter,
                bytes: report.sign(self.identity.signing_key()),
            });
        }
        Ok(self.store.put_reports(&reports)?)
    }

    /// What is reported, as far as it counts: signed by a member of now, for this store. Blocks.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn uptake(&self) -> Result<Uptake, StoreError> {
        let stored = self.store.reports()?;
        let snapshot = self.snapshot();
        let mut uptake = Uptake::default();
        for stored in &stored {
            match verified(&snapshot, stored) {
                Some(reported) => uptake.reported.push(reported),
                None => uptake.refused += 1,
            }
        }
        uptake.reported.sort_by(|a, b| key(a).cmp(&key(b)));
        Ok(uptake)
    }

    /// The same of this member alone, whichever of its sidecars reported. Blocks.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn own_reports(&self) -> Result<Vec<Reported>, StoreError> {
        let stored = self.store.reports()?;
        let snapshot = self.snapshot();
        let own = stored.iter().filter(|stored| is_of(stored, snapshot.me()));
        Ok(own.filter_map(|stored| verified(&snapshot, stored)).collect())
    }

    /// Removes what need not be kept any more ([`Uptake::outdated`]), what this member's places hold
    /// and it did not sign, and what nobody can have signed. Blocks.
    ///
    /// # Errors
    /// [`StoreError`]; nothing was removed.
    pub fn tidy_reports(&self) -> Result<(), StoreError> {
        let now = self.ambient.now();
        let stored = self.store.reports()?;
        let snapshot = self.snapshot();
        let mut uptake = Uptake::default();
        let mut over = Vec::new();
        for stored in &stored {
            match verified(&snapshot, stored) {
                Some(reported) => uptake.reported.push(reported),
                None => {
                    // another of this member's programs may know a newer key, a later member too
                    let is_false = is_of(stored, snapshot.me()) && signed(&snapshot, stored).is_none();
                    if is_false || is_forgotten(stored, now) {
                        over.push((stored.slot, stored.counter));
                    }
                }
            }
        }
        over.extend(
            uptake
                .outdated(now)
                .map(|one| (slot(one.author, one.place), one.counter)),
        );
        if over.is_empty() {
            return Ok(());
        }
        self.store.drop_reports(&over)
    }

    /// What tells whether reports lie where they lay before ([`crate::store::Store::reports_place`]).
    #[must_use]
    pub fn uptake_place(&self) -> Option<(u64, u64)> {
        self.store.reports_place()
    }

    /// Waits for reports.
    ///
    /// # Errors
    /// [`StoreError`]; see [`crate::store::Store::watch_reports`].
    pub fn watch_uptake(&self) -> Result<Box<dyn StoreWatch>, StoreError> {
        self.store.watch_reports()
    }
}

fn key(one: &Reported) -> impl Ord + '_ {
    let consumer = &one.consumer;
    (
        &one.member,
        &consumer.host,
        &consumer.sidecar,
        consumer.kind,
        &consumer.name,
    )
}

/// True when it lies in a place of `member`.
fn is_of(stored: &StoredReport, member: MemberId) -> bool {
    stored.slot.starts_with(&member.0)
}

/// True when it is no report, or says itself that it is old.
fn is_forgotten(stored: &StoredReport, now: Timestamp) -> bool {
    decode(&stored.bytes).map_or(true, |(report, _)| is_outdated(report.time, now))
}

/// What a member of now signed for this store and this place.
fn signed(snapshot: &Snapshot, stored: &StoredReport) -> Option<Report> {
    let state = snapshot.state();
    let (report, signature) = decode(&stored.bytes).ok()?;
    if report.store != state.store() || report.slot() != stored.slot || report.counter != stored.counter {
        return None;
    }
    let member = state.admin().members().get(&report.author)?;
    report.verify(&member.public.verify_key, &signature).ok()?;
    Some(report)
}

fn verified(snapshot: &Snapshot, stored: &StoredReport) -> Option<Reported> {
    let report = signed(snapshot, stored)?;
    let state = snapshot.state();
    let common = state.admin().common();
    let context = report_context(state.store(), common, report.place);
    let mut keys = snapshot.keyring().terms(common);
    let body = keys.find_map(|(_, kek)| seal::open(kek, &context, &report.body).ok())?;
    let mut consumer = body.expose(Consumer::decode).ok()?;
    // nobody waits for what its author cannot have given to anybody
    consumer.uses.retain(|one| {
        let entry = state.entry(one.entry);
        entry.is_none_or(|entry| state.admin().opens(report.author, entry.compartment))
    });
    Some(Reported {
        author: report.author,
        member: snapshot.directory().members.get(&report.author)?.to_string(),
        place: report.place,
        counter: report.counter,
        time: report.time,
        consumer,
    })
}
