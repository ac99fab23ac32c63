//! What every thread of the sidecar shares: owns the snapshot that is served, the rules that a
//! reload changes, and the counters that `status` shows. It must not know HTTP routes.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use arc_swap::{ArcSwap, Guard};
use hyper::header::HeaderValue;
use strongroom_core::Vault;
use strongroom_core::ambient::{Ambient, Timestamp};
use strongroom_core::api::wire;
use strongroom_core::name::EnvironmentName;
use strongroom_core::policy::{Decisions, Policies, PolicyError};
use strongroom_core::snapshot::{Changed, Locals, Snapshot};
use strongroom_core::vault::Flags;

use crate::asker::{Asker, Askers};
use crate::grant::{Gate, Question};
use crate::make::Makings;
use crate::past::Past;
use crate::schedule::Schedule;
use crate::settings::{Limits, Settings};
use crate::tally::Tallies;
use crate::unserved::{self, Unserved};
use crate::uptake::Table;

/// Numbers of requests that are handed out at a time.
const REQUESTS: u64 = 64;

/// What is served now: swapped whole, so that one answer never mixes two revisions.
#[derive(Debug)]
pub struct Current {
    /// Whose documents have to be as their schemas say.
    environment: EnvironmentName,
    /// The verified state.
    pub snapshot: Arc<Snapshot>,
    /// Its flags, which those of the next one share as far as they do not change.
    pub flags: Flags,
    /// What its policies decide, remembered.
    pub decisions: Arc<Decisions>,
    /// Since when the store is out of reach,
    pub stale_at: Option<Timestamp>,
    /// and that in RFC 3339.
    pub stale_since: Option<Arc<str>>,
    /// Why the store's newest revision was refused.
    pub refused: Option<Arc<str>>,
    /// The staleness, ready for a header.
    pub stale_header: Option<HeaderValue>,
}

impl Current {
    /// Serves `snapshot`, guarded by its own policies.
    ///
    /// # Errors
    /// [`Unserved`]: what cannot be guarded, or is not as schemas say, is not served.
    pub fn first(
        snapshot: &Snapshot,
        environment: &EnvironmentName,
        locals: Arc<Locals>,
        ambient: &Ambient,
        stale_since: Option<Timestamp>,
        refused: Option<Arc<str>>,
    ) -> Result<Self, Unserved> {
        let snapshot = snapshot.serving(environment, locals).map_err(PolicyError::from)?;
        let snapshot = Arc::new(snapshot);
        let policies = Policies::of(&snapshot, environment).map_err(Unserved::from)?;
        let policies = Arc::new(policies);
        unserved::check_config(&snapshot, environment, None)?;
        let flags = Flags::of(&snapshot, environment, ambient).map_err(PolicyError::from)?;
        let decisions = Arc::new(Decisions::new(policies));
        Ok(Self::new(
            environment.clone(),
            snapshot,
            flags,
            decisions,
            stale_since,
            refused,
        ))
    }

    /// What is served after this: `snapshot`, guarded by its own policies. `changes` led there, where they
    /// are known.
    ///
    /// # Errors
    /// [`Unserved`]: what cannot be guarded, or is not as schemas say, is not served.
    pub fn next(
        &self,
        snapshot: &Snapshot,
        changes: Option<&[Changed]>,
        stale_since: Option<Timestamp>,
        refused: Option<Arc<str>>,
    ) -> Result<Self, Unserved> {
        if snapshot.hash() == self.snapshot.hash() {
            return Ok(self.same(stale_since, refused));
        }
        let environment = &self.environment;
        let policies = self.decisions.policies().renewed(snapshot);
        let policies = policies.map_err(Unserved::from)?;
        let next = match changes {
            Some(changes) => snapshot.serving_after(&self.snapshot, changes),
            None => snapshot.serving(environment, self.snapshot.locals()),
        };
        let next = Arc::new(next.map_err(PolicyError::from)?);
        unserved::check_config(&next, environment, changes)?;
        let flags = self
            .flags
            .renewed(&next, environment)
            .map_err(PolicyError::from)?;
        let decisions = Arc::new(Decisions::new(policies));
        Ok(Self::new(
            environment.clone(),
            next,
            flags,
            decisions,
            stale_since,
            refused,
        ))
    }

    /// The same revision, as fresh as is said.
    #[must_use]
    pub fn same(&self, stale_since: Option<Timestamp>, refused: Option<Arc<str>>) -> Self {
        Self::new(
            self.environment.clone(),
            Arc::clone(&self.snapshot),
            self.flags.clone(),
            Arc::clone(&self.decisions),
            stale_since,
            refused,
        )
    }

