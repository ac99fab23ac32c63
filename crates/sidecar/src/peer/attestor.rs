//! Finding out who a process is, away from the threads that serve: owns a thread with a runtime
//! for it, what it remembers, and for how long it tries. It must not know connections.
//!
//! A sandbox that forbids looking at other processes (Landlock forbids `/proc/PID/exe`) must not
//! cover its threads, so they are started before there is one.

use std::sync::Arc;
use std::time::Duration;

use strongroom_core::attest::{self, Digests, Lost, Process};
use strongroom_core::workload::{Kernel, Workload};
use tokio::runtime::Handle;

use super::Peer;

/// How long finding out may take: reading a large program from a slow disk.
const PATIENCE: Duration = Duration::from_secs(5);

/// Threads that read programs.
const READERS: usize = 4;

/// Where the kernel keeps the uid that stands for all that are not mapped.
const OVERFLOW: &str = "/proc/sys/kernel/overflowuid";

/// Finds out who processes are.
#[derive(Debug)]
pub struct Attestor {
    runtime: Handle,
    digests: Arc<Digests>,
    overflow_uid: u32,
}

/// Why nothing is known of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAttested {
    /// See [`Lost`].
    #[error(transparent)]
    Lost(#[from] Lost),
    /// It took too long.
    #[error("finding out who the process is takes too long: try again")]
    Slow,
    /// The sidecar is going down.
    #[error("the sidecar is going down")]
    Stopped,
}

/// What was found out.
pub(super) enum Found {
    Whole(Arc<Workload>),
    /// The engine did not answer; the next time it may.
    #[expect(dead_code, reason = "no engine is asked yet")]
    WithoutEngine(Arc<Workload>),
}

impl Attestor {
    /// Starts its thread, which ends with the process.
    ///
    /// # Errors
    /// The system's.
    pub fn start() -> std::io::Result<Arc<Self>> {
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
            overflow_uid,
        }))
    }

    /// The uid that stands for every user that is not mapped in this namespace.
    #[must_use]
    pub fn overflow_uid(&self) -> u32 {
        self.overflow_uid
    }

    pub(super) async fn attest(self: &Arc<Self>, peer: &Peer) -> Result<Found, NotAttested> {
        let attestor = Arc::clone(self);
        let peer = peer.clone();
        // begun from its own thread, so that the readers are not in a sandbox of the caller's
        let found = self.runtime.spawn(async move {
            tokio::time::timeout(PATIENCE, attestor.find_out(peer))
                .await
                .unwrap_or(Err(NotAttested::Slow))
        });
        found.await.unwrap_or(Err(NotAttested::Stopped))
    }

    async fn find_out(self: Arc<Self>, peer: Peer) -> Result<Found, NotAttested> {
        let digests = Arc::clone(&self.digests);
        let kernel = tokio::task::spawn_blocking(move || kernel(&peer, &digests));
        let kernel = kernel.await.map_err(|_| NotAttested::Stopped)??;
        let workload = Workload { kernel, engine: None };
        Ok(Found::Whole(Arc::new(workload)))
    }
}

/// What the kernel says of `peer`, if it still is who connected when that was read.
fn kernel(peer: &Peer, digests: &Digests) -> Result<Kernel, Lost> {
    let kernel = match Process::open(peer.pid) {
        Ok(process) => attest::kernel(&process, peer.uid, peer.gid, digests),
        // without /proc the kernel's word at the socket is all there is
        Err(_) => Ok(Kernel {
            uid: peer.uid,
            gid: peer.gid,
            groups: Vec::new(),
            pid: Some(peer.pid),
            executable: None,
            cgroup: None,
            container: None,
            unit: None,
            user_unit: None,
        }),
    };
    // afterwards: what was read is of the process that is held only if that one still lives
    match (peer.is_same(), peer.is_alive()) {
        (true, true) => kernel,
        (false, true) => Err(Lost::Changed),
        (_, false) => Err(Lost::Ended),
    }
}
