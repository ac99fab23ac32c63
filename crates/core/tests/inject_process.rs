//! A supervised process: what it is given, how it ends, and what a new revision does to it.
#![cfg(feature = "inject")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod inject_kit;
#[path = "inject_kit/supervised.rs"]
mod supervised;

use std::fs;
use std::time::Duration;

use inject_kit::{material, names, path, until};
use strongroom_core::inject::files::FilesSettings;
use strongroom_core::inject::process::{Exit, OnChange, ProcessError, ProcessSettings, Signal};
use supervised::{Seen, Supervised, lives, reads, script};

/// A directory for what a script writes, which it knows as $OUT.
fn out() -> (tempfile::TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let text = directory.path().to_str().unwrap().to_owned();
    (directory, text)
}

fn run(settings: ProcessSettings, first: strongroom_core::inject::Material) -> Result<Exit, ProcessError> {
    Supervised::start(settings, first).end().0
}

#[test]
fn its_exit_is_the_result() {
    let values = || material(1, &[]);
    assert_eq!(run(script("exit 0"), values()).unwrap(), Exit::Code(0));
    assert_eq!(run(script("exit 7"), values()).unwrap().code(), 7);
    let killed = run(script("kill -KILL $$"), values()).unwrap();
    assert_eq!((killed, killed.code()), (Exit::Signal(9), 137));
    assert_eq!(run(script("kill -TERM $$"), values()).unwrap().code(), 143);
}

#[test]
fn variables_and_files_are_of_one_revision() {
    let (keep, out) = out();
    let files = keep.path().join("files");
    let mut settings = script(&format!(
        "{{ echo $A; cat {out}/files/a; cat {out}/files/.revision; }} > {out}/seen; sleep 600"
    ));
    settings.files = Some(FilesSettings::new(&files));
    settings.clear_files = true;
    settings.on_change = OnChange::Restart;
    let supervised = Supervised::start(settings, material(1, &[("a", b"one\n")]));
    reads(&keep.path().join("seen"), "one\none\n1\n");
    supervised.deliver(material(2, &[("a", b"two\n")]));
    reads(&keep.path().join("seen"), "two\ntwo\n2\n");
    let (exit, _) = supervised.stop();
    assert_eq!(exit, Exit::Signal(15));
    assert_eq!(names(&files), [] as [&str; 0], "files are removed at the end");
}

#[test]
fn nothing_starts_when_required_entries_are_missing_and_all_are_listed() {
    let (keep, out) = out();
    let mut settings = script(&format!("touch {out}/started"));
    settings.required = vec![path("x/one"), path("a")];
    settings.env.names = vec![("TWO".parse().unwrap(), path("x/two"))];
    let mut files = FilesSettings::new(keep.path().join("files"));
    files.names = vec![("three".parse().unwrap(), path("x/three"))];
    settings.files = Some(files);
    let error = run(settings, material(3, &[("a", b"1")])).unwrap_err();
    match &error {
        ProcessError::Missing(missing) => {
            assert_eq!(missing.paths, [path("x/one"), path("x/two"), path("x/three")]);
        }
        other => panic!("{other:?}"),
    }
    assert!(error.to_string().contains("x/one, x/two and x/three"), "{error}");
    assert_eq!(names(keep.path()), [] as [&str; 0]);
}

#[test]
fn nothing_starts_when_a_value_cannot_be_a_variable_or_a_file() {
    let (keep, out) = out();
    let settings = script(&format!("touch {out}/started"));
    let error = run(settings.clone(), material(1, &[("a", b"\0")])).unwrap_err();
    assert!(matches!(error, ProcessError::Env(_)), "{error}");
    let mut with_files = settings;
    with_files.files = Some(FilesSettings::new("/dev/null"));
    let error = run(with_files, material(1, &[("a", b"1")])).unwrap_err();
    assert!(matches!(error, ProcessError::Files(_)), "{error}");
    assert_eq!(names(keep.path()), [] as [&str; 0]);
}

