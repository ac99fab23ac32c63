//! A supervisor that is given more than it can take at once, or less than it needs from the
//! system. Each runs as a process of its own: this test program, started again.
#![cfg(feature = "inject")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod inject_kit;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;

use inject_kit::{as_user, material, root};
use rustix::process::{Resource, Rlimit};
use strongroom_core::inject::process::{self, Group, ProcessError, ProcessSettings, Report};

fn settings(script: &str) -> ProcessSettings {
    ProcessSettings {
        group: Group::Own,
        pass_signals: false,
        ..ProcessSettings::new(["sh", "-c", script])
    }
}

#[test]
fn revisions_do_not_pile_up_while_it_is_busy() {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_busy_supervisor_gets_many_revisions", "--ignored"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[test]
#[ignore = "run by another test, as a process of its own"]
fn a_busy_supervisor_gets_many_revisions() {
    const REVISIONS: u64 = 300;
    let (handle, updates) = process::channel();
    let (tell, told) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let supervisor = std::thread::spawn(move || {
        let mut settings = settings("exec sleep 612");
        settings.env.derive = false;
        settings.required = vec![inject_kit::path("a")];
        let first = material(0, &[("a", b"first")]);
        process::supervise(settings, first, updates, &mut |report| match report {
            Report::Started { revision, .. } => {
                tell.send(revision).unwrap();
                may_go_on.recv().unwrap();
            }
            Report::Delivered { revision, .. } => tell.send(revision).unwrap(),
            _ => {}
        })
    });
    assert_eq!(told.recv(), Ok(0));
    let large = vec![b'x'; 1024 * 1024];
    for revision in 1..=REVISIONS {
        assert!(handle.deliver(material(revision, &[("a", &large)])));
    }
    go_on.send(()).unwrap();
    assert_eq!(told.recv(), Ok(REVISIONS), "the newest is the next");
    handle.stop();
    supervisor.join().unwrap().unwrap();
    assert_eq!(told.iter().count(), 0);
    let most = resident_most().unwrap();
    assert!(most < 100 * 1024, "{most} KiB were in memory at a time");
}

/// The most memory this process ever had, KiB.
fn resident_most() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}

#[test]
fn a_process_that_cannot_be_watched_is_not_left_behind() {
    if !root::can("become another user") {
        return;
    }
    let parent = tempfile::tempdir().unwrap();
    // a user of its own: the limit counts all that one has
    as_user(23457, "there_is_no_room_for_a_thread", parent.path());
    assert!(!runs("sleep\x00611\0"));
}

#[test]
#[ignore = "run by another test, as another user"]
fn there_is_no_room_for_a_thread() {
    // this one, that of the test, and one more
    let tasks = u64::try_from(fs::read_dir("/proc/self/task").unwrap().count()).unwrap();
    let limit = Some(tasks + 1);
    let limit = Rlimit {
        current: limit,
        maximum: limit,
    };
    rustix::process::setrlimit(Resource::Nproc, limit).unwrap();
    let (_handle, updates) = process::channel();
    let ended = process::supervise(
        settings("exec sleep 611 > /dev/null 2>&1"),
        material(1, &[]),
        updates,
        &mut |_| {},
    );
    assert!(matches!(ended, Err(ProcessError::System { .. })), "{ended:?}");
    assert!(!runs("sleep\x00611\0"));
}

/// True when some process has exactly this command line.
fn runs(command: &str) -> bool {
    let processes = fs::read_dir("/proc").unwrap();
    processes.flatten().any(|entry| {
        let line = fs::read(Path::new(&entry.path()).join("cmdline")).unwrap_or_default();
        line == command.as_bytes()
    })
}
