//! The chain of an audit log: whatever is done to a log is found, and where.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod audit_kit;

use std::path::Path;

use audit_kit::{AT, record, workload};
use proptest::prelude::*;
use strongroom_core::ambient::{Ambient, Timestamp};
use strongroom_core::audit::{
    Body, Chain, Fault, Head, Line, Names, Position, Report, Subject, Verifier, file_name, files,
    verify_directory,
};
use strongroom_core::crypto::identity::Identity;

/// The lines of a log, with the file of each.
struct Log {
    files: Vec<(String, u64, Vec<Vec<u8>>)>,
    last: Position,
}

impl Log {
    /// `records` lines, a head after every `signed` of them, a file for every `rotated`.
    fn new(identity: &Identity, records: u64, signed: u64, rotated: u64) -> Self {
        let subject = Subject::workload(&workload("/bin/\"x\"\n"));
        let mut chain = Chain::after(Position::START);
        let mut files: Vec<(String, u64, Vec<Vec<u8>>)> = Vec::new();
        for at in 0..records {
            if at % rotated == 0 {
                let first = chain.next_seq();
                files.push((file_name(first), first, Vec::new()));
                push(&mut files, &mut chain, at, |out, of| {
                    Head::sign(of, identity.signing_key()).encode(out);
                });
            }
            push(&mut files, &mut chain, at, |out, _| {
                record(&subject, &[], None).encode(&Names::Clear, out);
            });
            if (at + 1) % signed == 0 {
                push(&mut files, &mut chain, at, |out, of| {
                    Head::sign(of, identity.signing_key()).encode(out);
                });
            }
        }
        Self {
            files,
            last: chain.last(),
        }
    }

    fn verify(&self, verifier: Verifier) -> Report {
        let mut verifier = verifier;
        for (name, first, lines) in &self.files {
            verifier.file(name, *first);
            lines.iter().for_each(|line| verifier.line(line));
        }
        verifier.finish()
    }

    /// The file and line, from 1, of the line at `index` of the whole log.
    fn place(&self, index: usize) -> (String, u64) {
        let mut left = index;
        for (name, _, lines) in &self.files {
            if left < lines.len() {
                return (name.clone(), left as u64 + 1);
            }
            left -= lines.len();
        }
        panic!("no such line")
    }

    fn lines(&mut self) -> Vec<&mut Vec<u8>> {
        self.files.iter_mut().flat_map(|file| &mut file.2).collect()
    }

    fn count(&self) -> usize {
        self.files.iter().map(|file| file.2.len()).sum()
    }

    fn remove(&mut self, index: usize) {
        let mut left = index;
        for (_, _, lines) in &mut self.files {
            if left < lines.len() {
                lines.remove(left);
                return;
            }
            left -= lines.len();
        }
    }

    fn insert(&mut self, index: usize, line: Vec<u8>) {
        let mut left = index;
        for (_, _, lines) in &mut self.files {
            if left < lines.len() {
                lines.insert(left, line);
                return;
            }
            left -= lines.len();
        }
    }
}

fn push(
    files: &mut [(String, u64, Vec<Vec<u8>>)],
    chain: &mut Chain,
    at: u64,
    encode: impl FnOnce(&mut Vec<u8>, Position),
) {
    let (mut body, mut line) = (Vec::new(), Vec::new());
    encode(&mut body, chain.last());
    chain.append(Timestamp(AT.0 + at), &body, &mut line);
    line.pop();
    files.last_mut().unwrap().2.push(line);
}

fn identity() -> Identity {
    Identity::generate(&Ambient::system()).unwrap()
}