    /// What is served after this where this machine says something else: `snapshot`, which may be the one
    /// that is served, with `locals`.
    ///
    /// # Errors
    /// [`Unserved`]: what cannot be guarded, or is not as schemas say, is not served.
    pub fn with_locals(
        &self,
        snapshot: &Snapshot,
        locals: Arc<Locals>,
        refused: Option<Arc<str>>,
    ) -> Result<Self, Unserved> {
        let decisions = if snapshot.hash() == self.snapshot.hash() {
            Arc::clone(&self.decisions)
        } else {
            Arc::new(Decisions::new(self.decisions.policies().renewed(snapshot)?))
        };
        let next = snapshot.serving(&self.environment, locals);
        let next = Arc::new(next.map_err(PolicyError::from)?);
        unserved::check_config(&next, &self.environment, None)?;
        let environment = self.environment.clone();
        let flags = self
            .flags
            .renewed(&next, &environment)
            .map_err(PolicyError::from)?;
        Ok(Self::new(
            environment,
            next,
            flags,
            decisions,
            self.stale_at,
            refused,
        ))
    }

    fn new(
        environment: EnvironmentName,
        snapshot: Arc<Snapshot>,
        flags: Flags,
        decisions: Arc<Decisions>,
        stale_since: Option<Timestamp>,
        refused: Option<Arc<str>>,
    ) -> Self {
        let stale_at = stale_since;
        let stale_since: Option<Arc<str>> = stale_at.map(|since| since.to_string().into());
        Self {
            stale_at,
            stale_header: stale_since
                .as_deref()
                .and_then(|since| HeaderValue::from_str(since).ok()),
            environment,
            snapshot,
            flags,
            decisions,
            stale_since,
            refused,
        }
    }
}

/// What a reload of the settings changes for connections.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The uids that may connect.
    pub allow_uids: Vec<u32>,
    /// Limits.
    pub limits: Limits,
}

impl Rules {
    /// Those of `settings`; without a list only this process's own uid is allowed.
    #[must_use]
    pub fn of(settings: &Settings) -> Self {
        let own = || vec![rustix::process::geteuid().as_raw()];
        Self {
            allow_uids: settings.socket.allow_uids.clone().unwrap_or_else(own),
            limits: settings.limits,
        }
    }

    /// True when `uid` may connect.
    #[must_use]
    pub fn allows(&self, uid: u32) -> bool {
        self.allow_uids.contains(&uid)
    }
}

/// What is injected somewhere, for those who ask.
#[derive(Clone, Debug)]
pub struct Injected {
    /// How far it is.
    pub shown: wire::Injection,
    /// How often it failed.
    pub failures: u64,
}

/// Shared by all threads.
pub struct State {
    environment: EnvironmentName,
    vault: ArcSwap<Vault>,
    current: ArcSwap<Current>,
    rules: ArcSwap<Rules>,
    gate: Gate,
    /// Who asks.
    pub askers: Askers,
    ambient: Ambient,
    started: Timestamp,
    requests: AtomicU64,
    ready: AtomicBool,
    /// When the newest revision was refused first, in milliseconds; 0 while it is served.
    refused_at: AtomicU64,
    injections: Mutex<Vec<Injected>>,
    uptake: Table,
    makings: Mutex<Makings>,
    schedule: Schedule,
    host: Box<str>,
    /// What workers count.
    pub tallies: Tallies,
    /// Past snapshots.
    pub past: Past,
    /// How many watchers are connected.
    pub watchers: AtomicU64,
    /// Where flags are evaluated over TCP.
    pub listener: OnceLock<SocketAddr>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State")
            .field("environment", &self.environment)
            .finish_non_exhaustive()
    }
}

