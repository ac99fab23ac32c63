//! The reports of this sidecar: owns what the store has of them, and which of what was found is news.
//! It must not know when is written.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use strongroom_core::Vault;
use strongroom_core::ambient::Timestamp;
use strongroom_core::store::StoreError;
use strongroom_core::uptake::{Consumer, ConsumerKind, Presence, Reported};

use super::earlier::Earlier;
use super::found::{found, own};
use super::lock;
use super::writer::BEAT;
use crate::state::State;

/// How often the time of the last read is written when nothing else is new.
const EPOCH: Duration = Duration::from_secs(300);
/// How often what need not be kept is removed.
const TIDY: Duration = Duration::from_secs(3600);

/// What tells one consumer of a sidecar from another.
type Key = (ConsumerKind, String);

/// What the store has of one consumer.
#[derive(Debug)]
struct Kept {
    consumer: Consumer,
    counter: u64,
}

/// What holds for one look at everything.
struct Round {
    now: Timestamp,
    /// Whether it is time to say that this sidecar lives.
    is_due: bool,
    /// Whether times alone are news.
    is_new_epoch: bool,
}

#[derive(Debug)]
pub(super) struct Reports {
    /// The store's location; the vault may be that of the sealed copy.
    location: String,
    own: Consumer,
    counter: u64,
    kept: HashMap<Key, Kept>,
    earlier: Earlier,
    /// Where the reports lay then: another place has none of them.
    place: Option<(u64, u64)>,
    /// When this sidecar last said that it lives.
    beat: Option<Instant>,
    epoch: Instant,
    tidied: Option<Instant>,
    has_begun: bool,
    /// Somebody else reports as this sidecar.
    is_shared: bool,
}

impl Reports {
    pub(super) fn new(state: &State, location: String, socket: String) -> Self {
        Self {
            // above those of every run that started earlier
            counter: state.started().0 << 20,
            location,
            own: own(state, socket),
            kept: HashMap::new(),
            earlier: Earlier::default(),
            place: None,
            beat: None,
            epoch: Instant::now(),
            tidied: None,
            has_begun: false,
            is_shared: false,
        }
    }

    /// Writes what is new; true when there was anything.
    pub(super) fn write(&mut self, state: &State, is_last: bool) -> Result<bool, String> {
        let vault = state.vault();
        if vault.location() != self.location {
            return Err("the store is out of reach".to_owned());
        }
        let place = vault.uptake_place();
        let is_moved = place != self.place;
        let is_due = is_last || is_moved || self.beat.is_none_or(|beat| beat.elapsed() >= BEAT);
        if is_due {
            self.compare(&vault).map_err(|error| error.to_string())?;
        }
        let is_new_epoch = self.epoch.elapsed() >= EPOCH;
        if is_new_epoch {
            self.epoch = Instant::now();
            state.uptake().next_epoch();
        }
        let now = state.now();
        let found = found((state.uptake(), now), &self.own, &mut self.earlier, is_last);
        let round = Round {
            now,
            is_due,
            is_new_epoch,
        };
        let mut news = self.news(&found.consumers, &round);
        if !news.is_empty() && !is_due {
            // whoever waits for this news looks at the others, too
            self.compare(&vault).map_err(|error| error.to_string())?;
            news = self.news(&found.consumers, &round);
        }
        if !news.is_empty() {
            self.counter += 1;
            let reported = vault.report(news.clone(), self.counter);
            reported.map_err(|error| error.to_string())?;
        }
        lock(&state.uptake().clients).forget(&found.ended);
        if is_due {
            self.beat = Some(Instant::now());
            // it was made with the first report
            self.place = place.or_else(|| vault.uptake_place());
        }
        let has_news = !news.is_empty();
        for consumer in news {
            // a process that ended is looked at again; of all else it was the last to be said
            if consumer.presence == Presence::Ended && consumer.kind != ConsumerKind::Process {
                self.kept.remove(&key(&consumer));
            } else {
                let counter = self.counter;
                self.kept.insert(key(&consumer), Kept { consumer, counter });
            }
        }
        match self.is_shared {
            false => Ok(has_news),
            true => Err(
                "another sidecar of this member reports under the same host name and socket path: \
                 give each an identity or a path of its own"
                    .to_owned(),
            ),
        }
    }

