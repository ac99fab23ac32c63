//! The end of the log: owns appending lines to the chain and to the current file together, heads,
//! and beginning the next file. It runs in whichever thread holds its lock. It must not wait
//! for more than one write, and in `fsync` for the disk.

use std::cell::RefCell;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use strongroom_core::ambient::Ambient;
use strongroom_core::audit::{Chain, Head, Medium, Note, Position, Rest};
use strongroom_core::crypto::identity::Identity;

use super::Durability;
use super::copies::Copy;
use super::tick::Tick;

/// How often the file is looked for at its path.
const LOOK: Duration = Duration::from_millis(100);

thread_local! {
    /// Lines that are being written, in memory of the thread that writes them: what another had
    /// written to last would have to come from its core first.
    static LINES: RefCell<Vec<u8>> = RefCell::default();
}

/// The end of a log.
pub(super) struct Writer {
    chain: Chain,
    medium: Box<dyn Medium>,
    durability: Durability,
    identity: Arc<Identity>,
    ambient: Ambient,
    pub(super) copies: Vec<Copy>,
    looked: Tick,
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
    /// The end of what is on the disk, where that counts.
    flushed: End,
    /// Lines behind it that the second sinks get when they are on the disk.
    uncopied: Vec<u8>,
    /// Nothing is written any more.
    pub(super) is_closed: bool,
}

/// An end that can be gone back to.
#[derive(Clone, Copy)]
struct End {
    chain: Chain,
    /// Bytes of the current file.
    length: u64,
    unsigned: u64,
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
        let flushed = End {
            chain: Chain::after(last),
            length: medium.length().unwrap_or(0),
            unsigned: 0,
        };
        Self {
            chain: flushed.chain,
            has_file: medium.length().is_some(),
            medium,
            durability,
            rest: None,
            identity,
            ambient,
            copies,
            looked: Tick::now(),
            begun: Instant::now(),
            in_a_row: 0,
            is_quick: true,
            unsigned: 0,
            flushed,
            uncopied: Vec::new(),
            is_closed: false,
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
    pub(super) fn write<'a>(&mut self, now: Tick, bodies: impl Iterator<Item = &'a [u8]>) -> io::Result<()> {
        if now.since(self.looked) >= LOOK {
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
        LINES.with_borrow_mut(|lines| {
            lines.clear();
            for body in bodies {
                chain.append(at, body, lines);
            }
            self.medium.append(lines)?;
            self.unsigned = self
                .unsigned
                .saturating_add(chain.last().seq.saturating_sub(self.last().seq));
            self.chain = chain;
            self.copy(lines);
            Ok(())
        })
    }

    /// Gives the second sinks the lines that were just written, which with `fsync` may still be
    /// taken back.
    fn copy(&mut self, lines: &[u8]) {
        if self.copies.is_empty() {
            return;
        }
        if self.durability == Durability::Fsync {
            self.uncopied.extend_from_slice(lines);
        } else {
            offer(&self.copies, lines);
        }
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
        let gone = gone.filter(|gone| !gone.is_empty());
        self.next_file(gone.map(|gone| note("gone", None, Some(&gone))))
    }

    /// Head and `note` are there together or not at all.
    fn next_file(&mut self, note: Option<Vec<u8>>) -> io::Result<()> {
        let mut chain = self.chain;
        let first = chain.next_seq();
        let mut lines = Vec::with_capacity(1024);
        let body = self.signed(chain.last());
        let at = self.ambient.now();
        chain.append(at, &body, &mut lines);
        if let Some(note) = &note {
            chain.append(at, note, &mut lines);
        }
        self.rest = self.medium.begin(first, &lines, self.durability)?;
        self.chain = chain;
        self.has_file = true;
        self.begun = Instant::now();
        self.looked = Tick::now();
        self.unsigned = u64::from(note.is_some());
        self.copy(&lines);
        if self.durability == Durability::Fsync {
            self.is_flushed();
        }
        Ok(())
    }

    fn signed(&self, of: Position) -> Vec<u8> {
        let mut body = Vec::with_capacity(384);
        Head::sign(of, self.identity.signing_key()).encode(&mut body);
        body
    }

    /// Writes a head of the last line.
    pub(super) fn sign(&mut self, now: Tick) -> io::Result<()> {
        let body = self.signed(self.last());
        self.write(now, std::iter::once(body.as_slice()))?;
        self.unsigned = 0;
        Ok(())
    }

    /// Closes the file with a head and begins the next.
    pub(super) fn rotate(&mut self, now: Tick) -> io::Result<()> {
        self.sign(now)?;
        if self.durability == Durability::Fsync {
            self.flush()?;
        }
        self.next_file(None)
    }

    /// Removes the oldest files beyond `keep`, and says so in the log.
    pub(super) fn prune(&mut self, now: Tick, keep: usize) -> io::Result<()> {
        for name in self.medium.prune(keep)? {
            let body = note("removed", None, Some(&name));
            self.write(now, std::iter::once(body.as_slice()))?;
        }
        Ok(())
    }

    /// Brings the current file to the disk. With `fsync`, lines for which that failed are taken
    /// back: the kernel may have forgotten them, and the next flush would succeed without them.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        let flushed = self.medium.flush();
        if self.durability == Durability::Fsync {
            match flushed {
                Ok(()) => self.is_flushed(),
                Err(_) => self.take_back(),
            }
        }
        flushed
    }

    fn is_flushed(&mut self) {
        self.flushed = End {
            chain: self.chain,
            length: self.length(),
            unsigned: self.unsigned,
        };
        if !self.uncopied.is_empty() {
            offer(&self.copies, &self.uncopied);
            self.uncopied.clear();
        }
    }

    fn take_back(&mut self) {
        self.medium.cut(self.flushed.length);
        self.chain = self.flushed.chain;
        self.unsigned = self.flushed.unsigned;
        self.uncopied.clear();
    }
}

fn offer(copies: &[Copy], lines: &[u8]) {
    let lines = Arc::from(lines);
    copies.iter().for_each(|copy| copy.offer(&lines));
}

/// The body of a note.
pub(super) fn note(what: &'static str, count: Option<u64>, about: Option<&str>) -> Vec<u8> {
    let mut body = Vec::with_capacity(128);
    Note { what, count, about }.encode(&mut body);
    body
}
