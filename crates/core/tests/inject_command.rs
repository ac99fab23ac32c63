//! The command that runs on changes: with which values, one at a time, and not for ever.
#![cfg(feature = "inject")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod inject_kit;
#[path = "inject_kit/supervised.rs"]
mod supervised;

use std::fs;
use std::path::Path;
use std::time::Duration;

use inject_kit::{material, until};
use strongroom_core::inject::files::FilesSettings;
use strongroom_core::inject::process::{Exit, OnChange, ProcessSettings};
use supervised::{Seen, Supervised, lives, reads, script};

/// A process that stays, and a command for its changes that knows `keep` as $OUT.
fn on_change(keep: &Path, command: &str) -> ProcessSettings {
    let command = format!("OUT={}; {command}", keep.display());
    ProcessSettings {
        on_change: OnChange::Run(["sh", "-c", &command].map(Into::into).to_vec()),
        ..script("sleep 600")
    }
}

/// The process id in a file, once it is there.
fn pid_in(file: &Path) -> i32 {
    until("it is started", || {
        let text = fs::read_to_string(file).ok()?;
        text.strip_suffix('\n')?.parse().ok()
    })
}

#[test]
fn it_gets_the_new_values_and_runs_one_at_a_time() {
    let keep = tempfile::tempdir().unwrap();
    let log = keep.path().join("log");
    let command = "test $A = 3 && exit 9; sleep 0.2; echo $A $(cat $OUT/files/a) >> $OUT/log";
    let mut settings = on_change(keep.path(), command);
    settings.files = Some(FilesSettings::new(keep.path().join("files")));
    let supervised = Supervised::start(settings, material(1, &[("a", b"1")]));
    let (pid, _) = supervised.started();
    supervised.deliver(material(2, &[("a", b"2")]));
    assert_eq!(supervised.next(), Seen::Delivered(2, true));
    reads(&log, "2 2\n");
    assert_eq!(supervised.next(), Seen::CommandDone(2));
    supervised.deliver(material(3, &[("a", b"3")]));
    assert_eq!(supervised.next(), Seen::Delivered(3, true));
    assert_eq!(supervised.next(), Seen::CommandFailed(Some(Exit::Code(9))));
    // while it runs for one change, more of them are one
    for revision in ["4", "5", "6"] {
        supervised.deliver(material(revision.parse().unwrap(), &[("a", revision.as_bytes())]));
    }
    let text = until("the last is told", || {
        let text = fs::read_to_string(&log).unwrap();
        text.ends_with("6 6\n").then_some(text)
    });
    assert!(text.lines().count() <= 3, "{text}");
    while supervised.next() != Seen::CommandDone(6) {}
    assert!(lives(pid));
    supervised.stop();
}

#[test]
fn one_that_is_not_there_is_told() {
    let mut settings = script("sleep 600");
    settings.on_change = OnChange::Run(vec!["no-such-program-anywhere".into()]);
    let supervised = Supervised::start(settings, material(1, &[("a", b"1")]));
    supervised.started();
    supervised.deliver(material(2, &[("a", b"2")]));
    assert_eq!(supervised.next(), Seen::Delivered(2, true));
    assert_eq!(supervised.next(), Seen::CommandFailed(None));
    assert_eq!(supervised.stop().0, Exit::Signal(15));
}

#[test]
fn one_that_takes_too_long_is_killed_with_all_it_started() {
    let keep = tempfile::tempdir().unwrap();
    let forked = keep.path().join("forked");
    // the second change is dealt with at once
    let command = "test $A = 3 && { echo $A > $OUT/done; exit 0; }
        sleep 609 & echo $! > $OUT/forked; wait";
    let mut settings = on_change(keep.path(), command);
    settings.command_limit = Duration::from_millis(500);
    let supervised = Supervised::start(settings, material(1, &[("a", b"1")]));
    let (process, _) = supervised.started();
    supervised.deliver(material(2, &[("a", b"2")]));
    assert_eq!(supervised.next(), Seen::Delivered(2, true));
    assert_eq!(supervised.next(), Seen::CommandKilled);
    let forked = pid_in(&forked);
    until("what it started is gone", || (!lives(forked)).then_some(()));
    assert!(lives(process), "the process itself is left alone");
    supervised.deliver(material(3, &[("a", b"3")]));
    assert_eq!(supervised.next(), Seen::Delivered(3, true));
    reads(&keep.path().join("done"), "3\n");
    assert_eq!(supervised.next(), Seen::CommandDone(3));
    let (_, seen) = supervised.stop();
    // being killed is told once, and not as a failure of its own too
    assert_eq!(seen, [Seen::Exited(Exit::Signal(15))]);
}

#[test]
fn none_outlives_the_supervision() {
    let keep = tempfile::tempdir().unwrap();
    let settings = on_change(
        keep.path(),
        "trap '' TERM; sleep 610 & echo $$ > $OUT/leader; echo $! > $OUT/forked; wait",
    );
    let supervised = Supervised::start(settings, material(1, &[("a", b"1")]));
    supervised.started();
    supervised.deliver(material(2, &[("a", b"2")]));
    let pids = ["leader", "forked"].map(|name| pid_in(&keep.path().join(name)));
    assert!(pids.iter().all(|pid| lives(*pid)));
    supervised.stop();
    assert!(!lives(pids[0]), "it is waited for");
    until("what it started is gone", || (!lives(pids[1])).then_some(()));
}
