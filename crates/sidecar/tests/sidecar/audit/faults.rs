//! The log in bad times: full and slow disks, files and directories that are taken away, torn and
//! changed files, a killed process.

use std::fs::File;
use std::io;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use strongroom_core::ambient::Ambient;
use strongroom_core::audit::{Fault, files};
use strongroom_core::crypto::identity::Identity;
use strongroom_sidecar::audit::{Attempt, AuditError, Options, Sink};

use super::media::faulty;
use super::{Desk, told, until};

#[test]
fn an_error_refuses_at_once_and_is_over_when_its_cause_is() {
    let desk = Desk::new();
    let (medium, state) = faulty(&desk);
    let sink = desk.on(medium, Duration::from_secs(10));
    desk.write(&sink, 1).unwrap();
    assert_eq!(sink.trouble(), None);
    state.set(Some(io::ErrorKind::StorageFull));
    let begun = Instant::now();
    for request in 10..20 {
        let refused = desk.write(&sink, request);
        assert_eq!(refused, Err(AuditError::Io(io::ErrorKind::StorageFull)));
    }
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "nobody waited for the timeout"
    );
    assert!(sink.trouble().is_some());
    state.set(None);
    // without anybody asking
    until(|| sink.trouble().is_none());
    desk.write(&sink, 2).unwrap();
    drop(sink);
    desk.whole();
    let (requests, notes) = told(&desk.directory());
    assert_eq!(requests, [1, 2], "what was refused is not there");
    assert_eq!(notes, ["resumed", "stopped"]);
}

#[test]
fn a_slow_disk_refuses_in_bounded_time_and_only_one_caller_is_held_up() {
    let desk = Desk::new();
    let (medium, state) = faulty(&desk);
    let sink = desk.on(medium, Duration::from_millis(100));
    desk.write(&sink, 1).unwrap();
    state.delay.store(1500, Ordering::SeqCst);
    std::thread::scope(|scope| {
        let before = state.writes.load(Ordering::SeqCst);
        // whoever finds the lock free is in the write, and comes back with it
        let first = scope.spawn(|| desk.write(&sink, 2));
        until(|| state.writes.load(Ordering::SeqCst) > before);
        let begun = Instant::now();
        for request in 10..14 {
            assert_eq!(desk.write(&sink, request), Err(AuditError::Late));
        }
        assert!(
            begun.elapsed() < Duration::from_millis(1400),
            "{:?}",
            begun.elapsed()
        );
        assert!(sink.trouble().is_some());
        first.join().unwrap().unwrap();
    });
    // from then on nobody is in a write, and all are answered in time
    let begun = Instant::now();
    for request in 20..24 {
        assert_eq!(desk.write(&sink, request), Err(AuditError::Late));
    }
    assert!(
        begun.elapsed() < Duration::from_millis(1400),
        "{:?}",
        begun.elapsed()
    );
    state.delay.store(0, Ordering::SeqCst);
    until(|| desk.write(&sink, 3).is_ok() && sink.trouble().is_none());
    drop(sink);
    desk.whole();
}

#[tokio::test]
async fn a_future_is_woken_or_late() {
    let desk = Desk::new();
    let (medium, state) = faulty(&desk);
    let sink = desk.on(medium, Duration::from_millis(200));
    state.set(Some(io::ErrorKind::Other));
    assert!(matches!(sink.try_write(&desk.record(1)), Attempt::Failed(_)));
    state.set(None);
    state.delay.store(60, Ordering::SeqCst);
    let Attempt::Pending(pending) = sink.try_write(&desk.record(2)) else {
        panic!("only the sink's thread writes after an error")
    };
    drop(pending.await.unwrap());
    state.delay.store(1000, Ordering::SeqCst);
    let Attempt::Pending(pending) = sink.try_write(&desk.record(3)) else {
        panic!("and until writes were quick again")
    };
    assert_eq!(pending.await.unwrap_err(), AuditError::Late);
    state.delay.store(0, Ordering::SeqCst);
    drop(sink);
    desk.whole();
}

