//! A log that programs append to one after the other, each a batch: owns waiting for the lock, a signed
//! head behind every batch, and the next file. A sidecar, of which many threads write, has its own
//! way to the same files. It must not know what was read.

use std::io;
use std::path::Path;
use std::time::Duration;

use super::chain::{Chain, Head};
use super::disk::{Files, Found};
use super::line::Note;
use super::medium::{Durability, Medium as _};
use super::record::{Names, Record};
use crate::ambient::Ambient;
use crate::crypto::identity::Identity;

/// How often and after what time the lock is asked for again: ten seconds in all.
const LOOKS: u32 = 500;
const LOOK: Duration = Duration::from_millis(20);
/// A file that has so many bytes is followed by the next: each batch verifies the last one first.
const FULL: u64 = 4 << 20;

/// Appends a line for each of `records`, with names as they are, and a head signed by `identity`, to the
/// log in `directory`. They are on the disk afterwards.
///
/// # Errors
/// The system's own, or what is wrong with the directory: then nothing may be done that had to be recorded.
pub fn append(
    directory: &Path,
    identity: &Identity,
    ambient: &Ambient,
    records: &[Record<'_>],
) -> io::Result<()> {
    let (mut files, found) = locked(directory)?;
    let mut batch = Batch {
        chain: Chain::after(found.last),
        ambient,
        lines: Vec::new(),
    };
    if files.length().is_none_or(|length| length >= FULL) {
        let first = batch.chain.next_seq();
        batch.head(identity);
        files.begin(first, &batch.lines, Durability::Fsync)?;
        batch.lines.clear();
    }
    for name in &found.aside {
        batch.note("damaged", None, Some(name));
    }
    if found.cut > 0 {
        batch.note("cut", Some(found.cut), None);
    }
    for record in records {
        batch.line(|out| record.encode(&Names::Clear, out));
    }
    batch.head(identity);
    let before = files.length().unwrap_or(0);
    files.append(&batch.lines)?;
    let flushed = files.flush();
    if flushed.is_err() {
        // the kernel may have forgotten them, and the log would have a hole
        files.cut(before);
    }
    flushed
}

/// Programs that hold the lock are done soon.
fn locked(directory: &Path) -> io::Result<(Files, Found)> {
    for _ in 0..LOOKS {
        match Files::open(directory) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::sleep(LOOK),
            opened => return opened,
        }
    }
    Files::open(directory)
}

/// Lines that are written together.
struct Batch<'a> {
    chain: Chain,
    ambient: &'a Ambient,
    lines: Vec<u8>,
}

impl Batch<'_> {
    fn line(&mut self, encode: impl FnOnce(&mut Vec<u8>)) {
        let mut body = Vec::new();
        encode(&mut body);
        self.chain.append(self.ambient.now(), &body, &mut self.lines);
    }

    fn note(&mut self, what: &'static str, count: Option<u64>, about: Option<&str>) {
        self.line(|out| Note { what, count, about }.encode(out));
    }

    fn head(&mut self, identity: &Identity) {
        let head = Head::sign(self.chain.last(), identity.signing_key());
        self.line(|out| head.encode(out));
    }
}
