//! The sink: owns who writes. A worker that finds the lock free writes itself, and then for those
//! that came meanwhile; after an error or a stall only the sink's own thread writes, until writes
//! are quick again. Whoever waits, waits for a bounded time.

use std::cell::RefCell;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant};

use strongroom_core::ambient::Ambient;
use strongroom_core::audit::{Files, Medium, NameKey, Names, Record};
use strongroom_core::crypto::identity::Identity;
use strongroom_core::snapshot::Snapshot;

use super::copies::Copy;
use super::keeper::Keeper;
use super::queue::{Bodies, Item, Queue};
use super::tick::Tick;
use super::ticket::{Pending, Ticket};
use super::trouble::{Trouble, Troubles};
use super::writer::{Writer, note};
use super::{AuditError, Durability, Options, Written};

/// A write that takes longer is a stall.
const STALL: Duration = Duration::from_millis(50);
/// So many quick writes in a row end the time in which only the sink's own thread writes.
const QUICK: u32 = 8;
/// A worker that finds the lock taken looks again so often before it queues: a write is short.
const SPINS: u32 = 128;
/// So many batches a worker writes for others before it leaves the rest to the sink's thread.
const FOR_OTHERS: u32 = 4;

thread_local! {
    static BODIES: RefCell<Bodies> = RefCell::default();
}

/// Writes records; shared by all threads.
#[derive(Debug)]
pub struct Sink {
    log: Arc<Log>,
    keeper: Mutex<Option<JoinHandle<()>>>,
}

/// Numbers of a log since the start of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    /// Records that are in the log; heads and notes are none.
    pub written: u64,
    /// Answers whose records are not.
    pub refused: u64,
    /// Answers whose records wait to be written.
    pub waiting: usize,
    /// Lines that syslog or standard output did not take, as far as that was looked at.
    pub dropped: u64,
}

/// What became of a record so far.
#[derive(Debug)]
#[must_use]
pub enum Attempt {
    /// It is written.
    Done(Written),
    /// Another thread writes it.
    Pending(Pending),
    /// It is not written.
    Failed(AuditError),
}

impl Attempt {
    /// Waits in this thread until it is written.
    ///
    /// # Errors
    /// [`AuditError`].
    pub fn wait(self) -> Result<Written, AuditError> {
        match self {
            Self::Done(written) => Ok(written),
            Self::Pending(pending) => pending.wait(),
            Self::Failed(error) => Err(error),
        }
    }

    /// Does not wait: for records that nothing depends on. The sink itself says what goes wrong.
    pub fn detach(self) {
        if let Self::Pending(pending) = self {
            pending.detach();
        }
    }
}

impl Sink {
    /// Opens the log and goes on where it ended. Names are hashed, if so, under the key of the
    /// store of `snapshot`.
    ///
    /// # Errors
    /// What is wrong with the directory, or the system's own.
    pub fn open(
        options: Options,
        snapshot: &Snapshot,
        identity: Arc<Identity>,
        ambient: Ambient,
    ) -> io::Result<Self> {
        let names = if options.hashed_names {
            Names::Hashed(NameKey::of(snapshot))
        } else {
            Names::Clear
        };
        let (files, found) = Files::open(&options.directory)?;
        let mut notes = Vec::new();
        for aside in &found.aside {
            tracing::error!(
                directory = %options.directory.display(),
                file = aside,
                "the audit log does not verify: the file was put aside; run `strongroom audit verify`"
            );
            notes.push(note("damaged", None, Some(aside)));
        }
        if found.cut > 0 {
            tracing::warn!(
                bytes = found.cut,
                "the audit log's last line was not whole: it was cut off"
            );
            notes.push(note("cut", Some(found.cut), None));
        }
        notes.push(note("started", None, None));
        let mut copies = Vec::new();
        if options.stdout {
            copies.push(Copy::stdout()?);
        }
        if let Some(socket) = options.syslog.clone() {
            copies.push(Copy::syslog(socket)?);
        }
        let mut writer = Writer::new(
            found.last,
            Box::new(files),
            options.durability,
            identity,
            ambient.clone(),
            copies,
        );
        writer.write(Tick::now(), notes.iter().map(Vec::as_slice))?;
        writer.sign(Tick::now())?;
        if options.durability == Durability::Fsync {
            writer.flush()?;
        }
        Self::start(options, names, writer, ambient)
    }

    /// A sink on a medium of the caller's, for tests of slow and broken ones.
    ///
    /// # Errors
    /// The system's own.
    pub fn on(
        medium: Box<dyn Medium>,
        options: Options,
        identity: Arc<Identity>,
        ambient: Ambient,
    ) -> io::Result<Self> {
        let start = strongroom_core::audit::Position::START;
        let writer = Writer::new(
            start,
            medium,
            options.durability,
            identity,
            ambient.clone(),
            Vec::new(),
        );
        Self::start(options, Names::Clear, writer, ambient)
    }