fn first_place(report: &Report) -> (String, u64) {
    let first = report.problems.first().expect("a fault is found");
    (first.file.clone(), first.line)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_done_to_a_line_is_found_at_its_place(
        records in 2_u64..40, signed in 1_u64..9, rotated in 2_u64..17,
        at in any::<prop::sample::Index>(), other in any::<prop::sample::Index>(),
        byte in any::<prop::sample::Index>(), to in any::<u8>(), what in 0..5,
    ) {
        let identity = identity();
        let key = identity.signing_key().verify_key();
        let mut log = Log::new(&identity, records, signed, rotated);
        let whole = log.verify(Verifier::new(vec![key], Some(log.last)));
        prop_assert!(whole.is_whole(), "{:?}", whole.problems);
        let (count, end) = (log.count(), log.last);
        let at = at.index(count);
        let mut expected = log.place(at);
        match what {
            // a byte is changed
            0 => {
                let line = &mut log.lines()[at].clone();
                let byte = byte.index(line.len());
                prop_assume!(line[byte] != to && to != b'\n');
                line[byte] = to;
                *log.lines()[at] = line.clone();
            }
            // a line is removed; what follows stands in its place
            1 => {
                log.remove(at);
                expected = if at < log.count() { log.place(at) } else { (String::new(), 0) };
            }
            // two lines are swapped: the first of them is out of place
            2 => {
                let other = other.index(count);
                prop_assume!(other != at);
                let (one, two) = (log.lines()[at].clone(), log.lines()[other].clone());
                *log.lines()[at] = two;
                *log.lines()[other] = one;
                expected = log.place(at.min(other));
            }
            // a line is there twice
            3 => {
                let other = other.index(count);
                prop_assume!(other != at);
                let line = log.lines()[other].clone();
                log.insert(at, line);
            }
            // the log ends early
            _ => {
                while log.count() > at {
                    log.remove(at);
                }
                expected = (String::new(), 0);
            }
        }
        let report = log.verify(Verifier::new(vec![key], Some(end)));
        prop_assert_eq!(first_place(&report), expected, "{:?}", report.problems);
    }
}

#[test]
fn an_end_that_was_removed_shows_only_beside_a_noted_head() {
    let identity = identity();
    let mut log = Log::new(&identity, 10, 4, 100);
    let end = log.last;
    log.remove(log.count() - 1);
    let report = log.verify(Verifier::default());
    assert!(report.is_whole());
    assert!(
        report.unsigned == 1 && !report.closed,
        "it says what is not vouched for"
    );
    let report = log.verify(Verifier::new(Vec::new(), Some(end)));
    assert!(matches!(report.problems[0].fault, Fault::Truncated { wanted, .. } if wanted == end.seq));
}

/// Somebody who can write the files makes the chain anew after a change, without the key.
#[test]
fn a_rewritten_chain_is_betrayed_by_the_next_head() {
    let identity = identity();
    let log = Log::new(&identity, 9, 3, 100);
    let subject = Subject::workload(&workload("/bin/other"));
    let mut chain = Chain::after(Position::START);
    let mut forged = vec![(file_name(1), 1, Vec::new())];
    for (at, line) in log.files[0].2.iter().enumerate() {
        push(&mut forged, &mut chain, at as u64, |out, _| {
            match Line::parse(line).unwrap().body {
                Body::Head(head) => head.encode(out),
                _ if at == 2 => record(&subject, &[], None).encode(&Names::Clear, out),
                _ => record(&Subject::workload(&workload("/bin/\"x\"\n")), &[], None)
                    .encode(&Names::Clear, out),
            }
        });
    }
    let last = chain.last();
    let report = Log { files: forged, last }.verify(Verifier::default());
    assert!(
        matches!(report.problems[0].fault, Fault::Rewritten { of: 4 }),
        "{:?}",
        report.problems
    );
    assert_eq!(report.problems[0].line, 5);
}

#[test]
fn a_log_of_another_key_is_refused_when_a_key_is_named() {
    let (identity, other) = (identity(), identity());
    let log = Log::new(&other, 5, 2, 100);
    let key = identity.signing_key().verify_key();
    let report = log.verify(Verifier::new(vec![key], None));
    assert!(matches!(report.problems[0].fault, Fault::Key));
    let report = log.verify(Verifier::default());
    assert_eq!(
        (report.is_whole(), report.keys),
        (true, vec![other.signing_key().verify_key()])
    );
}

#[test]
fn old_files_may_be_gone_and_one_in_the_middle_may_not() {
    let identity = identity();
    let mut log = Log::new(&identity, 30, 5, 10);
    log.files.remove(0);
    let report = log.verify(Verifier::default());
    assert!(report.is_whole(), "{:?}", report.problems);
    let mut log = Log::new(&identity, 30, 5, 10);
    let missing = log.files.remove(1);
    let report = log.verify(Verifier::default());
    let first = &report.problems[0];
    assert_eq!((first.file.as_str(), first.line), (log.files[1].0.as_str(), 1));
    assert!(matches!(first.fault, Fault::Missing { from, .. } if from == missing.1));
}

