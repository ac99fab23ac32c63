//! The supervisor as a process: restarts with pauses, signals passed on, zombies reaped as process
//! 1. What takes over a whole process runs in one of its own: this test program, started again.
#![cfg(feature = "inject")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod inject_kit;
#[path = "inject_kit/supervised.rs"]
mod supervised;

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use inject_kit::{material, root, until};
use rustix::process::{Pid, Signal, kill_process};
use strongroom_core::inject::process::{self, Backoff, Exit, Group, ProcessSettings, Restart};
use supervised::{Seen, Supervised, lives, reads, script};

fn restarting(text: &str, restart: Restart) -> ProcessSettings {
    ProcessSettings {
        restart,
        backoff: Backoff {
            first: Duration::from_millis(20),
            most: Duration::from_millis(70),
            reset: Duration::from_secs(3),
        },
        ..script(text)
    }
}

/// The pauses and starts of a supervisor until `count` pauses were seen.
fn pauses(supervised: &Supervised, count: usize) -> Vec<u128> {
    let mut pauses = Vec::new();
    while pauses.len() < count {
        if let Seen::Waiting(pause) = supervised.next() {
            pauses.push(pause.as_millis());
        }
    }
    pauses
}

#[test]
fn a_crash_loop_is_slowed_down_up_to_a_limit() {
    let start = Instant::now();
    let supervised = Supervised::start(restarting("exit 3", Restart::Always), material(1, &[]));
    assert_eq!(pauses(&supervised, 5), [20, 40, 70, 70, 70]);
    assert!(start.elapsed() >= Duration::from_millis(20 + 40 + 70 + 70));
    supervised.stop();
}

#[test]
fn one_that_has_lived_a_while_starts_again_quickly() {
    let (keep, settings) = {
        let keep = tempfile::tempdir().unwrap();
        let count = keep.path().join("count").display().to_string();
        let text = format!("echo x >> {count}; test $(wc -l < {count}) = 4 && sleep 3.2; exit 3");
        (keep, restarting(&text, Restart::OnFailure))
    };
    let supervised = Supervised::start(settings, material(1, &[]));
    assert_eq!(pauses(&supervised, 5), [20, 40, 70, 20, 40]);
    supervised.stop();
    drop(keep);
}

#[test]
fn it_is_started_again_only_when_that_was_asked_for() {
    let ends = |text: &str, restart| {
        let supervised = Supervised::start(restarting(text, restart), material(1, &[]));
        supervised.end()
    };
    let (exit, seen) = ends("exit 0", Restart::OnFailure);
    assert_eq!(exit.unwrap(), Exit::Code(0));
    assert_eq!(seen.last(), Some(&Seen::Exited(Exit::Code(0))));
    let (exit, _) = ends("exit 3", Restart::Never);
    assert_eq!(exit.unwrap(), Exit::Code(3));
    let supervised = Supervised::start(restarting("exit 0", Restart::Always), material(1, &[]));
    pauses(&supervised, 2);
    supervised.stop();
}

#[test]
fn a_new_revision_ends_the_pause_and_the_same_values_do_not() {
    let mut settings = restarting("test $A = 2 && exec sleep 600; exit 3", Restart::OnFailure);
    settings.backoff.first = Duration::from_secs(3600);
    settings.backoff.most = Duration::from_secs(3600);
    let supervised = Supervised::start(settings, material(1, &[("a", b"1")]));
    pauses(&supervised, 1);
    supervised.deliver(material(2, &[("a", b"1")]));
    assert_eq!(supervised.next(), Seen::Delivered(2, false));
    supervised.deliver(material(3, &[("a", b"2")]));
    assert_eq!(supervised.next(), Seen::Delivered(3, true));
    let (pid, revision) = supervised.started();
    assert_eq!(revision, 3);
    assert!(lives(pid));
    assert_eq!(supervised.stop().0, Exit::Signal(15));
}

