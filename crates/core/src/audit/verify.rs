//! Finding out what was done to a log: owns the walk along the chain, line by line in bounded
//! memory, and going on after a fault so that the next one is found where it is. It must not
//! read files.

use std::collections::VecDeque;

use super::chain::{Head, Position, linked};
use super::line::{Body, Line};
use super::report::{Fault, LISTED, Problem, Report};
use crate::crypto::sign::VerifyKey;
use crate::id::Hash;

/// A head vouches for one of so many lines before it.
pub(super) const REACH: usize = 8192;

/// Walks along the lines of a log.
#[derive(Clone, Debug, Default)]
pub struct Verifier {
    keys: Vec<VerifyKey>,
    since: Option<Position>,
    since_found: bool,
    to_its_end: bool,
    report: Report,
    file: String,
    line: u64,
    /// The number that the file's name gives its first line.
    named: Option<u64>,
    /// What the hash of the line before may be: after a fault it may be one of two, or any.
    before: Before,
    next: u64,
    /// The hashes of the last lines, and whether each is of a signed head.
    recent: VecDeque<(Hash, bool)>,
    time: String,
    /// The last line but heads said that the sidecar stopped.
    stopped: bool,
    torn: bool,
    /// Where a line is hashed.
    room: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default)]
enum Before {
    #[default]
    Any,
    Is(Hash),
    Either(Hash, Hash),
}

impl Before {
    fn link(self, line: &[u8], stored: Hash, room: &mut Vec<u8>) -> (bool, Hash) {
        match self {
            Self::Any => (true, stored),
            Self::Is(hash) => {
                let made = linked(hash, line, room);
                (made == stored, made)
            }
            Self::Either(one, other) => {
                let made = linked(one, line, room);
                (made == stored || linked(other, line, room) == stored, made)
            }
        }
    }
}

impl Verifier {
    /// A walk in which heads count that are signed by one of `keys`, or by anyone when there are
    /// none, and that must come by `since`.
    #[must_use]
    pub fn new(keys: Vec<VerifyKey>, since: Option<Position>) -> Self {
        Self {
            keys,
            since,
            ..Self::default()
        }
    }

    /// The same walk, in which records at the end that no signed head vouches for are a fault.
    #[must_use]
    pub fn to_its_end(mut self) -> Self {
        self.to_its_end = true;
        self
    }

    /// What was found so far.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Where the lines so far end, if none of them was at fault.
    #[must_use]
    pub fn end(&self) -> Option<Position> {
        self.report.last.filter(|_| self.report.is_whole())
    }

    /// A fault of the file as a whole, or of the log when no file was begun.
    pub fn fault(&mut self, fault: Fault) {
        let line = std::mem::take(&mut self.line);
        self.found(fault);
        self.line = line;
    }

    fn found(&mut self, fault: Fault) {
        self.report.faults += 1;
        if self.report.problems.len() < LISTED {
            self.report.problems.push(Problem {
                file: self.file.clone(),
                line: self.line,
                fault,
            });
        }
    }

    /// Begins the file `name`, whose first line is number `first`.
    pub fn file(&mut self, name: &str, first: u64) {
        name.clone_into(&mut self.file);
        self.named = Some(first);
        self.line = 0;
        self.report.files += 1;
        if std::mem::take(&mut self.torn) {
            // whatever was torn off is missing from the chain
            self.before = Before::Any;
        }
    }

    /// The file ends with bytes that are no whole line.
    pub fn torn(&mut self, bytes: u64) {
        self.line += 1;
        self.torn = true;
        self.stopped = false;
        self.found(Fault::Torn { bytes });
    }

    /// The next line of the file, without its newline.
    pub fn line(&mut self, bytes: &[u8]) {
        self.line += 1;
        self.report.lines += 1;
        self.report.bytes += u64::try_from(bytes.len()).unwrap_or(0) + 1;
        let named = self.named.take();
        let Ok(line) = Line::parse(bytes) else {
            self.found(Fault::NotALine);
            // it stands for one record, of which nothing is known
            self.before = Before::Any;
            self.step(None);
            return;
        };
        if let Some(named) = named {
            self.begins(&line, named);
        }
        self.follows(&line);
        self.told(&line);
        self.step(Some(&line));
    }

    /// The first line of a file: a head of the line before it.
    fn begins(&mut self, line: &Line<'_>, named: u64) {
        if named != line.seq {
            self.found(Fault::Name);
        }
        let opening = match line.body {
            Body::Head(head) if head.of.seq.checked_add(1) == Some(line.seq) => head,
            _ => {
                self.found(Fault::Beginning);
                if self.report.last.is_none() {
                    self.next = line.seq;
                }
                return;
            }
        };
        if self.report.first.is_none() {
            self.report.first = Some(opening.of);
        }
        // files before it may have been removed as the settings say: the head says where it is
        let is_start = opening.of.seq == 0;
        if self.report.last.is_none() && (!is_start || opening.of == Position::START) {
            self.before = Before::Is(opening.of.hash);
            self.next = line.seq;
            self.recent.push_back((opening.of.hash, false));
            self.meets(opening.of);
        }
    }