    /// What is to be written of what is there, and that what is not any more ended.
    fn news(&self, found: &[Consumer], round: &Round) -> Vec<Consumer> {
        let there: HashSet<Key> = found.iter().map(key).collect();
        let left = self.kept.iter().filter(|(key, _)| !there.contains(key));
        let left = left.map(|(_, kept)| Consumer {
            presence: Presence::Ended,
            ..kept.consumer.clone()
        });
        let all = found.iter().cloned().chain(left);
        all.filter_map(|consumer| self.is_news(consumer, round)).collect()
    }

    fn is_news(&self, mut consumer: Consumer, round: &Round) -> Option<Consumer> {
        let before = self.kept.get(&key(&consumer)).map(|kept| &kept.consumer);
        let same = before.filter(|before| is_alike(before, &consumer));
        consumer.since = same.map_or(round.now, |before| before.since);
        let is_wanted = match (same, consumer.kind) {
            (None, _) => true,
            (Some(_), ConsumerKind::Sidecar) => round.is_due,
            (Some(before), _) => round.is_new_epoch && *before != consumer,
        };
        is_wanted.then_some(consumer)
    }

    /// Looks at what the store has: what was lost is said again.
    fn compare(&mut self, vault: &Vault) -> Result<(), StoreError> {
        if self.tidied.is_none_or(|tidied| tidied.elapsed() >= TIDY) {
            vault.tidy_reports()?;
            self.tidied = Some(Instant::now());
        }
        let mut own = vault.own_reports()?;
        own.retain(|one| one.consumer.host == self.own.host && one.consumer.sidecar == self.own.sidecar);
        let newest = own.iter().map(|one| one.counter).max().unwrap_or_default();
        self.counter = self.counter.max(newest);
        if !std::mem::replace(&mut self.has_begun, true) {
            own.into_iter().for_each(|one| self.take(one));
            return Ok(());
        }
        let stored: HashMap<Key, u64> = own.iter().map(|one| (key(&one.consumer), one.counter)).collect();
        self.is_shared = false;
        let before = self.kept.len();
        self.kept.retain(|key, kept| {
            let counter = stored.get(key).copied();
            self.is_shared |= counter.is_some_and(|counter| counter > kept.counter);
            counter == Some(kept.counter)
        });
        if self.kept.len() < before {
            // somebody may have put what is no report in its place
            vault.tidy_reports()?;
        }
        Ok(())
    }

    /// Takes up what an earlier run left.
    fn take(&mut self, reported: Reported) {
        let Reported {
            consumer, counter, ..
        } = reported;
        match (consumer.kind, consumer.presence) {
            // of those it was the last to be said
            (ConsumerKind::Sidecar, _) | (ConsumerKind::Socket, Presence::Ended) => return,
            (ConsumerKind::Socket, Presence::Present) => self.earlier.take(consumer.clone()),
            (ConsumerKind::Files | ConsumerKind::Process, _) => {}
        }
        self.kept.insert(key(&consumer), Kept { consumer, counter });
    }
}

fn key(consumer: &Consumer) -> Key {
    (consumer.kind, consumer.name.clone())
}

/// True when nothing differs but times.
fn is_alike(a: &Consumer, b: &Consumer) -> bool {
    let without_times = |of: &Consumer| {
        let mut of = of.clone();
        of.since = Timestamp(0);
        for one in &mut of.uses {
            (one.read.at, one.confirmed.at) = (Timestamp(0), Timestamp(0));
        }
        of
    };
    without_times(a) == without_times(b)
}