#[test]
fn it_can_be_killed_whatever_it_does() {
    // asked already, and deaf
    let directory = tempfile::tempdir().unwrap();
    let up = directory.path().join("up");
    let text = format!("trap '' TERM; echo up > {}; exec sleep 600", up.display());
    let mut settings = restarting(&text, Restart::Always);
    settings.grace = Duration::from_secs(3600);
    let supervised = Supervised::start(settings, material(1, &[]));
    let (pid, _) = supervised.started();
    reads(&up, "up\n");
    supervised.handle.stop();
    supervised.handle.kill();
    assert_eq!(supervised.end().0.unwrap(), Exit::Signal(9));
    assert!(!lives(pid));
    // while it waits to be started again
    let mut settings = restarting("exit 3", Restart::Always);
    settings.backoff.first = Duration::from_secs(3600);
    settings.backoff.most = Duration::from_secs(3600);
    let supervised = Supervised::start(settings, material(1, &[]));
    pauses(&supervised, 1);
    supervised.handle.kill();
    assert_eq!(supervised.end().0.unwrap(), Exit::Code(3));
}

#[test]
fn it_can_be_stopped_while_it_waits() {
    let mut settings = restarting("exit 3", Restart::Always);
    settings.backoff.first = Duration::from_secs(3600);
    settings.backoff.most = Duration::from_secs(3600);
    let supervised = Supervised::start(settings, material(1, &[]));
    pauses(&supervised, 1);
    assert_eq!(supervised.stop().0, Exit::Code(3));
}

#[test]
fn what_a_crashed_one_left_in_its_group_is_gone_before_the_next_one() {
    let keep = tempfile::tempdir().unwrap();
    let out = keep.path().display();
    let text = format!("sleep 603 & echo $! >> {out}/forked; exit 3");
    let supervised = Supervised::start(restarting(&text, Restart::Always), material(1, &[]));
    pauses(&supervised, 2);
    let forked = fs::read_to_string(keep.path().join("forked")).unwrap();
    let first: i32 = forked.lines().next().unwrap().parse().unwrap();
    assert!(!lives(first));
    supervised.stop();
    let forked = fs::read_to_string(keep.path().join("forked")).unwrap();
    for pid in forked.lines() {
        until("it is gone", || (!lives(pid.parse().unwrap())).then_some(()));
    }
}

/// Another run of this program that supervises `script` and takes signals for it.
fn another(script: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "supervise_as_a_process", "--ignored", "--nocapture"])
        .env("INJECT_SCRIPT", script)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command
}

#[test]
#[ignore = "run by other tests, as a process of its own"]
fn supervise_as_a_process() {
    let Some(script) = std::env::var_os("INJECT_SCRIPT") else {
        return;
    };
    let mut settings = ProcessSettings::new(["sh".into(), "-c".into(), script]);
    settings.group = Group::Own;
    settings.grace = Duration::from_millis(500);
    settings.reap_orphans = true;
    if std::env::var_os("INJECT_RESTART").is_some() {
        settings.restart = Restart::Always;
        settings.backoff.first = Duration::from_secs(3600);
        settings.backoff.most = Duration::from_secs(3600);
    }
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).unwrap();
    let (_handle, updates) = process::channel();
    let exit = process::supervise(settings, material(1, &[]), updates, &mut |_| {}).unwrap();
    std::process::exit(exit.code());
}

