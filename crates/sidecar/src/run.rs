//! From start to end: owns the order in which everything is set up, the signals, readiness and
//! the drain.

use std::os::unix::net::UnixListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use strongroom_core::attest::engine::Engine;
use strongroom_core::vault::OpenError;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::audit::Sink;
use crate::bell::Bell;
use crate::error::StartError;
use crate::follow::{Follower, HeldUp};
use crate::grant::Gate;
use crate::home::Home;
use crate::inject::Injector;
use crate::keep::Keeper;
use crate::listen::{self, Bound, Door, Quota};
use crate::log::Level;
use crate::make::Makings;
use crate::mirror::Mirror;
use crate::notify::Manager;
use crate::peer::Attestor;
use crate::reload::{Beside, Reload};
use crate::schedule::Schedule;
use crate::settings::{Settings, Surroundings};
use crate::source::{Opened, Source, Unusable};
use crate::state::{Rules, State};
use crate::worker::Workers;
use crate::{fallback, harden, log, uptake};

/// How often readiness is looked at before it is told.
const LOOK: Duration = Duration::from_millis(10);
/// How often settings are tried again that were refused for what may go by itself.
const AGAIN: Duration = Duration::from_secs(2);
/// How long injections are waited for: the process has its own grace.
const PATIENCE: Duration = Duration::from_secs(3600);

/// How long a process that was killed is waited for: one that the kernel holds ends when it can.
const AT_ONCE: Duration = Duration::from_secs(2);

fn system(action: &'static str) -> impl FnOnce(std::io::Error) -> StartError {
    move |source| StartError::System { action, source }
}

/// Runs a sidecar until SIGTERM or SIGINT.
///
/// # Errors
/// [`StartError`] when it does not start.
pub fn run(
    settings: Settings,
    around: Surroundings,
    activated: Option<UnixListener>,
) -> Result<(), StartError> {
    harden::process().map_err(system("forbid core dumps"))?;
    let level = log::start(settings.log);
    harden::lock_memory();
    // before any sandbox: see there
    let attestation = settings.attestation.clone();
    let engine = attestation.engine;
    let engine = engine.map(|socket| Engine::new(socket, attestation.engine_timeout));
    let attestor = Attestor::start_with(engine, attestation.engine_required)
        .map_err(system("start the attesting thread"))?;
    let bound = match activated {
        Some(listener) => listen::take_over(listener),
        None => listen::bind(&settings.socket)?,
    };
    // behind the fence no TCP socket is made
    let door = settings.listener.as_ref().map(Door::open).transpose()?;
    let home = Home::open(&settings.state)?;
    let source = Arc::new(Source::new(&settings, &home)?);
    let mut opened = source.open()?;
    check_environment(&settings, &opened)?;
    let gate = gate(&settings, &source, &opened)?;
    let state = Arc::new(State::new(
        Arc::clone(&opened.vault),
        settings.environment.clone(),
        Arc::clone(&settings.overrides.locals),
        Rules::of(&settings),
        gate,
        source.ambient.clone(),
    )?);
    *state.makings() = Makings::of(&settings);
    if let Some(door) = &door {
        let _ = state.listener.set(door.address);
    }
    fallback::on_copy(&state, &source, &mut opened)?;
    let count = settings.limits.workers.unwrap_or_else(cores);
    // what is still open when the sidecar ends, whichever way
    let mut open = Open {
        state: Arc::clone(&state),
        injector: None,
    };
    let keeper = Keeper {
        state: Arc::clone(&state),
        source: Arc::clone(&source),
        trust: home.trust(),
        mirror: settings.offline_copy.then(|| Mirror::new(home.copy())),
    };
    let copy: Arc<Bell<()>> = Arc::default();
    // before anything is injected, what may fail: a service must not live on with its secrets and
    // without its sidecar
    let is_away = matches!(
        opened.instead_of,
        Some(Unusable::Open(OpenError::Store(_) | OpenError::Empty { .. }))
    );
    let keeper = keeper.first(&copy, is_away)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .map_err(system("start the listener"))?;
    let signals = {
        let _inside = runtime.enter();
        Signals::new().map_err(system("listen for signals"))?
    };
    // outside the fence: what is started from here on is behind it
    let injector = Injector::start(&settings, Arc::clone(&state), source.ambient.clone())
        .map_err(system("start the injecting thread"))?;
    let injector = Arc::new(injector);
    open.injector = Some(Arc::clone(&injector));
    let fence = harden::fence(&settings, &around);
    tracing::debug!(
        files = fence.files,
        syscalls = fence.syscalls,
        "what others send is read behind a fence"
    );
    let socket = std::path::absolute(&settings.socket.path).unwrap_or_else(|_| settings.socket.path.clone());
    uptake::Writer::new(
        Arc::clone(&state),
        source.location.clone(),
        socket.display().to_string(),
    )
    .start()
    .map_err(system("start the reporting thread"))?;
    Schedule::start(Arc::clone(&state)).map_err(system("start the thread that counts rotations"))?;
    let workers = Workers::start(count, &state, runtime.handle()).map_err(system("start a worker"))?;
    let follower = Arc::new(Follower {
        state,
        workers,
        injector,
        copy: Arc::clone(&copy),
        source,
        following: Mutex::default(),
        held_up: HeldUp::default(),
    });
    let sidecar = Sidecar {
        injector: Arc::clone(&follower.injector),
        workers: Arc::clone(&follower.workers),
        attestor,
        state: Arc::clone(&follower.state),
        follower: Arc::clone(&follower),
        manager: Manager::of_process(),
    };
    follower
        .start(opened)
        .map_err(system("start the following thread"))?;
    keeper.start(copy)?;
    let ended = runtime.block_on(sidecar.serve(bound, door, settings, &around, &level, signals));
    if ended.is_ok()
        && let Some(injector) = open.injector.take()
    {
        // it was told to stop; what a second signal did not wait for is not left behind
        injector.kill(AT_ONCE);
    }
    runtime.shutdown_background();
    ended
}

