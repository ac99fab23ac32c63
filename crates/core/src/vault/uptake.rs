//! Uptake of this store: owns sealing and signing reports as this member, and which of the stored
//! ones count. It must not know who is waited for.

use super::Vault;
use crate::commit::State;
use crate::crypto::seal::{self, SealError};
use crate::snapshot::{Snapshot, report_context};
use crate::store::{StoreError, StoreWatch, StoredReport};
use crate::uptake::{Consumer, Report, Reported, Uptake, decode};

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
            match verified(&snapshot, snapshot.state(), stored) {
                Some(reported) => uptake.reported.push(reported),
                None => uptake.refused += 1,
            }
        }
        uptake.reported.sort_by(|a, b| key(a).cmp(&key(b)));
        Ok(uptake)
    }

    /// Waits for reports, where there was one already.
    ///
    /// # Errors
    /// [`StoreError`].
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

fn verified(snapshot: &Snapshot, state: &State, stored: &StoredReport) -> Option<Reported> {
    let (report, signature) = decode(&stored.bytes).ok()?;
    if report.store != state.store() || report.slot() != stored.slot || report.counter != stored.counter {
        return None;
    }
    let member = state.admin().members().get(&report.author)?;
    report.verify(&member.public.verify_key, &signature).ok()?;
    let common = state.admin().common();
    let context = report_context(state.store(), common, report.place);
    let mut keys = snapshot.keyring().terms(common);
    let body = keys.find_map(|(_, kek)| seal::open(kek, &context, &report.body).ok())?;
    Some(Reported {
        author: report.author,
        member: snapshot.directory().members.get(&report.author)?.to_string(),
        place: report.place,
        counter: report.counter,
        time: report.time,
        consumer: body.expose(Consumer::decode).ok()?,
    })
}