#[test]
fn a_clock_that_was_set_back_is_noted_and_no_fault() {
    let identity = identity();
    let mut chain = Chain::after(Position::START);
    let mut files = vec![(file_name(1), 1, Vec::new())];
    for at in [500, 400, 600] {
        push(&mut files, &mut chain, at, |out, of| {
            Head::sign(of, identity.signing_key()).encode(out);
        });
    }
    let last = chain.last();
    let report = Log { files, last }.verify(Verifier::default());
    assert!(report.is_whole());
    assert_eq!(
        (report.clock_back, report.clock_back_at),
        (1, Some((file_name(1), 2)))
    );
}

fn write(directory: &Path, log: &Log) {
    for (name, _, lines) in &log.files {
        let mut bytes = lines.join(&b'\n');
        bytes.push(b'\n');
        std::fs::write(directory.join(name), bytes).unwrap();
    }
}

#[test]
fn files_are_verified_where_they_lie() {
    let identity = identity();
    let directory = tempfile::tempdir().unwrap();
    let log = Log::new(&identity, 30, 5, 10);
    write(directory.path(), &log);
    let report = verify_directory(directory.path(), Verifier::new(Vec::new(), Some(log.last))).unwrap();
    assert!(report.is_whole(), "{:?}", report.problems);
    assert_eq!((report.files, report.lines), (3, log.count() as u64));

    // the last line loses its end
    let last = files(directory.path()).unwrap().pop().unwrap();
    let bytes = std::fs::read(&last.path).unwrap();
    std::fs::write(&last.path, &bytes[..bytes.len() - 5]).unwrap();
    let report = verify_directory(directory.path(), Verifier::default()).unwrap();
    let count = bytes.iter().filter(|byte| **byte == b'\n').count();
    assert_eq!(first_place(&report), (last.name.clone(), count as u64));
    assert!(matches!(report.problems[0].fault, Fault::Torn { .. }));

    // a line that never ends costs no memory
    std::fs::write(&last.path, vec![b'x'; 3 << 20]).unwrap();
    let report = verify_directory(directory.path(), Verifier::default()).unwrap();
    assert_eq!(first_place(&report), (last.name, 1));
    let empty = tempfile::tempdir().unwrap();
    let report = verify_directory(empty.path(), Verifier::default()).unwrap();
    assert!(matches!(report.problems[0].fault, Fault::Nothing));
}

#[test]
fn a_log_of_many_blocks_is_read_whole_and_each_of_its_bytes_counts() {
    let identity = Identity::generate(&Ambient::system()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    // about five blocks of a megabyte, read ahead by a thread of their own
    let log = Log::new(&identity, 15_000, 1000, 100_000);
    let [(name, _, lines)] = log.files.as_slice() else {
        panic!("one file")
    };
    let mut bytes = lines.join(&b'\n');
    bytes.push(b'\n');
    assert!(bytes.len() > 4 << 20, "{}", bytes.len());
    let path = directory.path().join(name);
    std::fs::write(&path, &bytes).unwrap();
    let report = verify_directory(directory.path(), Verifier::default()).unwrap();
    assert!(report.is_whole(), "{:?}", report.problems);
    assert_eq!(report.lines, lines.len() as u64);
    for at in [(1 << 20) - 1, 1 << 20, 3 << 20, bytes.len() - 2] {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        std::fs::write(&path, &changed).unwrap();
        let report = verify_directory(directory.path(), Verifier::default()).unwrap();
        assert!(!report.is_whole(), "byte {at}");
        let line = bytes[..at].iter().filter(|byte| **byte == b'\n').count() as u64 + 1;
        assert_eq!(report.problems[0].line, line, "byte {at}");
    }
}

#[test]
fn a_noted_head_that_is_not_there_is_not_said_to_lie_before_the_log() {
    let identity = identity();
    for removed in [0..2, 1..2] {
        let mut log = Log::new(&identity, 30, 5, 10);
        let line = Line::parse(&log.files[1].2[3]).unwrap();
        let noted = Position {
            seq: line.seq,
            hash: line.hash,
        };
        let begins_later = removed.start == 0;
        log.files.drain(removed);
        let report = log.verify(Verifier::new(Vec::new(), Some(noted)));
        // with lines before it, they are missing in between
        assert_eq!(report.first.unwrap().seq > noted.seq, begins_later);
        let fault = &report.problems.last().unwrap().fault;
        let said = fault.to_string();
        assert!(
            said.contains(&format!(
                "record {}, the head that was noted, is not there",
                noted.seq
            )),
            "{said}"
        );
    }
}