/// The gate with its audit log, which is opened before anything can be asked for.
fn gate(settings: &Settings, source: &Source, opened: &Opened) -> Result<Gate, StartError> {
    let Some(options) = &settings.audit else {
        tracing::warn!("no [audit] in the settings: nobody records who reads what");
        return Ok(Gate::new(None, false));
    };
    let snapshot = opened.vault.snapshot();
    let sink = Sink::open(
        options.clone(),
        &snapshot,
        Arc::clone(source.identity()),
        source.ambient.clone(),
    );
    let sink = sink.map_err(|source| StartError::Audit {
        directory: options.directory.display().to_string(),
        source,
    })?;
    Ok(Gate::new(Some(Arc::new(sink)), options.evaluations))
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().min(4))
}

fn check_environment(settings: &Settings, opened: &Opened) -> Result<(), StartError> {
    let environments = opened.vault.snapshot().environments();
    if environments
        .iter()
        .any(|environment| environment.name == settings.environment)
    {
        return Ok(());
    }
    let known: Vec<&str> = environments
        .iter()
        .map(|environment| environment.name.as_str())
        .collect();
    Err(StartError::Environment {
        name: settings.environment.as_str().to_owned(),
        known: if known.is_empty() {
            "none".to_owned()
        } else {
            known.join(", ")
        },
    })
}

/// What must be stopped however the sidecar ends, or does not start.
struct Open {
    state: Arc<State>,
    injector: Option<Arc<Injector>>,
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Some(injector) = self.injector.take() {
            injector.stop(PATIENCE);
        }
        self.state.uptake().stop(AT_ONCE);
        if let Some(sink) = self.state.gate().sink() {
            sink.stop();
        }
    }
}

struct Sidecar {
    state: Arc<State>,
    workers: Arc<Workers>,
    attestor: Arc<Attestor>,
    injector: Arc<Injector>,
    follower: Arc<Follower>,
    manager: Manager,
}

