//! From a commit to everyone who waits for it: owns the order. The snapshot is swapped first,
//! then watchers are told, then slow work is rung for (injections, the sealed copy).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use strongroom_core::Vault;
use strongroom_core::ambient::Timestamp;
use strongroom_core::id::Revision;
use strongroom_core::snapshot::{Changed, Locals, Snapshot};
use strongroom_core::vault::{Event, Revised, Watch};
use tokio::runtime::Runtime;
use tokio::sync::Notify;

use crate::bell::Bell;
use crate::change;
use crate::chronicle::Chronicle;
use crate::inject::Injector;
use crate::make::Makings;
use crate::serve::Update;
use crate::settings::Settings;
use crate::source::{Opened, Source, Unusable};
use crate::state::{Current, State};
use crate::unserved::{self, Unserved};
use crate::worker::Workers;

/// Pauses between attempts to reach a store that is away.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Why a revision is not served, in the audit log; the log of the process says more.
const UNVERIFIED: &str = "the store's newest revision does not verify";

/// What follows the store, in a thread of its own.
#[derive(Debug)]
pub struct Follower {
    /// What is served.
    pub state: Arc<State>,
    /// Who serves it.
    pub workers: Arc<Workers>,
    /// Who injects it.
    pub injector: Arc<Injector>,
    /// Rung for the sealed copy.
    pub copy: Arc<Bell<()>>,
    /// How to open the store.
    pub source: Arc<Source>,
    /// The records of what others did; nothing before the store is followed.
    pub following: Mutex<Option<Chronicle>>,
    /// Whether the newest revision is refused for what may go by itself.
    pub held_up: HeldUp,
}

/// Whether the newest revision is refused for what may go by itself, such as an audit log that is not written:
/// then nobody else says when to ask again.
#[derive(Debug, Default)]
pub struct HeldUp {
    is_so: AtomicBool,
    news: Notify,
}

impl HeldUp {
    fn set(&self, is_so: bool) {
        if self.is_so.swap(is_so, Ordering::Relaxed) != is_so {
            self.news.notify_one();
        }
    }

    /// The next event of `watch`, or nothing when it is time to ask again; an error when the vault is gone.
    async fn next(&self, watch: &mut Watch, pause: Duration) -> Result<Option<Event>, Gone> {
        loop {
            let is_so = self.is_so.load(Ordering::Relaxed);
            tokio::select! {
                event = watch.next() => return event.map(Some).ok_or(Gone),
                () = self.news.notified() => {}
                () = tokio::time::sleep(pause), if is_so => return Ok(None),
            }
        }
    }
}

/// There is no vault any more.
struct Gone;