    fn start(options: Options, names: Names, writer: Writer, ambient: Ambient) -> io::Result<Self> {
        let troubles = Troubles::new(ambient, options.directory.display().to_string());
        let log = Arc::new(Log {
            direct: AtomicBool::new(options.durability == Durability::Written),
            options,
            names,
            writer: Mutex::new(writer),
            queue: Queue::default(),
            stopped: AtomicBool::new(false),
            is_due: AtomicBool::new(false),
            troubles: Arc::new(troubles),
            written: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            keeper: OnceLock::new(),
        });
        let keeper = Keeper::start(Arc::clone(&log))?;
        let _ = log.keeper.set(keeper.thread().clone());
        Ok(Self {
            log,
            keeper: Mutex::new(Some(keeper)),
        })
    }

    /// Writes one record, now if possible.
    pub fn try_write(&self, record: &Record<'_>) -> Attempt {
        self.try_write_all(std::slice::from_ref(record))
    }

    /// Writes the records of one answer, all of them or none.
    pub fn try_write_all(&self, records: &[Record<'_>]) -> Attempt {
        if records.is_empty() {
            return Attempt::Failed(AuditError::Nothing);
        }
        BODIES.with_borrow_mut(|bodies| {
            bodies.clear();
            for record in records {
                bodies.push(|out| record.encode(&self.log.names, out));
            }
            self.log.attempt(bodies)
        })
    }

    /// What is wrong with the log now, if anything.
    #[must_use]
    pub fn trouble(&self) -> Option<Trouble> {
        self.log.troubles.current()
    }

    /// Numbers since the start.
    #[must_use]
    pub fn figures(&self) -> Figures {
        Figures {
            written: self.log.written.load(Ordering::Relaxed),
            refused: self.log.troubles.all_refused(),
            waiting: self.log.queue.len(),
            dropped: self.log.dropped.load(Ordering::Relaxed),
        }
    }

    /// Where the log is written.
    #[must_use]
    pub fn directory(&self) -> &std::path::Path {
        &self.log.options.directory
    }

    /// Writes what waits, then the log's end and a head; nothing is written after it. Waits a
    /// bounded time.
    pub fn stop(&self) {
        self.log.stopped.store(true, Ordering::SeqCst);
        let Some(keeper) = self.keeper.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            return;
        };
        let until = Instant::now() + self.log.options.timeout.saturating_mul(2);
        while !keeper.is_finished() && Instant::now() < until {
            keeper.thread().unpark();
            std::thread::sleep(Duration::from_millis(1));
        }
        if !keeper.is_finished() {
            tracing::error!("the audit log could not be closed in time: its last records are not signed");
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What callers and the sink's thread share.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) options: Options,
    names: Names,
    writer: Mutex<Writer>,
    queue: Queue,
    /// True while callers may write themselves.
    direct: AtomicBool,
    pub(super) stopped: AtomicBool,
    /// The sink's thread has something to do besides writing.
    pub(super) is_due: AtomicBool,
    pub(super) troubles: Arc<Troubles>,
    /// Records; changed only by who has the writer.
    written: AtomicU64,
    /// Lines that second sinks did not take.
    pub(super) dropped: AtomicU64,
    keeper: OnceLock<Thread>,
}

impl Log {
    fn attempt(&self, bodies: &Bodies) -> Attempt {
        if self.stopped.load(Ordering::SeqCst) {
            return Attempt::Failed(AuditError::Stopped);
        }
        if self.is_direct()
            && let Some(mut writer) = self.try_lock(SPINS)
        {
            let result = self.write(&mut writer, bodies.iter());
            self.write_for_others(writer);
            return match result {
                Ok(seq) => Attempt::Done(Written { seq }),
                Err(error) => {
                    self.wake_keeper();
                    Attempt::Failed(self.refuse(error))
                }
            };
        }
        let ticket: Arc<Ticket> = Arc::default();
        let item = Item {
            bodies: bodies.clone(),
            ticket: Arc::clone(&ticket),
        };
        if !self.queue.push(item) {
            self.troubles.begin("too many records wait");
            return Attempt::Failed(self.refuse(AuditError::Full));
        }
        let pending = Pending::new(ticket, Arc::clone(&self.troubles), self.options.timeout);
        // the lock may have been given back before the record was queued
        match self.is_direct().then(|| self.try_lock(0)).flatten() {
            Some(writer) => self.write_for_others(writer),
            None if self.is_direct() => {}
            None => self.wake_keeper(),
        }
        match pending.result() {
            Some(Ok(written)) => Attempt::Done(written),
            Some(Err(error)) => Attempt::Failed(error),
            None => Attempt::Pending(pending),
        }
    }

    fn refuse(&self, error: AuditError) -> AuditError {
        self.troubles.refused();
        error
    }

    fn is_direct(&self) -> bool {
        self.direct.load(Ordering::Acquire)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn try_lock(&self, spins: u32) -> Option<MutexGuard<'_, Writer>> {
        let mut left = spins;
        loop {
            match self.writer.try_lock() {
                Ok(writer) => return Some(writer),
                Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
                Err(TryLockError::WouldBlock) if left == 0 => return None,
                Err(TryLockError::WouldBlock) => {
                    left -= 1;
                    std::hint::spin_loop();
                }
            }
        }
    }

    pub(super) fn wake_keeper(&self) {
        if let Some(keeper) = self.keeper.get() {
            keeper.unpark();
        }
    }

    /// Writes what others queued while this thread had the lock, within limits; the sink's thread
    /// does the rest.
    fn write_for_others<'a>(&'a self, mut writer: MutexGuard<'a, Writer>) {
        for _ in 0..FOR_OTHERS {
            if self.is_direct() && !self.queue.is_empty() {
                self.write_queued(&mut writer);
            }
            drop(writer);
            if self.queue.is_empty() {
                return;
            }
            // whoever has the lock now sees what is queued
            writer = match self.try_lock(0) {
                Some(writer) if self.is_direct() => writer,
                Some(_) => break,
                None => return,
            };
        }
        self.wake_keeper();
    }

    /// True when nothing waits to be written.
    pub(super) fn is_idle(&self) -> bool {
        self.queue.is_empty()
    }

    /// Writes everything that is queued; only the sink's thread calls this.
    pub(super) fn write_waiting(&self) {
        while !self.is_idle() {
            self.write_queued(&mut self.lock());
        }
    }

    /// One write for everything that is queued now.
    pub(super) fn write_queued(&self, writer: &mut Writer) {
        let items = self.queue.take();
        if items.is_empty() {
            return;
        }
        let result = self.write(writer, items.iter().flat_map(|item| item.bodies.iter()));
        for item in items {
            if result.is_err() {
                self.troubles.refused();
            }
            item.ticket.complete(result);
        }
    }

    /// Writes records.
    fn write<'a>(
        &self,
        writer: &mut Writer,
        bodies: impl Iterator<Item = &'a [u8]>,
    ) -> Result<u64, AuditError> {
        let mut count = 0;
        let seq = self.lines(writer, bodies.inspect(|_| count += 1))?;
        self.written.fetch_add(count, Ordering::Relaxed);
        Ok(seq)
    }