impl Sidecar {
    async fn serve(
        &self,
        bound: Bound,
        door: Option<Door>,
        settings: Settings,
        around: &Surroundings,
        level: &Level,
        mut signals: Signals,
    ) -> Result<(), StartError> {
        let listener = bound.listener().map_err(system("listen"))?;
        let quota: Arc<Quota> = Arc::default();
        let mut reload = Reload {
            around,
            settings,
            state: &self.state,
            workers: &self.workers,
            injector: &self.injector,
            follower: &self.follower,
            beside: Beside::default(),
            level,
            is_held_up: false,
        };
        reload.beside.look(around);
        let revision = self.state.current().snapshot.revision().0;
        let path = reload.settings.socket.path.display().to_string();
        tracing::info!(revision, environment = %self.state.environment(), socket = path, "serving");
        if let Some(door) = &door {
            tracing::info!(address = %door.address, "flags are evaluated over TCP");
        }
        tokio::select! {
            () = listen::accept(&listener, &quota, &self.workers, &self.attestor, &self.state) => {}
            ended = self.accept_guests(door.as_ref(), &quota) => ended.map_err(system("listen"))?,
            () = self.tell_ready() => {}
            () = self.feed_watchdog() => {}
            () = self.reload_on_change(&mut reload, &mut signals.hup) => {}
            _ = signals.term.recv() => {}
            _ = signals.int.recv() => {}
        }
        // no new clients: the socket is gone before the drain begins
        drop((listener, bound, door));
        let patience = reload.settings.limits.drain_timeout;
        tokio::select! {
            () = self.drain(patience) => {}
            _ = signals.term.recv() => {}
            _ = signals.int.recv() => {}
        }
        Ok(())
    }

    /// Lets guests in, if the settings want any; ends with an error only.
    async fn accept_guests(&self, door: Option<&Door>, quota: &Arc<Quota>) -> std::io::Result<()> {
        match door {
            Some(door) => door.accept(quota, &self.workers, &self.state).await,
            None => std::future::pending().await,
        }
    }

    /// Tells the service manager once everything was delivered; then never ends.
    async fn tell_ready(&self) {
        while !self.state.is_ready() {
            tokio::time::sleep(LOOK).await;
        }
        self.manager.tell("READY=1\nSTATUS=serving");
        std::future::pending().await
    }

    /// Tells the service manager that every worker still answers.
    async fn feed_watchdog(&self) {
        let Some(interval) = Manager::watchdog() else {
            return std::future::pending().await;
        };
        loop {
            if tokio::time::timeout(interval, self.workers.ping()).await.is_ok() {
                self.manager.tell("WATCHDOG=1");
                tokio::time::sleep(interval).await;
            }
        }
    }

    async fn reload_on_change(&self, reload: &mut Reload<'_>, hup: &mut Signal) {
        let noticed =
            crate::reload::notice(&reload.around.file, reload.beside.clone()).unwrap_or_else(|error| {
                tracing::warn!(%error, "changes of the settings file are not noticed: send SIGHUP");
                Arc::default()
            });
        // what changed since the file was read, which may be long ago: a store was opened meanwhile
        reload.reload();
        loop {
            tokio::select! {
                _ = hup.recv() => {}
                () = noticed.notified() => {}
                () = tokio::time::sleep(AGAIN), if reload.is_held_up => {}
            }
            // before everything was delivered, `READY=1` would say too much
            let is_ready = self.state.is_ready();
            if is_ready {
                self.manager.tell(&Manager::reloading());
            }
            reload.reload();
            if is_ready {
                self.manager.tell("READY=1");
            }
        }
    }

    async fn drain(&self, patience: Duration) {
        self.manager.tell("STOPPING=1\nSTATUS=draining");
        tracing::info!("draining");
        if tokio::time::timeout(patience, self.workers.drain())
            .await
            .is_err()
        {
            tracing::warn!("some requests did not end in time");
        }
        let injector = Arc::clone(&self.injector);
        let stopped = tokio::task::spawn_blocking(move || injector.stop(PATIENCE));
        let _ = stopped.await;
        if let Some(sink) = self.state.gate().sink() {
            sink.stop();
        }
        tracing::info!("stopped");
    }
}

struct Signals {
    term: Signal,
    int: Signal,
    hup: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
            hup: signal(SignalKind::hangup())?,
        })
    }
}