#[test]
fn what_nobody_waits_for_is_written_and_what_was_withdrawn_is_not() {
    let desk = Desk::new();
    let (medium, state) = faulty(&desk);
    let sink = desk.on(medium, Duration::from_secs(20));
    desk.write(&sink, 1).unwrap();
    state.delay.store(300, Ordering::SeqCst);
    std::thread::scope(|scope| {
        let before = state.writes.load(Ordering::SeqCst);
        let first = scope.spawn(|| desk.write(&sink, 2));
        until(|| state.writes.load(Ordering::SeqCst) > before);
        sink.try_write(&desk.record(3)).detach();
        drop(sink.try_write(&desk.record(4)));
        first.join().unwrap().unwrap();
    });
    state.delay.store(0, Ordering::SeqCst);
    drop(sink);
    desk.whole();
    assert_eq!(told(&desk.directory()).0, [1, 2, 3]);
}

#[test]
fn a_deleted_file_and_a_removed_directory_are_noticed_and_gone_on_after() {
    let desk = Desk::new();
    let sink = desk.open(desk.options());
    desk.write(&sink, 1).unwrap();
    let file = files(&desk.directory()).unwrap()[0].path.clone();
    std::fs::remove_file(&file).unwrap();
    // noticed within a tenth of a second, by whoever writes then
    until(|| desk.write(&sink, 2) == Err(AuditError::Io(io::ErrorKind::NotFound)));
    until(|| desk.write(&sink, 3).is_ok());
    assert!(sink.trouble().is_none());
    std::fs::remove_dir_all(desk.directory()).unwrap();
    until(|| desk.write(&sink, 4).is_err());
    until(|| desk.write(&sink, 5).is_ok());
    // another file in its place
    let file = files(&desk.directory()).unwrap()[0].path.clone();
    let other = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    std::fs::write(&file, other).unwrap();
    until(|| desk.write(&sink, 6).is_err());
    until(|| desk.write(&sink, 7).is_ok());
    drop(sink);
    let (requests, notes) = told(&desk.directory());
    assert_eq!(requests.last(), Some(&7));
    assert_eq!(
        notes.iter().filter(|note| *note == "gone").count(),
        2,
        "{notes:?}"
    );
    // what was written to the replaced file is missing, and that is found
    let report = desk.verify(None);
    assert!(
        matches!(report.problems[0].fault, Fault::Missing { .. }),
        "{:?}",
        report.problems
    );
    assert_eq!(report.problems[0].line, 1);
}

#[test]
fn a_torn_line_is_cut_off_and_a_damaged_file_put_aside() {
    let desk = Desk::new();
    drop(desk.open(desk.options()));
    let file = files(&desk.directory()).unwrap()[0].path.clone();
    let whole = std::fs::read(&file).unwrap();
    std::fs::write(&file, [&whole[..], b"{\"seq\":5,\"ti"].concat()).unwrap();
    let sink = desk.open(desk.options());
    desk.write(&sink, 1).unwrap();
    drop(sink);
    let report = desk.whole();
    assert_eq!(report.files, 1);
    let (_, notes) = told(&desk.directory());
    assert_eq!(notes, ["started", "stopped", "cut", "started", "stopped"]);

    // a byte in its middle is another one
    let mut bytes = std::fs::read(&file).unwrap();
    let at = whole.len() - 200;
    bytes[at] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let before = desk.verify(None);
    let sink = desk.open(desk.options());
    desk.write(&sink, 2).unwrap();
    drop(sink);
    let report = desk.verify(None);
    assert_eq!(report.files, 2);
    assert_eq!(report.problems[0].fault, Fault::PutAside);
    assert_eq!(report.problems[1].line, before.problems[0].line);
    // and the log goes on
    drop(desk.open(desk.options()));
    assert_eq!(desk.verify(None).faults, report.faults);
}

/// A small file system of its own, gone at the end.
struct Small(std::path::PathBuf);