impl Follower {
    /// Follows for as long as the process lives.
    ///
    /// # Errors
    /// The system's, when there is no thread.
    pub fn start(self: Arc<Self>, opened: Opened) -> std::io::Result<()> {
        let since = self.source.ambient.now();
        // before the first answer: it too must say that it is the copy's
        if let Some(error) = &opened.instead_of {
            tracing::warn!(%error, "the store cannot be used: serving the sealed copy");
            self.serve_copy(since, error);
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()?;
        std::thread::Builder::new()
            .name("follow".into())
            // documents and schemas nest; what is not touched costs nothing
            .stack_size(4 << 20)
            .spawn(move || {
                let location = &self.source.location;
                let chronicle = Chronicle::new(Arc::clone(&self.state), location, opened.known);
                if let Some(error) = opened.instead_of {
                    self.reach(since, &error, &chronicle);
                }
                *self.following() = Some(chronicle);
                loop {
                    self.follow(&self.state.vault(), &runtime);
                }
            })?;
        Ok(())
    }

    fn following(&self) -> MutexGuard<'_, Option<Chronicle>> {
        self.following.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks once more whether the newest revision can be served, when it is refused: other settings may have
    /// made it so.
    pub fn again(&self) {
        if self.state.current().refused.is_some() {
            self.apply(&self.state.vault(), Steps::default());
        }
    }

    /// Tries the store until it opens; the copy is served meanwhile.
    fn reach(&self, since: Timestamp, error: &Unusable, chronicle: &Chronicle) {
        match error {
            Unusable::Unserved(error) => chronicle.refused(error.recorded()),
            Unusable::Open(_) if error.is_refusal() => chronicle.refused(UNVERIFIED),
            Unusable::Open(_) => {}
        }
        let mut pause = FIRST_PAUSE;
        let mut last = error.to_string();
        let vault = loop {
            std::thread::sleep(pause);
            pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
            match self.source.open_store() {
                Ok(Ok(vault)) => break vault,
                Ok(Err(error)) => {
                    let error = Unusable::from(error);
                    if error.to_string() != last {
                        last = error.to_string();
                        tracing::warn!(%error, "the store cannot be used yet");
                        if error.is_refusal() {
                            chronicle.refused(UNVERIFIED);
                        }
                        self.serve_copy(since, &error);
                    }
                }
                Err(error) => tracing::warn!(%error, "the store was not opened"),
            }
        };
        tracing::info!(location = self.source.location, "the store is back");
        self.state.replace_vault(vault);
    }

    fn serve_copy(&self, since: Timestamp, error: &Unusable) {
        // what this machine says may change meanwhile
        let _following = self.following();
        let snapshot = self.state.vault().snapshot();
        let reason = error.to_string().into();
        let (stale, refused) = match error.is_refusal() {
            true => (None, Some(reason)),
            false => (Some(since), None),
        };
        let next = self.state.current().next(&snapshot, None, stale, refused);
        match next {
            Ok(next) => self.state.serve(next),
            Err(error) => tracing::error!(%error, "the sealed copy cannot be served"),
        }
    }

    /// Follows one vault until it is gone.
    fn follow(&self, vault: &Arc<Vault>, runtime: &Runtime) {
        let mut watch = vault.watch();
        let mut pause = FIRST_PAUSE;
        while let Err(error) = vault.follow() {
            tracing::warn!(%error, "the store cannot be followed yet");
            // a store that went away before it was followed is stale like any other
            self.apply(vault, Steps::default());
            std::thread::sleep(pause);
            pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
        }
        // what happened before the watch began
        self.apply(vault, Steps::default());
        let mut pause = FIRST_PAUSE;
        while let Ok(event) = runtime.block_on(self.held_up.next(&mut watch, pause)) {
            pause = match &event {
                Some(_) => FIRST_PAUSE,
                None => pause.saturating_mul(2).min(LONGEST_PAUSE),
            };
            let mut steps = Steps::default();
            let mut next = event;
            while let Some(event) = next.take() {
                match event {
                    Event::Revised(step) => {
                        steps.0.push(step);
                        // the vault may be further already: the events up to there are on their way
                        if !steps.reach(vault.snapshot().revision()) {
                            next = watch.next_blocking();
                        }
                    }
                    Event::Refused { reason } => {
                        tracing::error!(%reason, "a revision was refused: the last good one is served");
                        self.following()
                            .iter()
                            .for_each(|chronicle| chronicle.refused(UNVERIFIED));
                    }
                    Event::StoreLost { reason, .. } => {
                        tracing::warn!(%reason, "the store is out of reach: the last good revision is served");
                    }
                    Event::StoreBack => tracing::info!("the store is back"),
                    Event::Lagged => {}
                }
            }
            self.apply(vault, steps);
        }
    }

    /// Serves what the vault has now, and tells everyone when it is something else.
    fn apply(&self, vault: &Vault, steps: Steps) {
        // held to the end: one revision after the other
        let mut following = self.following();
        let Some(chronicle) = &mut *following else { return };
        let current = Arc::clone(&self.state.current());
        let before = Arc::clone(&current.snapshot);
        let freshness = vault.freshness();
        let newest = vault.snapshot();
        let changed = steps.between(before.revision(), newest.revision());
        let next = current.next(
            &newest,
            changed.as_deref(),
            freshness.stale_since,
            freshness.refused,
        );
        let made = next.and_then(|next| {
            if next.snapshot.hash() != before.hash() {
                unserved::check_made(&self.state, &next)?;
            }
            Ok(next)
        });
        let is_held_up = made.as_ref().is_err_and(Unserved::is_temporary);
        self.held_up.set(is_held_up);
        let next = match made {
            Ok(next) => next,
            Err(error) => return self.unguarded(&current, freshness.stale_since, &error, chronicle),
        };
        if next.snapshot.hash() == before.hash() {
            self.state.serve(next);
            chronicle.record(vault, &newest);
            return;
        }
        let environment = self.state.environment();
        let mut changes = match &changed {
            Some(changed) => change::of_changes(&before, &next.snapshot, environment, changed),
            None => change::of_everything(&before, &next.snapshot, environment),
        };
        tracing::info!(
            revision = newest.revision().0,
            changes = changes.len(),
            "serving a new revision"
        );
        if self.state.watchers.load(Ordering::Relaxed) > 0 {
            change::name_keys(&mut changes, &before, &next.snapshot, environment);
        }
        self.tell(&before, next, changes);
        self.injector.ring();
        self.copy.ring();
        chronicle.record(vault, &newest);
    }

    /// Goes on serving what is served: the newest revision verifies, and is not to be served.
    fn unguarded(
        &self,
        current: &Current,
        stale: Option<Timestamp>,
        error: &Unserved,
        chronicle: &Chronicle,
    ) {
        let reason: Arc<str> = error.to_string().into();
        if current.refused.as_ref() != Some(&reason) {
            tracing::error!(%reason, "a revision was refused: the last good one is served");
            chronicle.refused(error.recorded());
        }
        self.state.serve(current.same(stale, Some(reason)));
    }

    /// Serves `next` from now on, in the place of `before`, and tells every watcher what changed.
    fn tell(&self, before: &Snapshot, next: Current, changes: Vec<change::Change>) {
        let update = Update::new(
            next.snapshot.revision().0,
            before.revision().0,
            changes,
            Arc::clone(&next.decisions),
            self.state.now(),
        );
        self.state.serve(next);
        self.workers.update(&Arc::new(update));
    }

    /// Asks whether revisions can be served by what `settings` want made from now on.
    ///
    /// # Errors
    /// [`Unserved`]: it cannot be made of what is served, nor of a newer revision that is held back; nothing
    /// changes.
    pub fn plan(&self, settings: &Settings) -> Result<(), Unserved> {
        let _following = self.following();
        let before = std::mem::replace(&mut *self.state.makings(), Makings::of(settings));
        let current = Arc::clone(&self.state.current());
        let checked = unserved::check_made(&self.state, &current).or_else(|error| {
            let newest = self.state.vault().snapshot();
            if newest.hash() == current.snapshot.hash() {
                return Err(error);
            }
            let next = current.next(&newest, None, current.stale_at, None)?;
            unserved::check_made(&self.state, &next)
        });
        if checked.is_err() {
            *self.state.makings() = before;
        }
        checked
    }

    /// Serves with the layers of this machine that `settings` have, and asks by what they want made, from
    /// now on: the newest revision where that can be served with them, and else the one that is.
    ///
    /// # Errors
    /// [`Unserved`]: they do not fit, and nothing changes.
    pub fn overridden(&self, settings: &Settings) -> Result<(), Unserved> {
        let mut following = self.following();
        let before = std::mem::replace(&mut *self.state.makings(), Makings::of(settings));
        let current = Arc::clone(&self.state.current());
        let (vault, locals) = (self.state.vault(), &settings.overrides.locals);
        let newest = vault.snapshot();
        let is_held_back = following.is_some() && newest.hash() != current.snapshot.hash();
        let refused = vault.freshness().refused;
        if is_held_back && self.override_with(&current, &newest, locals, refused).is_ok() {
            tracing::info!(revision = newest.revision().0, "serving a new revision");
            self.copy.ring();
            if let Some(chronicle) = &mut *following {
                chronicle.record(&vault, &newest);
            }
            return Ok(());
        }
        let fit = self.override_with(&current, &current.snapshot, locals, current.refused.clone());
        if fit.is_err() {
            *self.state.makings() = before;
        }
        fit
    }

    /// Serves `snapshot` with `locals`, in the place of `current`.
    fn override_with(
        &self,
        current: &Current,
        snapshot: &Snapshot,
        locals: &Arc<Locals>,
        refused: Option<Arc<str>>,
    ) -> Result<(), Unserved> {
        let next = current.with_locals(snapshot, Arc::clone(locals), refused)?;
        unserved::check_made(&self.state, &next)?;
        let environment = self.state.environment();
        let mut changes = change::of_everything(&current.snapshot, &next.snapshot, environment);
        change::name_keys(&mut changes, &current.snapshot, &next.snapshot, environment);
        self.tell(&current.snapshot, next, changes);
        self.injector.again();
        Ok(())
    }
}

/// Steps that were applied one after the other.
#[derive(Debug, Default)]
struct Steps(Vec<Arc<Revised>>);

impl Steps {
    fn reach(&self, revision: Revision) -> bool {
        self.0.last().is_some_and(|last| last.revision >= revision)
    }

    /// Everything that changed from one revision to the other; `None` when these steps do not
    /// lead exactly there.
    fn between(&self, from: Revision, to: Revision) -> Option<Vec<Changed>> {
        let mut at = from;
        let mut changed = Vec::new();
        for step in self.0.iter().skip_while(|step| step.revision <= from) {
            if step.from != at {
                return None;
            }
            at = step.revision;
            changed.extend(step.changes.iter().cloned());
        }
        (at == to).then_some(changed)
    }
}
