//! The reporting thread: owns what was reported last, and writing what is new beside the store. A
//! store that does not take it is tried again; nobody waits for that.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use strongroom_core::ambient::Timestamp;
use strongroom_core::id::Revision;
use strongroom_core::uptake::{Consumer, ConsumerKind, Presence, Use};

use super::Client;
use super::budget::Budget;
use super::client::together;
use crate::state::State;

/// What belongs together is written together: from the first news to the write.
const GATHER: Duration = Duration::from_millis(5);
/// How often this sidecar says that it lives; readers miss it after three times as long.
const BEAT: Duration = Duration::from_secs(30);
/// How often the time of the last read is written when nothing else is new.
const EPOCH: Duration = Duration::from_secs(300);
/// When something failed it is tried again after this.
const AGAIN: Duration = Duration::from_secs(10);

/// What tells one consumer of a sidecar from another.
type Key = (ConsumerKind, String);

/// What writes.
#[derive(Debug)]
pub struct Writer {
    state: Arc<State>,
    /// The store's location; the vault may be that of the sealed copy.
    location: String,
    host: String,
    sidecar: String,
    counter: u64,
    /// What the store has.
    reported: HashMap<Key, Consumer>,
    beat: Option<Instant>,
    epoch: Instant,
    has_begun: bool,
}

impl Writer {
    /// Reports for the sidecar that listens at `socket`.
    #[must_use]
    pub fn new(state: Arc<State>, location: String, socket: String) -> Self {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let host = host.trim_end().to_owned();
        Self {
            // above those of every run that started earlier
            counter: state.started().0 << 20,
            state,
            location,
            host,
            sidecar: socket,
            reported: HashMap::new(),
            beat: None,
            epoch: Instant::now(),
            has_begun: false,
        }
    }

    /// Writes for as long as the process lives, in a thread of its own.
    ///
    /// # Errors
    /// The system's, when there is no thread.
    pub fn start(mut self) -> std::io::Result<()> {
        std::thread::Builder::new()
            .name("uptake".into())
            .stack_size(512 * 1024)
            .spawn(move || self.run())?;
        Ok(())
    }

    fn run(&mut self) {
        let state = Arc::clone(&self.state);
        let table = state.uptake();
        let mut budget = Budget::new(Instant::now());
        let mut wait = Duration::ZERO;
        loop {
            if let Some(done) = table.bell.wait(Some(wait)) {
                let _ = self.write(true);
                let _ = done.send(());
                return;
            }
            std::thread::sleep(GATHER.max(budget.pause(Instant::now())));
            let written = self.write(false);
            if matches!(written, Ok(true)) {
                budget.spend(Instant::now());
            }
            wait = if written.is_ok() { BEAT } else { AGAIN };
            let problem = written.err();
            if table.set_problem(problem.clone()) {
                match problem {
                    Some(problem) => tracing::warn!(
                        %problem,
                        "it is not reported who uses which version; it is tried again"
                    ),
                    None => tracing::info!("it is reported again who uses which version"),
                }
            }
        }
    }

