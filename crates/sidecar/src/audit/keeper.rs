//! The sink's own thread: owns what is done to a log besides writing records: heads, the next
//! file, trying again after an outage, the end. While something is wrong, or when every record
//! goes to the disk, it alone writes.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::sink::Log;
use super::tick::Tick;
use super::writer::note;

/// How often writing is tried during an outage in which nobody asks.
const RETRY: Duration = Duration::from_secs(1);
/// After a file could not be begun, or an old one not be removed.
const PATIENCE: Duration = Duration::from_secs(10);

/// The thread's state.
pub(super) struct Keeper {
    log: Arc<Log>,
    next_head: Instant,
    next_file: Instant,
    /// Brings the file before the current one to the disk.
    to_disk: Option<JoinHandle<()>>,
}

impl Keeper {
    pub(super) fn start(log: Arc<Log>) -> io::Result<JoinHandle<()>> {
        let now = Instant::now();
        let mut this = Self {
            next_head: now + log.options.head_every,
            next_file: now,
            to_disk: None,
            log,
        };
        std::thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || this.run())
    }

    fn run(&mut self) {
        while !self.log.stopped.load(Ordering::SeqCst) {
            self.log.write_waiting();
            self.log.is_due.store(false, Ordering::SeqCst);
            self.tend();
            // while this thread had the lock, callers queued
            if !self.log.is_idle() {
                continue;
            }
            let until = if self.log.troubles.is_any() {
                RETRY
            } else {
                self.next_head.saturating_duration_since(Instant::now())
            };
            std::thread::park_timeout(until);
        }
        self.close();
    }

    /// What is due.
    fn tend(&mut self) {
        let log = Arc::clone(&self.log);
        let now = Instant::now();
        if log.troubles.is_any() {
            log.probe();
            if log.troubles.is_any() {
                return;
            }
        }
        self.bring_to_disk();
        if now >= self.next_file && self.to_disk.is_none() && self.is_full() {
            self.next_file = now + PATIENCE;
            match self.rotate() {
                Ok(()) => self.next_file = now,
                Err(error) => tracing::warn!(%error, "the audit log could not begin its next file"),
            }
        }
        let is_time = now >= self.next_head;
        if is_time {
            self.next_head = now + log.options.head_every;
            self.count_dropped();
        }
        let mut writer = log.lock();
        let is_due = writer.unsigned >= log.options.head_every_records || (is_time && writer.unsigned > 0);
        if is_due && let Err(error) = writer.sign(Tick::now()) {
            drop(writer);
            log.troubles.begin(&error.to_string());
        }
    }

    fn is_full(&self) -> bool {
        let options = &self.log.options;
        let writer = self.log.lock();
        writer.length() >= options.rotate_bytes || writer.age() >= options.rotate_every
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.log.lock().rotate(Tick::now())?;
        self.bring_to_disk();
        match self.log.options.keep {
            Some(keep) => self.log.lock().prune(Tick::now(), keep),
            None => Ok(()),
        }
    }

    /// In a thread of its own, one at a time: a whole file may have to go to the disk, and meanwhile
    /// this thread may be the only one that writes.
    fn bring_to_disk(&mut self) {
        self.to_disk.take_if(|thread| thread.is_finished());
        if self.to_disk.is_some() {
            return;
        }
        let Some(rest) = self.log.lock().rest.take() else {
            return;
        };
        let thread = std::thread::Builder::new()
            .name("audit-disk".to_owned())
            .spawn(move || {
                if let Err(error) = rest() {
                    tracing::warn!(%error, "the audit log's last file could not be brought to the disk");
                }
            });
        match thread {
            Ok(thread) => self.to_disk = Some(thread),
            // the kernel does it, at its own time
            Err(error) => tracing::warn!(%error, "the audit log's last file was not brought to the disk"),
        }
    }

    fn count_dropped(&self) {
        let mut writer = self.log.lock();
        let dropped: Vec<_> = writer
            .copies
            .iter()
            .map(|copy| (copy.name, copy.take_dropped()))
            .filter(|(_, count)| *count > 0)
            .collect();
        for (name, count) in dropped {
            self.log.dropped.fetch_add(count, Ordering::Relaxed);
            let body = note("dropped", Some(count), Some(name));
            let _ = self.log.note(&mut writer, &body);
        }
    }

    fn close(&self) {
        self.log.write_waiting();
        self.count_dropped();
        let mut writer = self.log.lock();
        let stopped = note("stopped", None, None);
        let closed = self.log.note(&mut writer, &stopped).is_ok()
            && writer.sign(Tick::now()).and_then(|()| writer.flush()).is_ok();
        writer.is_closed = true;
        // whoever queued meanwhile is told
        self.log.write_queued(&mut writer);
        if !closed {
            tracing::error!("the audit log could not be closed: its last records are not signed");
        }
    }
}
