//! Second sinks: owns giving each line to syslog and to standard output as well, at best effort:
//! nothing waits for them, and what they do not take is counted. It must not know the files.

use std::io::Write as _;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Writes that may wait for one sink,
const WAITING: usize = 1024;
/// and their bytes: one answer may have thousands of records.
const WAITING_BYTES: usize = 4 << 20;
/// Facility authpriv, severity informational.
const PRIORITY: &str = "<86>";

/// One second sink.
#[derive(Debug)]
pub(super) struct Copy {
    pub(super) name: &'static str,
    sender: SyncSender<Arc<[u8]>>,
    dropped: Arc<AtomicU64>,
    /// Bytes that wait.
    bytes: Arc<AtomicUsize>,
}

/// What waits for one sink; each taken is done with when the next is asked for.
struct Waiting {
    receiver: Receiver<Arc<[u8]>>,
    bytes: Arc<AtomicUsize>,
    taken: usize,
}

impl Iterator for Waiting {
    type Item = Arc<[u8]>;

    fn next(&mut self) -> Option<Self::Item> {
        self.bytes.fetch_sub(self.taken, Ordering::Relaxed);
        self.taken = 0;
        let lines = self.receiver.recv().ok()?;
        self.taken = lines.len();
        Some(lines)
    }
}

impl Copy {
    fn start(
        name: &'static str,
        run: impl FnOnce(Waiting, &AtomicU64) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (sender, receiver) = sync_channel(WAITING);
        let dropped: Arc<AtomicU64> = Arc::default();
        let counted = Arc::clone(&dropped);
        let bytes: Arc<AtomicUsize> = Arc::default();
        let waiting = Waiting {
            receiver,
            bytes: Arc::clone(&bytes),
            taken: 0,
        };
        std::thread::Builder::new()
            .name(format!("audit-{name}"))
            .spawn(move || run(waiting, &counted))?;
        Ok(Self {
            name,
            sender,
            dropped,
            bytes,
        })
    }

    /// Lines to standard output, as they are.
    pub(super) fn stdout() -> std::io::Result<Self> {
        Self::start("stdout", |lines, dropped| {
            for lines in lines {
                let mut out = std::io::stdout().lock();
                if out.write_all(&lines).and_then(|()| out.flush()).is_err() {
                    dropped.fetch_add(count(&lines), Ordering::Relaxed);
                }
            }
        })
    }

    /// Each line as a datagram to the socket of a syslog daemon; journald has one at `/dev/log`.
    pub(super) fn syslog(socket: PathBuf) -> std::io::Result<Self> {
        Self::start("syslog", move |lines, dropped| {
            let head = format!("{PRIORITY}strongroom-audit[{}]: ", std::process::id());
            let mut to = None;
            for lines in lines {
                for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                    if !sent(&mut to, &socket, &[head.as_bytes(), line].concat()) {
                        dropped.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
        })
    }

    /// Gives it `lines` if it has room.
    pub(super) fn offer(&self, lines: &Arc<[u8]>) {
        let before = self.bytes.fetch_add(lines.len(), Ordering::Relaxed);
        // what is larger passes when it is alone
        let has_room = before == 0 || before.saturating_add(lines.len()) <= WAITING_BYTES;
        if !has_room || self.sender.try_send(Arc::clone(lines)).is_err() {
            self.bytes.fetch_sub(lines.len(), Ordering::Relaxed);
            self.dropped.fetch_add(count(lines), Ordering::Relaxed);
        }
    }

    /// How many lines were dropped since this was asked.
    pub(super) fn take_dropped(&self) -> u64 {
        self.dropped.swap(0, Ordering::Relaxed)
    }
}

fn count(lines: &[u8]) -> u64 {
    let lines = lines.iter().filter(|byte| **byte == b'\n').count();
    u64::try_from(lines).unwrap_or(u64::MAX)
}

/// Sends one datagram; a daemon that was started again is connected to again.
fn sent(to: &mut Option<UnixDatagram>, socket: &Path, message: &[u8]) -> bool {
    for _ in 0..2 {
        if to.is_none() {
            *to = connected(socket).ok();
        }
        match to.as_ref().map(|socket| socket.send(message)) {
            Some(Ok(_)) => return true,
            Some(Err(error)) if error.kind() == std::io::ErrorKind::WouldBlock => return false,
            Some(Err(_)) => *to = None,
            None => return false,
        }
    }
    false
}

fn connected(socket: &Path) -> std::io::Result<UnixDatagram> {
    let to = UnixDatagram::unbound()?;
    to.set_nonblocking(true)?;
    to.connect(socket)?;
    Ok(to)
}
