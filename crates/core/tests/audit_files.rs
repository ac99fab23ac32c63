//! The files of an audit log as they are found: some go while it is verified, some are no files.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod audit_kit;

use std::path::Path;
use std::sync::mpsc::channel;
use std::time::Duration;

use audit_kit::{AT, record, workload};
use strongroom_core::ambient::Ambient;
use strongroom_core::audit::{
    Chain, Fault, Head, Names, Note, Position, Report, Subject, Verifier, append, file_name, files,
    verify_directory,
};
use strongroom_core::crypto::identity::Identity;

/// A log of `files` files with `records` records each; the numbers of their first lines.
fn log(directory: &Path, files: u64, records: u64) -> Vec<u64> {
    let identity = Identity::generate(&Ambient::system()).unwrap();
    let subject = Subject::workload(&workload("/bin/x"));
    let mut chain = Chain::after(Position::START);
    let mut firsts = Vec::new();
    for _ in 0..files {
        firsts.push(chain.next_seq());
        let (mut body, mut bytes) = (Vec::new(), Vec::new());
        Head::sign(chain.last(), identity.signing_key()).encode(&mut body);
        chain.append(AT, &body, &mut bytes);
        for _ in 0..records {
            body.clear();
            record(&subject, &[], None).encode(&Names::Clear, &mut body);
            chain.append(AT, &body, &mut bytes);
        }
        std::fs::write(directory.join(file_name(firsts[firsts.len() - 1])), bytes).unwrap();
    }
    firsts
}

/// Verifies in a thread of its own, so that one that hangs fails the test.
fn verified(directory: &Path, verifier: Verifier) -> std::io::Result<Report> {
    let (done, report) = channel();
    let directory = directory.to_owned();
    std::thread::spawn(move || drop(done.send(verify_directory(&directory, verifier))));
    report.recv_timeout(Duration::from_secs(60)).expect("it ends")
}

fn is_open(path: &Path) -> bool {
    let opened = std::fs::read_dir("/proc/self/fd").unwrap();
    opened
        .flatten()
        .any(|one| std::fs::read_link(one.path()).is_ok_and(|file| file == path))
}

#[test]
fn files_that_a_sidecar_prunes_meanwhile_are_no_fault() {
    let scratch = tempfile::tempdir().unwrap();
    for attempt in 0.. {
        let directory = scratch.path().join(attempt.to_string());
        std::fs::create_dir(&directory).unwrap();
        let firsts = log(&directory, 4, 5);
        let [one, two] = [0, 1].map(|at| directory.join(file_name(firsts[at])));
        // its end is waited for, and meanwhile it and the next are removed as `keep` says
        let whole = std::fs::read(&one).unwrap();
        std::fs::write(&one, &whole[..whole.len() - 1]).unwrap();
        let pruned = std::thread::spawn(move || {
            while !is_open(&one) {
                std::thread::sleep(Duration::from_millis(1));
            }
            std::fs::remove_file(&one).unwrap();
            std::fs::remove_file(&two).unwrap();
        });
        let report = verified(&directory, Verifier::default()).unwrap();
        pruned.join().unwrap();
        if report.begun_again == 0 {
            // it was not waited long enough for
            continue;
        }
        assert!(report.is_whole(), "{:?}", report.problems);
        assert_eq!(report.first.unwrap().seq + 1, firsts[2]);
        assert_eq!((report.files, report.lines), (2, 12));
        return;
    }
}

#[test]
fn a_file_that_is_missing_between_others_stays_a_fault() {
    let directory = tempfile::tempdir().unwrap();
    let firsts = log(directory.path(), 3, 5);
    std::fs::remove_file(directory.path().join(file_name(firsts[1]))).unwrap();
    let report = verified(directory.path(), Verifier::default()).unwrap();
    assert!(matches!(report.problems[0].fault, Fault::Missing { .. }));
}

