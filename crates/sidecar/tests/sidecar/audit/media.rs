//! Files with something between them and the sink: owns media that fail, wait or forget.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use strongroom_sidecar::audit::{Durability, Files, Medium, Rest};

use super::Desk;

/// What is done in place of the files' own.
pub(super) trait Between: Send {
    fn append(&mut self, files: &mut Files, bytes: &[u8]) -> io::Result<()> {
        files.append(bytes)
    }
    fn flush(&mut self, files: &mut Files) -> io::Result<()> {
        files.flush()
    }
    fn begin(
        &mut self,
        files: &mut Files,
        first: u64,
        bytes: &[u8],
        durability: Durability,
    ) -> io::Result<Option<Rest>> {
        files.begin(first, bytes, durability)
    }
}

pub(super) struct Over<B> {
    files: Files,
    between: B,
}

impl<B: Between> Over<B> {
    pub(super) fn new(desk: &Desk, between: B) -> Self {
        let (files, _) = Files::open(&desk.directory()).unwrap();
        Self { files, between }
    }
}

impl<B: Between> Medium for Over<B> {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.between.append(&mut self.files, bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.between.flush(&mut self.files)
    }
    fn cut(&mut self, length: u64) {
        self.files.cut(length);
    }
    fn check(&mut self) -> io::Result<()> {
        self.files.check()
    }
    fn begin(&mut self, first: u64, bytes: &[u8], durability: Durability) -> io::Result<Option<Rest>> {
        self.between.begin(&mut self.files, first, bytes, durability)
    }
    fn length(&self) -> Option<u64> {
        self.files.length()
    }
    fn name(&self) -> String {
        self.files.name()
    }
    fn prune(&mut self, keep: usize) -> io::Result<Vec<String>> {
        self.files.prune(keep)
    }
}

/// What is wrong with files now.
#[derive(Default)]
pub(super) struct Faults {
    error: Mutex<Option<io::ErrorKind>>,
    /// Milliseconds that a write takes,
    pub(super) delay: AtomicU64,
    /// and how many were begun.
    pub(super) writes: AtomicU64,
}

impl Faults {
    /// What every write ends with.
    pub(super) fn set(&self, error: Option<io::ErrorKind>) {
        *self.error.lock().unwrap() = error;
    }
}

impl Between for Arc<Faults> {
    fn append(&mut self, files: &mut Files, bytes: &[u8]) -> io::Result<()> {
        self.writes.fetch_add(1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(self.delay.load(Ordering::SeqCst)));
        match *self.error.lock().unwrap() {
            Some(kind) => Err(kind.into()),
            None => files.append(bytes),
        }
    }
}

/// Files that fail or take long when told to.
pub(super) fn faulty(desk: &Desk) -> (Over<Arc<Faults>>, Arc<Faults>) {
    let faults: Arc<Faults> = Arc::default();
    (Over::new(desk, Arc::clone(&faults)), faults)
}
