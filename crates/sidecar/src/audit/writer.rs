//! The end of the log: owns appending lines to the chain and to the current file together, heads,
//! and beginning the next file. It runs in whichever thread holds its lock. It must not wait
//! for more than one write, and in `fsync` for the disk.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use strongroom_core::ambient::Ambient;
use strongroom_core::audit::{Chain, Head, Note, Position};
use strongroom_core::crypto::identity::Identity;

use super::Durability;
use super::copies::Copy;
use super::medium::{Medium, Rest};

/// How often the file is looked for at its path.
const LOOK: Duration = Duration::from_millis(100);

/// The end of a log.
pub(super) struct Writer {
    chain: Chain,
    medium: Box<dyn Medium>,
    durability: Durability,
    identity: Arc<Identity>,
    ambient: Ambient,
    pub(super) copies: Vec<Copy>,
    lines: Vec<u8>,
    looked: Instant,
    begun: Instant,
    has_file: bool,
    /// What is left to do for the file that was begun last.
    pub(super) rest: Option<Rest>,
    /// Quick writes in a row.
    pub(super) in_a_row: u32,
    /// The last write was over well within the time that callers wait.
    pub(super) is_quick: bool,
    /// Lines since the last head.
    pub(super) unsigned: u64,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer")
            .field("chain", &self.chain)
            .finish_non_exhaustive()
    }
}

impl Writer {
    pub(super) fn new(
        last: Position,
        medium: Box<dyn Medium>,
        durability: Durability,
        identity: Arc<Identity>,
        ambient: Ambient,
        copies: Vec<Copy>,
    ) -> Self {
        Self {
            chain: Chain::after(last),
            has_file: medium.length().is_some(),
            medium,
            durability,
            rest: None,
            identity,
            ambient,
            copies,
            lines: Vec::with_capacity(64 << 10),
            looked: Instant::now(),
            begun: Instant::now(),
            in_a_row: 0,
            is_quick: true,
            unsigned: 0,
        }
    }

    pub(super) fn last(&self) -> Position {
        self.chain.last()
    }

    /// Bytes of the current file.
    pub(super) fn length(&self) -> u64 {
        self.medium.length().unwrap_or(0)
    }

    /// How old the current file is.
    pub(super) fn age(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Appends a line for each of `bodies`, all of them or none.
    pub(super) fn write<'a>(
        &mut self,
        now: Instant,
        bodies: impl Iterator<Item = &'a [u8]>,
    ) -> io::Result<()> {
        if now.saturating_duration_since(self.looked) >= LOOK {
            // what was found wrong is looked at again before anything more is written
            self.look()?;
            self.looked = now;
        }
        if !self.has_file {
            self.begin()?;
        }
        self.append(bodies)
    }

    fn append<'a>(&mut self, bodies: impl Iterator<Item = &'a [u8]>) -> io::Result<()> {
        let at = self.ambient.now();
        let mut chain = self.chain;
        self.lines.clear();
        for body in bodies {
            chain.append(at, body, &mut self.lines);
        }
        self.medium.append(&self.lines)?;
        self.unsigned = self
            .unsigned
            .saturating_add(chain.last().seq.saturating_sub(self.last().seq));
        self.chain = chain;
        if !self.copies.is_empty() {
            let lines = Arc::from(self.lines.as_slice());
            self.copies.iter().for_each(|copy| copy.offer(&lines));
        }
        Ok(())
    }

    /// Fails when the file was deleted or replaced; the next write begins another.
    fn look(&mut self) -> io::Result<()> {
        if !self.has_file {
            return Ok(());
        }
        let looked = self.medium.check();
        if matches!(&looked, Err(error) if error.kind() == io::ErrorKind::NotFound) {
            self.has_file = false;
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                "the file was deleted or replaced",
            ));
        }
        looked
    }

    /// Begins a file with a head of the line before it.
    fn begin(&mut self) -> io::Result<()> {
        // of a file that is gone, but for the first file
        let gone = (self.last() != Position::START).then(|| self.medium.name());
        self.next_file()?;
        if let Some(gone) = gone.filter(|gone| !gone.is_empty()) {
            self.append(std::iter::once(note("gone", None, Some(&gone)).as_slice()))?;
        }
        Ok(())
    }

    fn next_file(&mut self) -> io::Result<()> {
        let mut chain = self.chain;
        let first = chain.next_seq();
        self.lines.clear();
        let body = self.signed(chain.last());
        chain.append(self.ambient.now(), &body, &mut self.lines);
        self.rest = self.medium.begin(first, &self.lines, self.durability)?;
        self.chain = chain;
        self.has_file = true;
        self.begun = Instant::now();
        self.looked = self.begun;
        self.unsigned = 0;
        Ok(())
    }

    fn signed(&self, of: Position) -> Vec<u8> {
        let mut body = Vec::with_capacity(384);
        Head::sign(of, self.identity.signing_key()).encode(&mut body);
        body
    }

    /// Writes a head of the last line.
    pub(super) fn sign(&mut self, now: Instant) -> io::Result<()> {
        let body = self.signed(self.last());
        self.write(now, std::iter::once(body.as_slice()))?;
        self.unsigned = 0;
        Ok(())
    }

    /// Closes the file with a head and begins the next.
    pub(super) fn rotate(&mut self, now: Instant) -> io::Result<()> {
        self.sign(now)?;
        self.next_file()
    }

    /// Removes the oldest files beyond `keep`, and says so in the log.
    pub(super) fn prune(&mut self, now: Instant, keep: usize) -> io::Result<()> {
        for name in self.medium.prune(keep)? {
            let body = note("removed", None, Some(&name));
            self.write(now, std::iter::once(body.as_slice()))?;
        }
        Ok(())
    }

    /// Brings the current file to the disk.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.medium.flush()
    }
}

/// The body of a note.
pub(super) fn note(what: &'static str, count: Option<u64>, about: Option<&str>) -> Vec<u8> {
    let mut body = Vec::with_capacity(128);
    Note { what, count, about }.encode(&mut body);
    body
}