#[test]
fn a_program_that_cannot_be_run() {
    let values = || material(1, &[]);
    let error = run(ProcessSettings::new(["no-such-program-anywhere"]), values()).unwrap_err();
    assert_eq!(error.exec_code(), Some(127), "{error}");
    let (keep, _) = out();
    fs::write(keep.path().join("file"), "x").unwrap();
    for program in [keep.path().to_owned(), keep.path().join("file")] {
        let error = run(ProcessSettings::new([program]), values()).unwrap_err();
        assert_eq!(error.exec_code(), Some(126), "{error}");
    }
    let error = run(ProcessSettings::new([] as [&str; 0]), values()).unwrap_err();
    assert!(matches!(error, ProcessError::NoCommand));
    let many: Vec<(String, Vec<u8>)> = (0..40).map(|n| (format!("v{n}"), vec![b'x'; 120_000])).collect();
    let many: Vec<(&str, &[u8])> = many
        .iter()
        .map(|(path, value)| (path.as_str(), value.as_slice()))
        .collect();
    let error = run(script("exit 0"), material(1, &many)).unwrap_err();
    assert!(matches!(error, ProcessError::TooLarge { .. }), "{error}");
}

#[test]
fn its_environment_has_what_it_should_and_no_more() {
    let (keep, out) = out();
    let seen = keep.path().join("seen");
    let mut settings = script(&format!("env > {out}/new; mv {out}/new {out}/seen"));
    settings.env.prefix = Some(path("web"));
    let values = || material(1, &[("web/key", b"k"), ("other/key", b"canary")]);
    run(settings.clone(), values()).unwrap();
    let text = fs::read_to_string(&seen).unwrap();
    assert!(
        text.contains("\nKEY=k\n") || text.starts_with("KEY=k\n"),
        "{text}"
    );
    assert!(text.contains("PATH=") && !text.contains("canary"), "{text}");
    settings.clean_env = true;
    run(settings, values()).unwrap();
    let text = fs::read_to_string(&seen).unwrap();
    // the shell itself adds a few
    let names: Vec<&str> = text.lines().filter_map(|line| line.split('=').next()).collect();
    assert!(
        names.contains(&"KEY") && !names.contains(&"PATH") && !names.contains(&"HOME"),
        "{names:?}"
    );
}

#[test]
fn a_change_restarts_it_once_the_old_one_has_ended() {
    let (keep, out) = out();
    let log = keep.path().join("log");
    let mut settings = script(&format!(
        "trap 'sleep 0.3; echo bye $A >> {out}/log; exit 0' TERM; echo hello $A >> {out}/log; while :; do sleep 0.02; done"
    ));
    settings.on_change = OnChange::Restart;
    let supervised = Supervised::start(settings, material(1, &[("a", b"1")]));
    let (first, _) = supervised.started();
    reads(&log, "hello 1\n");
    // those that arrive while it ends are skipped
    for revision in 2..6_u64 {
        supervised.deliver(material(revision, &[("a", revision.to_string().as_bytes())]));
    }
    reads(&log, "hello 1\nbye 1\nhello 5\n");
    assert!(!lives(first));
    let (exit, seen) = supervised.stop();
    assert_eq!(exit, Exit::Code(0));
    assert!(seen.contains(&Seen::Delivered(5, true)), "{seen:?}");
    assert_eq!(
        fs::read_to_string(&log).unwrap(),
        "hello 1\nbye 1\nhello 5\nbye 5\n"
    );
}

#[test]
fn a_revision_that_changes_nothing_here_leaves_it_alone() {
    let (keep, out) = out();
    let mut settings = script(&format!("echo $WEB_A >> {out}/log; sleep 600"));
    settings.on_change = OnChange::Restart;
    let mut files = FilesSettings::new(keep.path().join("files"));
    files.prefix = Some(path("web"));
    settings.files = Some(files);
    settings.env.names = vec![("WEB_A".parse().unwrap(), path("web/a"))];
    settings.env.derive = false;
    let supervised = Supervised::start(settings, material(1, &[("web/a", b"1"), ("other", b"1")]));
    supervised.started();
    supervised.deliver(material(2, &[("other", b"2"), ("web/a", b"1")]));
    assert_eq!(supervised.next(), Seen::Delivered(2, false));
    assert!(supervised.handle.revised(3));
    assert_eq!(supervised.next(), Seen::Delivered(3, false));
    assert_eq!(
        fs::read_to_string(keep.path().join("files/.revision")).unwrap(),
        "3\n"
    );
    // an older number is no news
    assert!(supervised.handle.revised(2));
    supervised.deliver(material(4, &[("web/a", b"2")]));
    assert_eq!(supervised.next(), Seen::Delivered(4, true));
    assert_eq!(supervised.started().1, 4);
    reads(&keep.path().join("log"), "1\n2\n");
    supervised.stop();
}