    /// Writes what is no record.
    pub(super) fn note(&self, writer: &mut Writer, body: &[u8]) -> Result<u64, AuditError> {
        self.lines(writer, std::iter::once(body))
    }

    /// Writes, and tells when an outage is over.
    fn lines<'a>(
        &self,
        writer: &mut Writer,
        bodies: impl Iterator<Item = &'a [u8]>,
    ) -> Result<u64, AuditError> {
        let seq = self.append(writer, bodies)?;
        if self.troubles.is_any() && writer.is_quick {
            let refused = self.troubles.end();
            let resumed = note("resumed", Some(refused), None);
            // when this fails, the next record does
            let _ = self.append(writer, std::iter::once(resumed.as_slice()));
        }
        Ok(seq)
    }

    /// Tries whether an outage is over, by writing that it is.
    pub(super) fn probe(&self) {
        let resumed = note("resumed", Some(self.troubles.count()), None);
        let mut writer = self.lock();
        let written = self.append(&mut writer, std::iter::once(resumed.as_slice()));
        if written.is_ok() && writer.is_quick {
            self.troubles.end();
        }
    }

    /// Writes, and judges how it went.
    fn append<'a>(
        &self,
        writer: &mut Writer,
        bodies: impl Iterator<Item = &'a [u8]>,
    ) -> Result<u64, AuditError> {
        // asked without the lock before, and the end may have come meanwhile
        if writer.is_closed {
            return Err(AuditError::Stopped);
        }
        let begun = Tick::now();
        let mut result = writer.write(begun, bodies);
        let is_synced = self.options.durability == Durability::Fsync;
        if result.is_ok() && is_synced {
            result = writer.flush();
        }
        if let Err(error) = result {
            self.direct.store(false, Ordering::Release);
            writer.in_a_row = 0;
            self.troubles.begin(&error.to_string());
            return Err(AuditError::Io(error.kind()));
        }
        let took = begun.elapsed();
        writer.is_quick = took < self.options.timeout / 2;
        if !is_synced {
            self.judge(writer, took);
        }
        let is_due = writer.unsigned >= self.options.head_every_records
            || writer.length() >= self.options.rotate_bytes;
        if is_due && !self.is_due.swap(true, Ordering::AcqRel) {
            self.wake_keeper();
        }
        Ok(writer.last().seq)
    }

    fn judge(&self, writer: &mut Writer, took: Duration) {
        if took > STALL {
            self.direct.store(false, Ordering::Release);
            writer.in_a_row = 0;
        } else if !self.is_direct() {
            writer.in_a_row += 1;
            if writer.in_a_row >= QUICK {
                self.direct.store(true, Ordering::Release);
            }
        }
    }
}
