//! The audit log's bytes and chain: whatever is done to a log is found, and where.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use strongroom_core::ambient::{Ambient, Timestamp};
use strongroom_core::audit::{
    Body, Caller, Chain, Decision, Fault, Head, Line, Name, Names, Note, Position, Record, Report, RequestId,
    Subject, Verifier, file_name, files, verify_directory,
};
use strongroom_core::crypto::identity::Identity;
use strongroom_core::id::{EntryId, Hash, Revision};
use strongroom_core::name::{EntryPath, EnvironmentName, MemberName};
use strongroom_core::workload::{Container, Executable, Kernel, Runtime, Workload};

const AT: Timestamp = Timestamp(1_764_381_247_123);

fn workload(executable: &str) -> Workload {
    Workload {
        kernel: Kernel {
            uid: 1000,
            gid: 100,
            groups: vec![5],
            pid: Some(77),
            executable: Some(Executable {
                path: executable.to_owned(),
                sha256: None,
            }),
            cgroup: None,
            container: Some(Container {
                runtime: Runtime::Docker,
                id: "c".repeat(64),
                pod: None,
                user: Some(1000),
            }),
            unit: Some("web.service".to_owned()),
            user_unit: None,
        },
        engine: None,
    }
}

fn record<'a>(subject: &'a Subject, policies: &'a [Arc<str>], name: Option<Name<'a>>) -> Record<'a> {
    Record {
        revision: Revision(7),
        subject,
        action: "readSecret",
        entry: Some(EntryId([0xab; 16])),
        name,
        decision: Decision::Allow,
        reason: Some("policy"),
        policies,
        request: Some(RequestId(0xfeed)),
    }
}

fn line_of(encode: impl FnOnce(&mut Vec<u8>)) -> String {
    let (mut body, mut line) = (Vec::new(), Vec::new());
    encode(&mut body);
    Chain::after(Position::START).append(AT, &body, &mut line);
    String::from_utf8(line).unwrap()
}

#[test]
fn a_line_has_the_documented_bytes() {
    let subject = Subject::workload(&workload("/usr/bin/web"));
    let (environment, path) = (
        EnvironmentName::new("prod").unwrap(),
        EntryPath::new("web/db").unwrap(),
    );
    let name = Name {
        environment: &environment,
        path: Some(&path),
    };
    let policies = ["one".into(), "two".into()];
    let line = line_of(|out| record(&subject, &policies, Some(name)).encode(&Names::Clear, out));
    let shown = format!(
        "{{\"seq\":1,\"time\":\"2025-11-29T01:54:07.123Z\",\"revision\":7,\"workload\":{{\"uid\":1000,\"gid\":100,\
         \"pid\":77,\"container\":\"{}\",\"container_of\":1000,\"unit\":\"web.service\",\"executable\":\"/usr/bin/web\"}},\
         \"action\":\"readSecret\",\"entry\":\"abababababababababababababababab\",\"name\":\"prod/web/db\",\
         \"decision\":\"allow\",\"reason\":\"policy\",\"policies\":[\"one\",\"two\"],\"request\":\"000000000000feed\"",
        "c".repeat(64)
    );
    // the hash is that of 32 zeros and of what comes before it
    let hash = Hash::of_parts(&[&[0; 32], shown.as_bytes()]);
    assert_eq!(line, format!("{shown},\"hash\":\"{hash}\"}}\n"));
    let parsed = Line::parse(line.trim_end().as_bytes()).unwrap();
    assert_eq!((parsed.seq, parsed.hash), (1, hash));
    let Body::Record(record) = parsed.body else {
        panic!("a record")
    };
    assert_eq!(record.name.unwrap().get(), "prod/web/db");
    assert_eq!(
        record
            .policies()
            .map(|it| it.get().into_owned())
            .collect::<Vec<_>>(),
        ["one", "two"]
    );
    assert!(matches!(
        record.caller,
        Caller::Workload {
            uid: 1000,
            pid: Some(77),
            ..
        }
    ));
    // any JSON reader reads it
    let value: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(value["workload"]["unit"], "web.service");
}

#[test]
fn of_many_policies_some_are_named() {
    let subject = Subject::member(&MemberName::new("alice").unwrap());
    let policies: Vec<Arc<str>> = (0..20).map(|at| format!("p{at}").into()).collect();
    let line = line_of(|out| record(&subject, &policies, None).encode(&Names::Clear, out));
    let parsed = Line::parse(line.trim_end().as_bytes()).unwrap();
    let Body::Record(record) = parsed.body else {
        panic!("a record")
    };
    assert_eq!((record.policies().count(), record.more), (16, 4));
}

#[test]
fn times_are_those_of_the_calendar() {
    for (millis, shown) in [
        (0, "1970-01-01T00:00:00.000Z"),
        (951_782_399_999, "2000-02-28T23:59:59.999Z"),
        (951_782_400_000, "2000-02-29T00:00:00.000Z"),
        (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
        (u64::MAX, "9999-12-31T23:59:59.999Z"),
    ] {
        let mut line = Vec::new();
        Chain::after(Position::START).append(Timestamp(millis), b"\"note\":\"x\"", &mut line);
        assert_eq!(Line::parse(line.trim_ascii_end()).unwrap().time, shown);
    }
}

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

    #[test]
    fn no_bytes_are_too_much(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Line::parse(&bytes);
    }

    /// One spelling only: what parses has no second form that differs in a byte and parses to the same.
    #[test]
    fn any_text_of_a_process_comes_back(path in "\\PC{0,40}|[\\x00-\\x7f]{0,40}") {
        let subject = Subject::workload(&workload(&path));
        let line = line_of(|out| record(&subject, &[], None).encode(&Names::Clear, out));
        prop_assert!(!line.trim_end().contains('\n'));
        let parsed = Line::parse(line.trim_end_matches('\n').as_bytes()).unwrap();
        let Body::Record(record) = parsed.body else { panic!("a record") };
        let Caller::Workload { executable: Some(found), .. } = record.caller else { panic!("a workload") };
        prop_assert_eq!(found.get(), path.as_str());
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        prop_assert_eq!(value["workload"]["executable"].as_str().unwrap(), path.as_str());
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
        report.unsigned() > 0 && !report.closed,
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
fn notes_come_back() {
    let line = line_of(|out| {
        Note {
            what: "dropped",
            count: Some(3),
            about: Some("stdout"),
        }
        .encode(out);
    });
    let Body::Note(note) = Line::parse(line.trim_end().as_bytes()).unwrap().body else {
        panic!("a note")
    };
    assert_eq!(
        (note.what.raw(), note.count, note.about.unwrap().raw()),
        ("dropped", Some(3), "stdout")
    );
}