impl State {
    /// Serves `environment` of `vault` from now on, through `gate`, with `locals` of this machine.
    ///
    /// # Errors
    /// [`Unserved`]: what cannot be guarded, or is not as schemas say, is not served.
    pub fn new(
        vault: Arc<Vault>,
        environment: EnvironmentName,
        locals: Arc<Locals>,
        rules: Rules,
        gate: Gate,
        ambient: Ambient,
    ) -> Result<Self, Unserved> {
        let freshness = vault.freshness();
        let current = Current::first(
            &vault.snapshot(),
            &environment,
            locals,
            &ambient,
            freshness.stale_since,
            freshness.refused,
        )?;
        let started = ambient.now();
        let refused_at = current.refused.as_ref().map_or(0, |_| started.0);
        Ok(Self {
            environment,
            vault: ArcSwap::new(vault),
            current: ArcSwap::from_pointee(current),
            rules: ArcSwap::from_pointee(rules),
            gate,
            askers: Askers::default(),
            ambient,
            started,
            // requests of another run of this sidecar have other numbers
            requests: AtomicU64::new(started.0 << 20),
            ready: AtomicBool::new(false),
            refused_at: AtomicU64::new(refused_at),
            injections: Mutex::default(),
            uptake: Table::default(),
            makings: Mutex::default(),
            schedule: Schedule::default(),
            host: host().into(),
            tallies: Tallies::default(),
            past: Past::default(),
            watchers: AtomicU64::new(0),
            listener: OnceLock::new(),
        })
    }

    /// What must be passed before a value is opened.
    #[must_use]
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// The clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.ambient.now()
    }

    /// Numbers for new requests.
    pub fn requests(&self) -> Range<u64> {
        let first = self.requests.fetch_add(REQUESTS, Ordering::Relaxed);
        first..first.saturating_add(REQUESTS)
    }

    /// What `asker` asks for, of `snapshot`, which is served.
    #[must_use]
    pub fn question<'a>(
        &'a self,
        current: &'a Current,
        asker: &'a Asker,
        snapshot: &Snapshot,
    ) -> Question<'a> {
        self.question_by(&current.decisions, asker, snapshot)
    }

    /// The same, judged by `decisions`.
    #[must_use]
    pub fn question_by<'a>(
        &'a self,
        decisions: &'a Decisions,
        asker: &'a Asker,
        snapshot: &Snapshot,
    ) -> Question<'a> {
        Question {
            decisions,
            today: None,
            environment: &self.environment,
            revision: snapshot.revision(),
            asker,
            request: None,
            now: self.now(),
        }
    }

    /// The environment that is served.
    #[must_use]
    pub fn environment(&self) -> &EnvironmentName {
        &self.environment
    }

    /// When this sidecar started.
    #[must_use]
    pub fn started(&self) -> Timestamp {
        self.started
    }

    /// What is served now.
    #[must_use]
    pub fn current(&self) -> Guard<Arc<Current>> {
        self.current.load()
    }

    /// Serves something else from now on.
    pub fn serve(&self, current: Current) {
        let refused_at = match (&current.refused, self.refused_at.load(Ordering::Relaxed)) {
            (None, _) => 0,
            (Some(_), 0) => self.now().0,
            (Some(_), since) => since,
        };
        self.refused_at.store(refused_at, Ordering::Relaxed);
        self.current.store(Arc::new(current));
        self.schedule.ring();
    }

    /// Since when the newest revision is refused.
    #[must_use]
    pub fn refused_at(&self) -> Option<Timestamp> {
        let since = self.refused_at.load(Ordering::Relaxed);
        (since > 0).then_some(Timestamp(since))
    }

    /// The open vault.
    #[must_use]
    pub fn vault(&self) -> Arc<Vault> {
        self.vault.load_full()
    }

    /// Reads the past from another vault from now on.
    pub fn replace_vault(&self, vault: Arc<Vault>) {
        self.vault.store(vault);
        self.past.forget();
    }

    /// The rules that hold now.
    #[must_use]
    pub fn rules(&self) -> Guard<Arc<Rules>> {
        self.rules.load()
    }

    /// Replaces the rules.
    pub fn rule(&self, rules: Rules) {
        self.rules.store(Arc::new(rules));
    }

    /// True once everything that is injected was delivered.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    /// Says whether everything that is injected was delivered.
    pub fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Release);
    }

    /// What consumers have.
    #[must_use]
    pub fn uptake(&self) -> &Table {
        &self.uptake
    }

    /// What the settings have made of each revision.
    pub fn makings(&self) -> MutexGuard<'_, Makings> {
        self.makings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The name of this machine.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// How rotations stand.
    #[must_use]
    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// What is injected.
    #[must_use]
    pub fn injections(&self) -> Vec<Injected> {
        self.injections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Replaces what is shown of injections.
    pub fn set_injections(&self, injections: Vec<Injected>) {
        *self.injections.lock().unwrap_or_else(PoisonError::into_inner) = injections;
    }
}

fn host() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    host.trim_end().to_owned()
}