impl Small {
    /// `None`, after saying so, where this may not be mounted.
    fn mount(at: std::path::PathBuf) -> Option<Self> {
        std::fs::create_dir(&at).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=256k,mode=0700", "tmpfs"])
            .arg(&at)
            .stderr(Stdio::null())
            .status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(Self(at));
        }
        assert!(
            std::env::var_os("CI").is_none_or(|ci| ci != "1"),
            "nothing can be mounted"
        );
        eprintln!("skipped: a full disk needs the right to mount");
        None
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_refuses_and_the_log_goes_on_when_there_is_room() {
    let desk = Desk::new();
    let Some(small) = Small::mount(desk.scene.file("small")) else {
        return;
    };
    let options = Options {
        directory: small.0.join("log"),
        ..desk.options()
    };
    let sink = desk.open(options.clone());
    let ballast = small.0.join("ballast");
    std::fs::write(&ballast, vec![0; 64 << 10]).unwrap();
    let mut written = 0;
    let error = loop {
        match desk.write(&sink, written) {
            Ok(_) => written += 1,
            Err(error) => break error,
        }
        assert!(written < 100_000, "it never fills");
    };
    assert_eq!(error, AuditError::Io(io::ErrorKind::StorageFull));
    let begun = Instant::now();
    for _ in 0..50 {
        assert!(desk.write(&sink, 0).is_err());
    }
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    std::fs::remove_file(&ballast).unwrap();
    until(|| sink.trouble().is_none());
    desk.write(&sink, written).unwrap();
    drop(sink);
    let (requests, notes) = told(&options.directory);
    assert_eq!(
        requests,
        (0..=written).collect::<Vec<_>>(),
        "nothing torn, nothing that was refused"
    );
    assert!(notes.contains(&"resumed".to_owned()), "{notes:?}");
    let report = strongroom_core::audit::verify_directory(&options.directory, Default::default()).unwrap();
    assert!(report.is_whole(), "{:?}", report.problems);
}

/// What the next test runs in a process of its own, which it kills.
#[test]
#[ignore = "part of another test"]
fn write_until_killed() {
    let directory = std::env::var_os("AUDIT_DIRECTORY").expect("run by another test");
    let directory = std::path::Path::new(&directory);
    let desk = Desk::new();
    let identity = Identity::from_text(&std::fs::read(directory.join("identity")).unwrap()).unwrap();
    let options = Options {
        rotate_bytes: 65_536,
        head_every_records: 50,
        ..Options::new(directory.join("log"))
    };
    let snapshot = desk.scene.vault.snapshot();
    let sink = Sink::open(options, &snapshot, Arc::new(identity), Ambient::system()).unwrap();
    let acknowledged = File::create(directory.join("acknowledged")).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..3_u64 {
            let (desk, sink, acknowledged) = (&desk, &sink, &acknowledged);
            scope.spawn(move || {
                for at in 0.. {
                    let request = (u64::from(std::process::id()) << 32) | (thread << 24) | at;
                    desk.write(sink, request).unwrap();
                    let mut out = acknowledged;
                    io::Write::write_all(&mut out, format!("{request}\n").as_bytes()).unwrap();
                }
            });
        }
    });
}

#[test]
fn what_was_acknowledged_is_there_after_a_kill_and_the_chain_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let identity = Identity::generate(&Ambient::system()).unwrap();
    identity
        .write_file(&directory.path().join("identity"), None)
        .unwrap();
    let mut acknowledged = Vec::new();
    for round in 1..=4 {
        let _ = std::fs::remove_file(directory.path().join("acknowledged"));
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "audit::faults::write_until_killed",
                "--ignored",
                "--nocapture",
            ])
            .env("AUDIT_DIRECTORY", directory.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let file = directory.path().join("acknowledged");
        until(|| file.metadata().is_ok_and(|it| it.len() > 20_000 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        let whole = text.rsplit_once('\n').unwrap().0;
        acknowledged.extend(whole.lines().map(|line| line.parse::<u64>().unwrap()));
    }
    let log = directory.path().join("log");
    let report = strongroom_core::audit::verify_directory(&log, Default::default()).unwrap();
    // the last round may have been killed within a line
    let is_torn = |fault: &Fault| matches!(fault, Fault::Torn { .. });
    assert!(
        report.problems.iter().all(|problem| is_torn(&problem.fault)),
        "{:?}",
        report.problems
    );
    let (requests, _) = told(&log);
    let requests: std::collections::HashSet<_> = requests.into_iter().collect();
    assert!(acknowledged.len() > 1000);
    assert!(acknowledged.iter().all(|request| requests.contains(request)));
}
