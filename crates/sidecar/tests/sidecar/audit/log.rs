//! The log in good times: it goes on after a restart, rotates under load, is kept to its size and
//! copied.

use std::collections::BTreeSet;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use strongroom_core::ambient::Ambient;
use strongroom_core::audit::{Body, Line, Name, Record, RequestId, files};
use strongroom_sidecar::audit::{Attempt, AuditError, Durability, Options, Sink};

use super::{Desk, told, until};
use crate::scene::{environment, path};

#[test]
fn a_log_goes_on_after_a_restart_and_is_signed_to_its_end() {
    let desk = Desk::new();
    for round in 0..3 {
        let sink = desk.open(desk.options());
        for request in 0..5 {
            assert!(matches!(
                sink.try_write(&desk.record(round * 5 + request)),
                Attempt::Done(_)
            ));
        }
        sink.stop();
        let refused = sink.try_write(&desk.record(99)).wait();
        assert!(matches!(refused, Err(AuditError::Stopped)));
        let report = desk.whole();
        assert!(report.closed);
        assert_eq!(report.unsigned, 0);
    }
    let (requests, notes) = told(&desk.directory());
    assert_eq!(requests, (0..15).collect::<Vec<_>>());
    assert_eq!(
        notes,
        ["started", "stopped", "started", "stopped", "started", "stopped"]
    );
    assert_eq!(desk.whole().files, 1);
    let mode = |path: &Path| std::os::unix::fs::MetadataExt::mode(&path.metadata().unwrap()) & 0o777;
    assert_eq!(mode(&desk.directory()), 0o700);
    assert_eq!(mode(&files(&desk.directory()).unwrap()[0].path), 0o600);
}

#[test]
fn many_threads_write_while_files_rotate() {
    const EACH: u64 = 3000;
    for durability in [Durability::Written, Durability::Fsync] {
        let each = if durability == Durability::Fsync {
            EACH / 10
        } else {
            EACH
        };
        let desk = Desk::new();
        let sink = desk.open(Options {
            rotate_bytes: 65_536,
            head_every_records: 100,
            timeout: Duration::from_secs(20),
            durability,
            ..desk.options()
        });
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (desk, sink) = (&desk, &sink);
                scope.spawn(move || {
                    let mut before = 0;
                    for at in 0..each {
                        let seq = desk.write(sink, thread * each + at).unwrap();
                        assert!(seq > before, "in order for each thread");
                        before = seq;
                    }
                });
            }
        });
        sink.stop();
        let report = desk.whole();
        let (requests, _) = told(&desk.directory());
        assert_eq!(requests.len() as u64, 4 * each);
        assert_eq!(
            requests.into_iter().collect::<BTreeSet<_>>().len() as u64,
            4 * each
        );
        // how many, is the affair of the thread that changes them
        assert!(report.files > 1, "{}", report.files);
    }
}

#[test]
fn an_answer_of_many_values_is_recorded_whole() {
    let desk = Desk::new();
    let sink = desk.open(desk.options());
    let records: Vec<_> = (0..500).map(|at| desk.record(at)).collect();
    drop(sink.try_write_all(&records).wait().unwrap());
    assert!(matches!(
        sink.try_write_all(&[]),
        Attempt::Failed(AuditError::Nothing)
    ));
    drop(sink);
    assert_eq!(told(&desk.directory()).0.len(), 500);
    desk.whole();
}

#[test]
fn hashed_names_can_be_tested_by_a_member_and_read_by_nobody() {
    let desk = Desk::new();
    let sink = desk.open(Options {
        hashed_names: true,
        ..desk.options()
    });
    let (environment, path) = (environment("prod"), path("web/database/password"));
    let name = Name {
        environment: &environment,
        path: Some(&path),
    };
    let record = Record {
        name: Some(name),
        ..desk.record(1)
    };
    drop(sink.try_write(&record).wait().unwrap());
    drop(sink);
    let text = std::fs::read_to_string(&files(&desk.directory()).unwrap()[0].path).unwrap();
    assert!(!text.contains("database"));
    let snapshot = desk.scene.vault.snapshot();
    let names = strongroom_core::audit::Names::Hashed(strongroom_core::audit::NameKey::of(&snapshot));
    assert!(text.contains(&names.text(name)));
}

#[test]
fn one_directory_is_one_sidecars_and_nobody_elses_to_write() {
    use std::os::unix::fs::PermissionsExt;
    let desk = Desk::new();
    let sink = desk.open(desk.options());
    let again = |desk: &Desk| {
        let snapshot = desk.scene.vault.snapshot();
        Sink::open(
            desk.options(),
            &snapshot,
            Arc::clone(&desk.identity),
            Ambient::system(),
        )
        .unwrap_err()
        .to_string()
    };
    assert!(again(&desk).contains("another program"));
    drop(sink);
    std::fs::set_permissions(desk.directory(), PermissionsExt::from_mode(0o770)).unwrap();
    assert!(again(&desk).contains("chmod go-w"));
}

#[test]
fn old_files_are_removed_when_so_many_are_kept_and_the_log_says_so() {
    let desk = Desk::new();
    let sink = desk.open(Options {
        rotate_bytes: 65_536,
        keep: Some(2),
        ..desk.options()
    });
    // Files are changed behind the back of those who write, so how many records that takes is the keeper's affair.
    let mut requests = 0..;
    until(|| {
        for request in requests.by_ref().take(100) {
            desk.write(&sink, request).unwrap();
        }
        told(&desk.directory()).1.contains(&"removed".to_owned())
    });
    drop(sink);
    let report = desk.whole();
    assert!(report.files <= 3, "{}", report.files);
    assert!(report.first.unwrap().seq > 0);
    assert!(told(&desk.directory()).1.contains(&"removed".to_owned()));
}

#[test]
fn syslog_gets_every_line_and_what_it_does_not_take_is_counted() {
    let desk = Desk::new();
    let socket = desk.scene.file("log.sock");
    let daemon = UnixDatagram::bind(&socket).unwrap();
    let sink = desk.open(Options {
        syslog: Some(socket.clone()),
        head_every: Duration::from_millis(50),
        ..desk.options()
    });
    desk.write(&sink, 77).unwrap();
    let mut buffer = [0; 65536];
    daemon.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    loop {
        let length = daemon.recv(&mut buffer).unwrap();
        let text = std::str::from_utf8(&buffer[..length]).unwrap();
        assert!(text.starts_with("<86>strongroom-audit["), "{text}");
        let (_, line) = text.split_once(": ").unwrap();
        let line = Line::parse(line.as_bytes()).unwrap();
        if matches!(line.body, Body::Record(record) if record.request == Some(RequestId(77))) {
            break;
        }
    }
    drop(daemon);
    std::fs::remove_file(&socket).unwrap();
    desk.write(&sink, 78).unwrap();
    until(|| told(&desk.directory()).1.contains(&"dropped".to_owned()));
    drop(sink);
    desk.whole();
}