#[test]
fn what_is_no_file_is_a_fault_and_is_not_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    let firsts = log(directory.path(), 2, 5);
    let at = directory.path().join(file_name(9999));
    let put: [&dyn Fn(); 4] = [
        &|| {
            let made = std::process::Command::new("mkfifo").arg(&at).status().unwrap();
            assert!(made.success());
        },
        &|| std::os::unix::fs::symlink("/dev/zero", &at).unwrap(),
        // it points nowhere
        &|| std::os::unix::fs::symlink("nowhere", &at).unwrap(),
        &|| std::fs::create_dir(&at).unwrap(),
    ];
    for put in put {
        put();
        let report = verified(directory.path(), Verifier::default()).unwrap();
        let found: Vec<_> = report
            .problems
            .iter()
            .map(|problem| (problem.file.clone(), problem.line, problem.fault.clone()))
            .collect();
        assert_eq!(found, [(file_name(9999), 0, Fault::NotAFile)]);
        // what it is beside is verified nevertheless
        assert_eq!(report.lines, firsts[1] + 5);
        if std::fs::remove_file(&at).is_err() {
            std::fs::remove_dir(&at).unwrap();
        }
    }
}

/// The lines of one file: `h` a signed head of the line before, `r` a record, `n` a note.
fn lines(directory: &Path, what: &str) {
    let identity = Identity::generate(&Ambient::system()).unwrap();
    let subject = Subject::workload(&workload("/bin/x"));
    let mut chain = Chain::after(Position::START);
    let mut bytes = Vec::new();
    for what in what.chars() {
        let mut body = Vec::new();
        match what {
            'h' => Head::sign(chain.last(), identity.signing_key()).encode(&mut body),
            'r' => record(&subject, &[], None).encode(&Names::Clear, &mut body),
            _ => Note {
                what: "stopped",
                count: None,
                about: None,
            }
            .encode(&mut body),
        }
        chain.append(AT, &body, &mut bytes);
    }
    std::fs::write(directory.join(file_name(1)), bytes).unwrap();
}

#[test]
fn what_no_head_vouches_for_is_counted_and_a_fault_only_where_it_must_not_be() {
    let directory = tempfile::tempdir().unwrap();
    for (what, unsigned) in [
        ("hrrnh", 0),
        ("hrrh", 0),
        ("hrrhh", 0),
        ("hrrhrnr", 3),
        ("hhr", 1),
        ("h", 0),
    ] {
        lines(directory.path(), what);
        let report = verified(directory.path(), Verifier::default()).unwrap();
        assert_eq!((report.is_whole(), report.unsigned), (true, unsigned), "{what}");
        let report = verified(directory.path(), Verifier::default().to_its_end()).unwrap();
        let faults: Vec<_> = report.problems.into_iter().map(|problem| problem.fault).collect();
        match unsigned {
            0 => assert_eq!(faults, [], "{what}"),
            _ => assert_eq!(faults, [Fault::Unsigned { records: unsigned }], "{what}"),
        }
    }
}

#[test]
fn batches_follow_one_another_and_the_next_file_begins_where_one_is_full() {
    let scratch = tempfile::tempdir().unwrap();
    let directory = scratch.path().join("log");
    let (identity, ambient) = (Identity::generate(&Ambient::system()).unwrap(), Ambient::system());
    let subject = Subject::member("alice");
    let batch = |records: usize| {
        let records: Vec<_> = (0..records).map(|_| record(&subject, &[], None)).collect();
        append(&directory, &identity, &ambient, &records).unwrap();
    };
    batch(1);
    batch(20_000);
    assert_eq!(files(&directory).unwrap().len(), 1);
    batch(2);
    assert_eq!(files(&directory).unwrap().len(), 2);
    let key = identity.signing_key().verify_key();
    let report = verified(&directory, Verifier::new(vec![key], None).to_its_end()).unwrap();
    assert!(report.is_whole(), "{:?}", report.problems);
    // a head before each file and after each batch
    assert_eq!(report.lines, 20_003 + 2 + 3);
}