fn send(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

#[test]
fn signals_are_passed_on_and_the_exit_code_too() {
    let keep = tempfile::tempdir().unwrap();
    let log = keep.path().join("log");
    let out = log.display();
    let passed = [
        ("HUP", Signal::HUP),
        ("USR1", Signal::USR1),
        ("USR2", Signal::USR2),
        ("INT", Signal::INT),
        ("QUIT", Signal::QUIT),
        ("WINCH", Signal::WINCH),
        ("CONT", Signal::CONT),
    ];
    let traps: String = passed
        .iter()
        .map(|(name, _)| format!("trap 'echo {name} >> {out}' {name}; "))
        .collect();
    let text = format!(
        "{traps} trap 'echo TERM >> {out}; exit 42' TERM; echo up >> {out}; while :; do sleep 0.02; done"
    );
    let mut child = another(&text).spawn().unwrap();
    let mut expected = "up\n".to_owned();
    reads(&log, &expected);
    for (name, signal) in passed {
        send(&child, signal);
        expected.push_str(&format!("{name}\n"));
        reads(&log, &expected);
    }
    send(&child, Signal::TERM);
    assert_eq!(child.wait().unwrap().code(), Some(42));
    expected.push_str("TERM\n");
    reads(&log, &expected);
}

#[test]
fn a_signal_at_the_very_first_moment_is_passed_on() {
    // whoever is started can be faster than its supervisor
    // what it waits for ends with it, and does not hold the output of the tests open
    let text =
        "trap 'kill $!; exit 21' HUP; sleep 608 >/dev/null 2>&1 & kill -HUP $PPID; while :; do wait; done";
    for _ in 0..10 {
        assert_eq!(another(text).status().unwrap().code(), Some(21));
    }
}

#[test]
fn a_stop_from_the_keyboard_stops_the_process_and_not_its_supervisor() {
    let keep = tempfile::tempdir().unwrap();
    let pid_file = keep.path().join("pid");
    let text = format!("echo $$ > {}; exec sleep 604", pid_file.display());
    let mut child = another(&text).spawn().unwrap();
    let pid: i32 = until("it starts", || {
        fs::read_to_string(&pid_file).ok()?.trim().parse().ok()
    });
    let state = |pid: u32| -> Option<char> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit(')').next()?.trim().chars().next()
    };
    let inner = u32::try_from(pid).unwrap();
    send(&child, Signal::TSTP);
    until("it is stopped", || (state(inner) == Some('T')).then_some(()));
    assert_ne!(state(child.id()), Some('T'));
    send(&child, Signal::CONT);
    until("it goes on", || (state(inner) == Some('S')).then_some(()));
    send(&child, Signal::INT);
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn one_that_ignores_being_ended_from_outside_is_killed_after_the_grace() {
    let keep = tempfile::tempdir().unwrap();
    let up = keep.path().join("up");
    let text = format!(
        "trap '' TERM; echo up > {}; while :; do sleep 0.02; done",
        up.display()
    );
    let mut child = another(&text).spawn().unwrap();
    reads(&up, "up\n");
    send(&child, Signal::TERM);
    assert_eq!(child.wait().unwrap().code(), Some(137));
}

#[test]
fn a_signal_that_was_ignored_from_the_start_stays_so() {
    let keep = tempfile::tempdir().unwrap();
    let up = keep.path().join("up");
    let text = format!("echo up > {}; exec sleep 605", up.display());
    let inner = another(&text);
    // as nohup does
    let mut outer = Command::new("sh");
    outer.args(["-c", "trap '' HUP; exec \"$@\"", "sh"]);
    outer.arg(inner.get_program()).args(inner.get_args());
    outer.env("INJECT_SCRIPT", &text).stdout(Stdio::null());
    let mut child = outer.spawn().unwrap();
    reads(&up, "up\n");
    send(&child, Signal::HUP);
    send(&child, Signal::HUP);
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(child.try_wait().unwrap(), None, "HUP was passed on");
    send(&child, Signal::TERM);
    let status = child.wait().unwrap();
    assert_eq!((status.code(), status.signal()), (Some(143), None));
}

#[test]
fn orphans_are_adopted_and_reaped() {
    let keep = tempfile::tempdir().unwrap();
    let orphans = keep.path().join("orphans");
    // each orphan outlives the subshell that started it
    let out = orphans.display();
    let text = format!("for n in 1 2 3 4 5; do (sleep 0.1 & echo $! >> {out}); done; sleep 606");
    let mut child = another(&text).spawn().unwrap();
    let pids: Vec<String> = until("orphans are made", || {
        let text = fs::read_to_string(&orphans).unwrap_or_default();
        let pids: Vec<String> = text.lines().map(str::to_owned).collect();
        (pids.len() == 5).then_some(pids)
    });
    for pid in pids {
        until("an orphan is reaped", || {
            (!Path::new(&format!("/proc/{pid}")).exists()).then_some(())
        });
    }
    send(&child, Signal::TERM);
    assert_eq!(child.wait().unwrap().code(), Some(143));
}

/// Killed when dropped, also by a test that fails.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs `script` under a supervisor that is process 1 of a namespace of its own.
fn as_first(script: &str) -> Option<Command> {
    if !root::can("make a pid namespace") {
        return None;
    }
    let inner = another(script);
    let mut outer = Command::new("unshare");
    outer.args(["--pid", "--fork", "--kill-child", "--mount-proc"]);
    outer.arg(inner.get_program()).args(inner.get_args());
    outer.env("INJECT_SCRIPT", script).stdout(Stdio::null());
    Some(outer)
}

#[test]
fn as_process_1_it_reaps_zombies_and_passes_the_exit_code() {
    let keep = tempfile::tempdir().unwrap();
    let out = keep.path().display();
    let text = format!(
        "echo $PPID > {out}/parent
         for n in 1 2 3 4 5 6 7 8; do (true & (true &)); done
         tries=0
         while grep -qs '^State:.Z' /proc/[0-9]*/status; do
             tries=$((tries + 1)); test $tries -gt 500 && exit 50; sleep 0.02
         done
         exit 17"
    );
    let Some(mut command) = as_first(&text) else {
        return;
    };
    assert_eq!(command.status().unwrap().code(), Some(17));
    assert_eq!(fs::read_to_string(keep.path().join("parent")).unwrap(), "1\n");
}

#[test]
fn as_process_1_it_takes_signals_and_leaves_nothing_behind() {
    let keep = tempfile::tempdir().unwrap();
    let out = keep.path().display();
    // a daemon that left its group and ignores everything that can be ignored
    let text = format!(
        "trap 'exit 9' TERM
         setsid sh -c 'trap \"\" TERM HUP INT; echo up > {out}/daemon; exec sleep 607' &
         while :; do sleep 0.02; done"
    );
    let Some(mut command) = as_first(&text) else {
        return;
    };
    let mut child = command.spawn().unwrap();
    reads(&keep.path().join("daemon"), "up\n");
    until("it is a daemon", || runs(&["sleep", "607"]).then_some(()));
    let unshare = child.id();
    let first: i32 = fs::read_to_string(format!("/proc/{unshare}/task/{unshare}/children"))
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    kill_process(Pid::from_raw(first).unwrap(), Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(9));
    assert!(!runs(&["sleep", "607"]));
}

#[test]
fn a_group_that_is_gone_is_not_signalled_when_its_number_is_anothers() {
    let keep = tempfile::tempdir().unwrap();
    let out = keep.path().display();
    // the process ends; a daemon it left outside its group makes the next group of that number
    let text = format!(
        "trap '' TERM
         setsid sh -c '
             while kill -0 $0 2>/dev/null; do sleep 0.02; done
             # until it is seen that the group is gone
             sleep 0.5
             while :; do
                 echo $(($0 - 1)) > /proc/sys/kernel/ns_last_pid
                 setsid sh -c \"trap \\\"echo hit >> {out}/hit\\\" WINCH
                     test \\$\\$ = $0 || exit
                     touch {out}/again; sleep 613 & while :; do wait; done\" &
                 sleep 0.3
                 test -e {out}/again && break
             done
             while ! test -e {out}/control; do sleep 0.02; done
             kill -WINCH -$0
         ' $$ &
         exit 3"
    );
    let Some(mut command) = as_first(&text) else {
        return;
    };
    let mut child = Killed(command.env("INJECT_RESTART", "1").spawn().unwrap());
    reads(&keep.path().join("again"), "");
    let unshare = child.0.id();
    let first: i32 = fs::read_to_string(format!("/proc/{unshare}/task/{unshare}/children"))
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    let first = Pid::from_raw(first).unwrap();
    kill_process(first, Signal::WINCH).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    assert!(!keep.path().join("hit").exists(), "it was signalled");
    // it would have told
    fs::write(keep.path().join("control"), "").unwrap();
    reads(&keep.path().join("hit"), "hit\n");
    kill_process(first, Signal::TERM).unwrap();
    assert_eq!(child.0.wait().unwrap().code(), Some(3));
}

/// True when some process has exactly this command line.
fn runs(command: &[&str]) -> bool {
    let wanted: String = command.iter().map(|word| format!("{word}\0")).collect();
    let processes = fs::read_dir("/proc").unwrap();
    let mut lines =
        processes.map(|entry| fs::read(entry.unwrap().path().join("cmdline")).unwrap_or_default());
    lines.any(|line| line == wanted.as_bytes())
}
