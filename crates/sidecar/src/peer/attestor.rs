//! Finding out who a process is, away from the threads that serve: owns a thread with a runtime
//! for it, what it remembers, and for how long it tries. It must not know connections.
//!
//! A sandbox that forbids looking at other processes (Landlock forbids `/proc/PID/exe`) must not
//! cover its threads, so they are started before there is one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use strongroom_core::attest::engine::Engine;
use strongroom_core::attest::{self, Digests, Lost, Process};
use strongroom_core::workload::{Kernel, Workload};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use super::Peer;

/// How long finding out may take: reading a large program from a slow disk.
const PATIENCE: Duration = Duration::from_secs(5);

/// From one line about an engine that does not answer to the next.
const QUIET: Duration = Duration::from_secs(30);

/// Threads that read programs.
const READERS: usize = 16;

/// How many of them one uid may keep: a read that hangs keeps its thread for good.
const SHARE: usize = 2;

/// Where the kernel keeps the uid that stands for all that are not mapped.
const OVERFLOW: &str = "/proc/sys/kernel/overflowuid";

/// Finds out who processes are.
#[derive(Debug)]
pub struct Attestor {
    runtime: Handle,
    digests: Arc<Digests>,
    engine: Option<Engine>,
    engine_required: bool,
    complained: Mutex<Option<Instant>>,
    /// Of the uids that have a read or wait for one, no others.
    shares: Mutex<HashMap<u32, Arc<Semaphore>>>,
    overflow_uid: u32,
}

/// Why nothing is known of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAttested {
    /// See [`Lost`].
    #[error(transparent)]
    Lost(#[from] Lost),
    /// What a container engine says of it has to be known, and is not.
    #[error(
        "the container engine does not say what the process's container is, and attestation.engine_required in the sidecar's settings wants it to: see in the sidecar's log why, let it answer, and try again"
    )]
    NoEngine,
    /// It took too long.
    #[error("finding out who the process is takes too long: try again")]
    Slow,
    /// The sidecar is going down.
    #[error("the sidecar is going down")]
    Stopped,
}

impl NotAttested {
    /// The word for it in the audit log.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::NoEngine => "a container engine has to know its container, and does not say",
            Self::Lost(_) | Self::Slow | Self::Stopped => {
                "its process is not, or is not known to be, the one that connected"
            }
        }
    }
}

/// What was found out.
pub(super) enum Found {
    Whole(Arc<Workload>),
    /// The engine did not answer; the next time it may.
    WithoutEngine(Arc<Workload>),
}

impl Attestor {
    /// Starts its thread, which ends with the process. Labels are those that `engine` says.
    ///
    /// # Errors
    /// The system's.
    pub fn start(engine: Option<Engine>) -> std::io::Result<Arc<Self>> {
        Self::start_with(engine, false)
    }

