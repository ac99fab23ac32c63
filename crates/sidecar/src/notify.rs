//! What the service manager is told: owns the notification socket and the watchdog's interval.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// The service manager, if there is one that listens.
#[derive(Debug)]
pub struct Manager(Option<(UnixDatagram, SocketAddr)>);

impl Manager {
    /// The one that started this process.
    #[must_use]
    pub fn of_process() -> Self {
        Self(std::env::var_os("NOTIFY_SOCKET").and_then(|name| {
            let address = match name.as_bytes().strip_prefix(b"@") {
                Some(name) => SocketAddr::from_abstract_name(name),
                None => SocketAddr::from_pathname(&name),
            };
            Some((UnixDatagram::unbound().ok()?, address.ok()?))
        }))
    }

    /// Tells it `KEY=value` lines; nobody waits for an answer.
    pub fn tell(&self, lines: &str) {
        if let Some((socket, address)) = &self.0
            && let Err(error) = socket.send_to_addr(lines.as_bytes(), address)
        {
            tracing::warn!(%error, "the service manager was not told");
        }
    }

    /// Half the time after which it takes this process for hung, if it watches it.
    #[must_use]
    pub fn watchdog() -> Option<Duration> {
        let number = |name| std::env::var(name).ok()?.parse::<u64>().ok();
        let is_ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let micros = number("WATCHDOG_USEC").filter(|micros| is_ours && *micros > 1)?;
        Some(Duration::from_micros(micros / 2))
    }

    /// What a reload begins with: the manager orders it by this clock.
    #[must_use]
    pub fn reloading() -> String {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let micros = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1000;
        format!("RELOADING=1\nMONOTONIC_USEC={micros}")
    }
}