#[test]
fn one_that_ignores_being_asked_is_killed_with_its_descendants() {
    let (keep, out) = out();
    let mut settings = script(&format!(
        "trap '' TERM; (trap '' TERM; echo $$ > /dev/null; exec sleep 601) & echo $! > {out}/forked; echo $A > {out}/seen; wait; sleep 602"
    ));
    settings.on_change = OnChange::Restart;
    settings.grace = Duration::from_millis(300);
    let supervised = Supervised::start(settings, material(1, &[("a", b"1")]));
    let (first, _) = supervised.started();
    reads(&keep.path().join("seen"), "1\n");
    let forked: i32 = fs::read_to_string(keep.path().join("forked"))
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    assert!(lives(first) && lives(forked));
    supervised.deliver(material(2, &[("a", b"2")]));
    assert_eq!(supervised.next(), Seen::Killed);
    until("both are gone", || {
        (!lives(first) && !lives(forked)).then_some(())
    });
    reads(&keep.path().join("seen"), "2\n");
    let (exit, seen) = supervised.stop();
    assert_eq!(exit, Exit::Signal(9));
    assert!(seen.contains(&Seen::Killed), "{seen:?}");
}

#[test]
fn what_it_forked_gets_the_grace_too_before_the_next_one_starts() {
    let (keep, out) = out();
    let log = keep.path().join("log");
    let mut settings = script(&format!(
        "(trap 'sleep 0.4; echo late >> {out}/log; exit' TERM; echo fork >> {out}/log; while :; do sleep 0.02; done) & \
         echo hello $A >> {out}/hello; sleep 600"
    ));
    settings.on_change = OnChange::Restart;
    let supervised = Supervised::start(settings, material(1, &[("a", b"1")]));
    reads(&log, "fork\n");
    reads(&keep.path().join("hello"), "hello 1\n");
    supervised.deliver(material(2, &[("a", b"2")]));
    reads(&keep.path().join("hello"), "hello 1\nhello 2\n");
    let text = fs::read_to_string(&log).unwrap();
    assert!(text.starts_with("fork\nlate\n"), "{text}");
    supervised.stop();
}

#[test]
fn a_change_can_be_a_signal_after_the_files_were_switched() {
    let (keep, out) = out();
    let mut settings = script(&format!(
        "trap 'echo $A $(cat {out}/files/a) >> {out}/log' HUP; echo up >> {out}/log; while :; do sleep 0.02; done"
    ));
    settings.on_change = OnChange::Signal(Signal::HUP);
    settings.files = Some(FilesSettings::new(keep.path().join("files")));
    let supervised = Supervised::start(settings, material(1, &[("a", b"1")]));
    reads(&keep.path().join("log"), "up\n");
    supervised.deliver(material(2, &[("a", b"2")]));
    // a running process keeps its environment
    reads(&keep.path().join("log"), "up\n1 2\n");
    supervised.stop();
}

#[test]
fn a_change_can_be_for_the_files_alone() {
    let (keep, out) = out();
    // each is told at once, in the order of their numbers
    let mut settings = script(&format!(
        "trap 'echo told > {out}/told' HUP USR1
         trap 'touch {out}/asked' USR2
         touch {out}/up; while :; do sleep 0.02; done"
    ));
    settings.files = Some(FilesSettings::new(keep.path().join("files")));
    let supervised = Supervised::start(settings, material(1, &[("a", b"1")]));
    let (pid, _) = supervised.started();
    reads(&keep.path().join("up"), "");
    supervised.deliver(material(2, &[("a", b"2")]));
    assert_eq!(supervised.next(), Seen::Delivered(2, true));
    assert_eq!(fs::read_to_string(keep.path().join("files/a")).unwrap(), "2");
    // what was sent before this would be told by now
    let process = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(process, rustix::process::Signal::USR2).unwrap();
    reads(&keep.path().join("asked"), "");
    assert!(lives(pid) && !keep.path().join("told").exists());
    supervised.stop();
    assert!(
        keep.path().join("files/a").exists(),
        "files stay unless asked otherwise"
    );
}