    /// Writes what is new; true when there was anything.
    fn write(&mut self, is_last: bool) -> Result<bool, String> {
        let vault = self.state.vault();
        if vault.location() != self.location {
            return Err("the store is out of reach".to_owned());
        }
        if !std::mem::replace(&mut self.has_begun, true) {
            // what an earlier run left: a directory that is not wanted any more is there no more
            let uptake = vault.uptake().map_err(|error| error.to_string());
            let own = uptake.inspect_err(|_| self.has_begun = false)?.reported;
            for one in own {
                if !self.is_own(&one.consumer) {
                    continue;
                }
                self.counter = self.counter.max(one.counter);
                if matches!(one.consumer.kind, ConsumerKind::Files | ConsumerKind::Process) {
                    self.reported.insert(key(&one.consumer), one.consumer);
                }
            }
        }
        let now = self.state.now();
        let is_new_epoch = self.epoch.elapsed() >= EPOCH;
        if is_new_epoch {
            self.epoch = Instant::now();
            self.state.uptake().next_epoch();
        }
        let (found, ended) = self.found(is_last);
        let is_due = self.beat.is_none_or(|beat| beat.elapsed() >= BEAT) || is_last;
        let mut news: Vec<Consumer> = Vec::new();
        for mut consumer in found {
            let before = self.reported.get(&key(&consumer));
            consumer.since = now;
            let is_same = before.is_some_and(|before| is_alike(before, &consumer));
            if let Some(before) = before.filter(|_| is_same) {
                consumer.since = before.since;
            }
            let is_sidecar = consumer.kind == ConsumerKind::Sidecar;
            let is_wanted = match is_same {
                false => true,
                true if is_sidecar => is_due,
                true => is_new_epoch && before != Some(&consumer),
            };
            if is_wanted {
                news.push(consumer);
            }
        }
        if !news.is_empty() {
            self.counter += 1;
            vault
                .report(news.clone(), self.counter)
                .map_err(|error| error.to_string())?;
        }
        self.state.uptake().forget(&ended);
        let has_news = !news.is_empty();
        for consumer in news {
            match consumer.kind {
                ConsumerKind::Sidecar => self.beat = Some(Instant::now()),
                _ if consumer.presence == Presence::Ended => {
                    self.reported.remove(&key(&consumer));
                    continue;
                }
                _ => {}
            }
            self.reported.insert(key(&consumer), consumer);
        }
        Ok(has_news)
    }

    fn is_own(&self, consumer: &Consumer) -> bool {
        consumer.host == self.host && consumer.sidecar == self.sidecar
    }

    /// Every consumer as it is now, and the processes that ended.
    fn found(&self, is_last: bool) -> (Vec<Consumer>, Vec<Arc<Client>>) {
        let mut all = vec![Consumer {
            presence: presence(!is_last),
            ..self.consumer(ConsumerKind::Sidecar, String::new())
        }];
        let mut ended = Vec::new();
        for (name, clients) in self.state.uptake().clients() {
            let group = together(&clients);
            ended.extend(group.ended);
            all.push(Consumer {
                presence: presence(group.is_there),
                is_whole: group.is_whole,
                uses: group.uses,
                ..self.consumer(ConsumerKind::Socket, name)
            });
        }
        for mut injected in self.state.uptake().injected() {
            injected.host.clone_from(&self.host);
            injected.sidecar.clone_from(&self.sidecar);
            if is_last && injected.kind == ConsumerKind::Process {
                injected.presence = Presence::Ended;
            }
            all.push(injected);
        }
        for one in &mut all {
            one.fit();
        }
        let there: HashSet<Key> = all.iter().map(key).collect();
        let gone = self.reported.values().filter(|one| !there.contains(&key(one)));
        let gone: Vec<_> = gone
            .map(|one| Consumer {
                presence: Presence::Ended,
                ..one.clone()
            })
            .collect();
        all.extend(gone);
        (all, ended)
    }

    fn consumer(&self, kind: ConsumerKind, name: String) -> Consumer {
        Consumer {
            kind,
            presence: Presence::Present,
            host: self.host.clone(),
            sidecar: self.sidecar.clone(),
            name,
            environment: self.state.environment().clone(),
            revision: Revision(0),
            since: Timestamp(0),
            problem: String::new(),
            is_whole: true,
            uses: Vec::new(),
        }
    }
}

fn key(consumer: &Consumer) -> Key {
    (consumer.kind, consumer.name.clone())
}

fn presence(is_there: bool) -> Presence {
    if is_there {
        Presence::Present
    } else {
        Presence::Ended
    }
}

/// True when nothing differs but times.
fn is_alike(a: &Consumer, b: &Consumer) -> bool {
    let without_times = |of: &Consumer| {
        let mut of = of.clone();
        of.since = Timestamp(0);
        for one in &mut of.uses {
            timeless(one);
        }
        of
    };
    without_times(a) == without_times(b)
}

/// Which revision served the same version is no news either.
fn timeless(one: &mut Use) {
    for seen in [&mut one.read, &mut one.confirmed] {
        seen.at = Timestamp(0);
    }
}