    /// Checks number and hash against what came before.
    fn follows(&mut self, line: &Line<'_>) {
        let expected = self.next.max(1);
        if line.seq != expected {
            self.found(if line.seq > expected {
                Fault::Missing {
                    from: expected,
                    to: line.seq - 1,
                }
            } else {
                Fault::Moved {
                    seq: line.seq,
                    expected,
                }
            });
            self.before = Before::Is(line.hash);
            self.recent.clear();
            return;
        }
        let (fits, made) = self.before.link(line.hashed, line.hash, &mut self.room);
        self.before = Before::Is(line.hash);
        if !fits {
            self.found(Fault::Changed { seq: line.seq });
            // either the bytes were changed or the hash: the next line tells which it was
            self.before = Before::Either(line.hash, made);
        }
    }

    fn told(&mut self, line: &Line<'_>) {
        if line.time < self.time.as_str() {
            self.report.clock_back += 1;
            if self.report.clock_back_at.is_none() {
                self.report.clock_back_at = Some((self.file.clone(), self.line));
            }
        }
        line.time.clone_into(&mut self.time);
        match line.body {
            Body::Record(_) => self.stopped = false,
            Body::Note(note) => self.stopped = note.what.raw() == "stopped",
            Body::Head(head) => self.head(line, &head),
        }
        self.report.closed = self.stopped && matches!(line.body, Body::Head(_));
    }

    fn head(&mut self, line: &Line<'_>, head: &Head) {
        if head.verify().is_err() {
            self.found(Fault::Signature);
            return;
        }
        if !self.keys.is_empty() && !self.keys.contains(&head.key) {
            self.found(Fault::Key);
            return;
        }
        let back = line.seq.checked_sub(head.of.seq).filter(|back| *back > 0);
        let back = back.and_then(|back| usize::try_from(back).ok());
        let at = back.and_then(|back| self.recent.len().checked_sub(back));
        match at.and_then(|at| self.recent.get(at)) {
            Some((hash, _)) if *hash == head.of.hash => {}
            Some(_) => {
                self.found(Fault::Rewritten { of: head.of.seq });
                return;
            }
            // after a fault what lies before is not known, and its fault is told already
            None if back.is_some_and(|back| back <= REACH) && !self.report.is_whole() => return,
            None if head.of == Position::START => {}
            None => {
                self.found(Fault::Far { of: head.of.seq });
                return;
            }
        }
        if !self.report.keys.contains(&head.key) {
            self.report.keys.push(head.key);
        }
        if head.of.seq >= self.report.signed {
            self.report.signed = head.of.seq;
            let between = back.unwrap_or(1).saturating_sub(1);
            let between = self.recent.iter().rev().take(between);
            self.report.unsigned =
                u64::try_from(between.filter(|(_, is_head)| !is_head).count()).unwrap_or(0);
        }
        self.report.signed_at = Some(line.time.to_owned());
    }

    fn step(&mut self, line: Option<&Line<'_>>) {
        let Some(line) = line else {
            self.next = self.next.max(1).saturating_add(1);
            self.recent.clear();
            self.report.unsigned += 1;
            return;
        };
        let is_head = matches!(line.body, Body::Head(_));
        self.report.unsigned += u64::from(!is_head);
        if self.recent.len() == REACH {
            self.recent.pop_front();
        }
        self.recent.push_back((line.hash, is_head));
        self.next = line.seq.saturating_add(1);
        let position = Position {
            seq: line.seq,
            hash: line.hash,
        };
        self.report.last = Some(position);
        self.meets(position);
    }

    /// Compares a place with the one that was noted elsewhere.
    fn meets(&mut self, position: Position) {
        if let Some(since) = self.since.filter(|since| since.seq == position.seq) {
            self.since_found = true;
            if since != position {
                self.found(Fault::Replaced { seq: since.seq });
            }
        }
    }

    /// The end of the log.
    #[must_use]
    pub fn finish(mut self) -> Report {
        self.file.clear();
        self.line = 0;
        if self.report.lines == 0 {
            self.found(Fault::Nothing);
        }
        if self.to_its_end && self.report.unsigned > 0 {
            self.found(Fault::Unsigned {
                records: self.report.unsigned,
            });
        }
        if let Some(since) = self.since.filter(|_| !self.since_found) {
            let last = self.report.last.map_or(0, |last| last.seq);
            self.found(if since.seq > last {
                Fault::Truncated {
                    last,
                    wanted: since.seq,
                }
            } else {
                Fault::Absent { seq: since.seq }
            });
        }
        self.report
    }
}