#[test]
fn a_revision_that_will_not_do_is_refused_and_the_last_good_stays() {
    let (keep, out) = out();
    let mut settings = script(&format!("echo $A >> {out}/log; sleep 600"));
    settings.on_change = OnChange::Restart;
    settings.required = vec![path("a")];
    settings.files = Some(FilesSettings::new(keep.path().join("files")));
    let supervised = Supervised::start(settings, material(1, &[("a", b"1")]));
    let (pid, _) = supervised.started();
    reads(&keep.path().join("log"), "1\n");
    let bad: [&[(&str, &[u8])]; 3] = [
        &[],
        &[("a", b"2"), ("b", b"\0")],
        &[("a", b"2"), ("b", b"2"), ("b/c", b"2")],
    ];
    for (revision, values) in (2..).zip(bad) {
        supervised.deliver(material(revision, values));
        match supervised.next() {
            Seen::Refused(refused, _) => assert_eq!(refused, revision),
            other => panic!("{other:?}"),
        }
        // what is said to be the same as a refused one is not what is there
        assert!(supervised.handle.revised(100));
    }
    assert!(lives(pid));
    assert_eq!(
        fs::read_to_string(keep.path().join("files/.revision")).unwrap(),
        "1\n"
    );
    supervised.deliver(material(5, &[("a", b"5")]));
    reads(&keep.path().join("log"), "1\n5\n");
    supervised.stop();
}

#[test]
fn a_revision_it_cannot_be_started_with_is_taken_back() {
    let (keep, out) = out();
    let mut settings = script(&format!("echo $A >> {out}/log; exec sleep 600"));
    settings.on_change = OnChange::Restart;
    let mut files = FilesSettings::new(keep.path().join("files"));
    files.names = vec![("a".parse().unwrap(), path("a"))];
    files.derive = false;
    settings.files = Some(files);
    let supervised = Supervised::start(settings, material(1, &[("a", b"1")]));
    reads(&keep.path().join("log"), "1\n");
    // each variable is short enough, all of them together are not
    let many: Vec<(String, Vec<u8>)> = (0..40)
        .map(|n| (format!("v{n:02}"), vec![b'x'; 120_000]))
        .collect();
    let mut values: Vec<(&str, &[u8])> = vec![("a", b"2")];
    values.extend(many.iter().map(|(path, value)| (path.as_str(), value.as_slice())));
    supervised.deliver(material(2, &values));
    reads(&keep.path().join("log"), "1\n1\n");
    assert_eq!(fs::read_to_string(keep.path().join("files/a")).unwrap(), "1");
    let (_, seen) = supervised.stop();
    assert!(
        seen.iter()
            .any(|seen| matches!(seen, Seen::Refused(2, why) if why.contains("too large"))),
        "{seen:?}"
    );
}

#[test]
fn files_that_find_no_room_are_tried_again() {
    let Some(tmpfs) = inject_kit::Tmpfs::mount("mode=0700,size=64k") else {
        return;
    };
    let mut settings = script("sleep 600");
    settings.files = Some(FilesSettings::new(tmpfs.path()));
    settings.env.derive = false;
    let supervised = Supervised::start(settings, material(1, &[("a", b"1")]));
    supervised.started();
    supervised.deliver(material(2, &[("a", &[b'2'; 80_000])]));
    assert!(matches!(supervised.next(), Seen::Refused(2, why) if why.contains("full")));
    assert_eq!(fs::read(tmpfs.path().join("a")).unwrap(), b"1");
    tmpfs.remount("size=1m");
    // a later revision with the same values does not make it forget
    assert!(supervised.handle.revised(3));
    until("it is delivered", || {
        matches!(supervised.next(), Seen::Delivered(3, true)).then_some(())
    });
    assert_eq!(fs::read(tmpfs.path().join(".revision")).unwrap(), b"3\n");
    supervised.stop();
}

#[test]
fn privileges_cannot_be_gained_when_that_is_asked_for() {
    let (keep, out) = out();
    for (wanted, expected) in [(false, "NoNewPrivs:\t0\n"), (true, "NoNewPrivs:\t1\n")] {
        let mut settings = script(&format!("grep NoNewPrivs /proc/self/status > {out}/seen"));
        settings.no_new_privs = wanted;
        run(settings, material(1, &[])).unwrap();
        assert_eq!(fs::read_to_string(keep.path().join("seen")).unwrap(), expected);
    }
}

#[test]
fn a_handle_tells_when_nobody_listens_any_more() {
    let supervised = Supervised::start(script("exit 0"), material(1, &[]));
    let handle = supervised.handle.clone();
    supervised.end().0.unwrap();
    assert!(!handle.deliver(material(2, &[])));
    assert!(!handle.revised(3));
    handle.stop();
}