    /// The same; with `engine_required` nobody is attested whose container an engine would have to
    /// tell, and does not.
    ///
    /// # Errors
    /// The system's.
    pub fn start_with(engine: Option<Engine>, engine_required: bool) -> std::io::Result<Arc<Self>> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .max_blocking_threads(READERS)
            .thread_name("attest-reader")
            .thread_stack_size(512 * 1024)
            .build()?;
        let handle = runtime.handle().clone();
        std::thread::Builder::new()
            .name("attest".into())
            .stack_size(512 * 1024)
            .spawn(move || runtime.block_on(std::future::pending::<()>()))?;
        let overflow_uid = std::fs::read_to_string(OVERFLOW)
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or(65534);
        Ok(Arc::new(Self {
            runtime: handle,
            digests: Arc::default(),
            engine_required: engine_required && engine.is_some(),
            engine,
            complained: Mutex::default(),
            shares: Mutex::default(),
            overflow_uid,
        }))
    }

    /// The uid that stands for every user that is not mapped in this namespace.
    #[must_use]
    pub fn overflow_uid(&self) -> u32 {
        self.overflow_uid
    }

    /// Begins to note what `peer` runs.
    pub(super) fn note(&self, peer: &Peer) {
        let peer = peer.clone();
        drop(self.runtime.spawn(async move { peer.note().is_some() }));
    }

    /// See [`Peer::noted`].
    pub(super) async fn noted(&self, peer: &Peer) -> Result<(), NotAttested> {
        let peer = peer.clone();
        let noted = self.runtime.spawn(async move { peer.note().is_some() });
        noted.await.map(drop).map_err(|_| NotAttested::Stopped)
    }

    /// See [`Peer::check`].
    pub(super) async fn check(&self, peer: &Peer) -> Result<(), NotAttested> {
        let peer = peer.clone();
        let checked = self.runtime.spawn(async move { peer.check_unfenced() });
        Ok(checked.await.map_err(|_| NotAttested::Stopped)??)
    }

    pub(super) async fn attest(self: &Arc<Self>, peer: &Peer) -> Result<Found, NotAttested> {
        let attestor = Arc::clone(self);
        let peer = peer.clone();
        // begun from its own thread, so that the readers are not in a sandbox of the caller's
        let mut found = JoinSet::new();
        // dropped with the last who waits, and its work with it
        found.spawn_on(async move { attestor.find_out(peer).await }, &self.runtime);
        match found.join_next().await {
            Some(Ok(found)) => found,
            _ => Err(NotAttested::Stopped),
        }
    }

    async fn find_out(&self, peer: Peer) -> Result<Found, NotAttested> {
        let kernel = tokio::time::timeout(PATIENCE, self.read(&peer))
            .await
            .map_err(|_| NotAttested::Slow)??;
        let said = match &self.engine {
            Some(engine) => engine.ask(&kernel).await,
            None => Ok(None),
        };
        // an engine takes its time
        if !peer.is_alive() {
            return Err(Lost::Ended.into());
        }
        if self.engine_required && kernel.cgroup.is_none() {
            self.complain(&"the control groups of clients cannot be read, so that nobody knows who is in a container: let the sidecar see them in /proc");
            return Err(NotAttested::NoEngine);
        }
        let whole = |engine| Arc::new(Workload { kernel, engine });
        match said {
            Ok(engine) => Ok(Found::Whole(whole(engine))),
            Err(error) => {
                self.complain(&error);
                if self.engine_required {
                    return Err(NotAttested::NoEngine);
                }
                Ok(Found::WithoutEngine(whole(None)))
            }
        }
    }

    /// Reads by a thread of the uid's share. A read that nobody waits for any more is not begun.
    async fn read(&self, peer: &Peer) -> Result<Kernel, NotAttested> {
        let permit = self.share(peer.uid).acquire_owned().await;
        let permit: OwnedSemaphorePermit = permit.map_err(|_| NotAttested::Stopped)?;
        let digests = Arc::clone(&self.digests);
        let peer = peer.clone();
        let mut read = JoinSet::new();
        read.spawn_blocking(move || {
            // until the read has ended, however long ago the caller gave up
            let _permit = permit;
            if !peer.is_alive() {
                return Err(Lost::Ended);
            }
            kernel(&peer, &digests)
        });
        match read.join_next().await {
            Some(Ok(kernel)) => Ok(kernel?),
            _ => Err(NotAttested::Stopped),
        }
    }

    fn share(&self, uid: u32) -> Arc<Semaphore> {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        shares.retain(|_, share| Arc::strong_count(share) > 1);
        let share = shares
            .entry(uid)
            .or_insert_with(|| Arc::new(Semaphore::new(SHARE)));
        Arc::clone(share)
    }

    /// One line for as long as the engine does not answer, and little more.
    fn complain(&self, error: &dyn std::fmt::Display) {
        let mut complained = self.complained.lock().unwrap_or_else(PoisonError::into_inner);
        if complained.is_none_or(|at| at.elapsed() >= QUIET) {
            *complained = Some(Instant::now());
            let meanwhile = if self.engine_required {
                "clients in containers are refused meanwhile"
            } else {
                "labels and image of containers are not known meanwhile"
            };
            tracing::warn!(%error, "{meanwhile}");
        }
    }
}

/// What the kernel says of `peer`, if it still is who connected when that was read.
fn kernel(peer: &Peer, digests: &Digests) -> Result<Kernel, Lost> {
    let was_readable = peer.note().is_some();
    let kernel = match Process::open(peer.pid) {
        Ok(process) => attest::kernel(&process, peer.uid, peer.gid, digests),
        // without /proc the kernel's word at the socket is all there is
        Err(_) => Ok(Kernel::at_socket(peer.uid, peer.gid, peer.pid)),
    };
    // afterwards: what was read is of the process that is held only if that one still lives
    peer.check_unfenced()?;
    let mut kernel = kernel?;
    if !was_readable {
        // it may be read now, but what ran when it was accepted is not known
        kernel.executable = None;
    }
    Ok(kernel)
}
