//! What a change in the store does to a command in front of a sidecar.

use std::fs;

use rustix::process::Signal;
use strongroom_tests::wait;

use crate::stage::{CANARY, Stage};

fn revision(stage: &Stage) -> u64 {
    let text = fs::read_to_string(stage.file("files/.revision")).unwrap();
    text.trim().parse().unwrap()
}

#[test]
fn a_change_restarts_the_command_with_the_new_values() {
    let stage = Stage::new();
    let _sidecar = stage.sidecar();
    let script = "echo $DATABASE_PASSWORD $(cat files/database/password) >> log; exec sleep 600";
    let running = stage.start(&[
        "--prefix",
        "web",
        "--files",
        "files",
        "--on-change",
        "restart",
        "-v",
        "--",
        "sh",
        "-c",
        script,
    ]);
    stage.reads("log", &format!("{CANARY} {CANARY}\n"));
    // of no concern to it, but the number is kept
    let before = revision(&stage);
    stage.put("shared/ca", "ca-2");
    wait::until("the new number", || (revision(&stage) > before).then_some(()));
    stage.put("web/database/password", "second");
    stage.reads("log", &format!("{CANARY} {CANARY}\nsecond second\n"));
    let ran = running.end();
    assert_eq!(ran.code, Some(143));
    assert!(
        ran.err.contains("changes nothing here") && ran.err.contains("started process"),
        "{}",
        ran.err
    );
    assert!(
        !ran.err.contains(CANARY) && !ran.err.contains("second"),
        "{}",
        ran.err
    );
    assert_eq!(fs::read_dir(stage.file("files")).unwrap().count(), 0);
}

#[test]
fn a_change_can_signal_the_command_or_run_another() {
    let stage = Stage::new();
    let _sidecar = stage.sidecar();
    let script = "trap 'cat files/ca >> log; echo >> log' USR1; echo up >> log; while :; do sleep 0.02; done";
    let signalled = stage.start(&[
        "--files",
        "files",
        "--file",
        "ca=shared/ca",
        "--on-change",
        "signal:USR1",
        "--",
        "sh",
        "-c",
        script,
    ]);
    stage.reads("log", "up\n");
    fs::write(stage.file("reload"), "#!/bin/sh\necho \"$@\" $CA > reloaded\n").unwrap();
    let running = stage.start(&[
        "--map",
        "CA=shared/ca",
        "--only-mapped",
        "--on-change",
        "exec:sh ./reload gently",
        "--",
        "sh",
        "-c",
        "echo up > other; exec sleep 600",
    ]);
    stage.reads("other", "up\n");
    stage.put("shared/ca", "ca-2");
    stage.reads("log", "up\nca-2\n");
    stage.reads("reloaded", "gently ca-2\n");
    assert_eq!(signalled.end().code, Some(143));
    assert_eq!(running.end().code, Some(143));
}

#[test]
fn what_the_sidecars_machine_says_of_config_restarts_the_command_when_it_changes() {
    let stage = Stage::new();
    let put = ["put", "prod", "web/app", "--kind", "config", "--format", "json"];
    stage.scene.ok_with(&put, br#"{"size":1}"#);
    let file = stage.file("app.local.json");
    fs::write(&file, r#"{"size":7}"#).unwrap();
    let settings = stage.settings().overriding("web/app", "app.local.json");
    let _sidecar = strongroom_tests::sidecar::Sidecar::start(&stage.scene, &settings);
    let script = "echo $APP | tr -d ' ' >> log; exec sleep 600";
    let arguments = [
        "--map",
        "APP=web/app",
        "--only-mapped",
        "--on-change",
        "restart",
        "--",
    ];
    let running = stage.start(&[&arguments[..], &["sh", "-c", script]].concat());
    stage.reads("log", "{\"size\":7}\n");
    fs::write(&file, r#"{"size":8}"#).unwrap();
    stage.reads("log", "{\"size\":7}\n{\"size\":8}\n");
    // of no concern to it
    stage.put("shared/ca", "ca-2");
    fs::write(&file, r#"{"size":9}"#).unwrap();
    stage.reads("log", "{\"size\":7}\n{\"size\":8}\n{\"size\":9}\n");
    assert_eq!(running.end().code, Some(143));
}

#[test]
fn values_asked_for_by_several_paths_are_of_one_revision() {
    let stage = Stage::new();
    stage.put("a/value", "0");
    stage.put("b/value", "0");
    let _sidecar = stage.sidecar();
    fs::write(
        stage.file("note"),
        "echo $A $B $(cat files/a) $(cat files/b) >> seen\n",
    )
    .unwrap();
    let running = stage.start(&[
        "--map",
        "A=a/value",
        "--map",
        "B=b/value",
        "--only-mapped",
        "--files",
        "files",
        "--file",
        "a=a/value",
        "--file",
        "b=b/value",
        "--on-change",
        "exec:sh ./note",
        "--",
        "sh",
        "-c",
        "sh ./note; exec sleep 600",
    ]);
    stage.reads("seen", "0 0 0 0\n");
    for number in 1..=20 {
        let both = format!(r#"{{"a":{{"value":"{number}"}},"b":{{"value":"{number}"}}}}"#);
        let import = ["import", "prod", "--format", "json", "--yes"];
        stage.scene.ok_with(&import, both.as_bytes());
    }
    let seen = wait::until("the last change", || {
        let seen = fs::read_to_string(stage.file("seen")).unwrap();
        seen.ends_with("20 20 20 20\n").then_some(seen)
    });
    for line in seen.lines() {
        let numbers: Vec<u32> = line.split(' ').map(|word| word.parse().unwrap()).collect();
        assert_eq!(numbers[0], numbers[1], "{line}");
        // files may have switched again since the command was given its environment, forwards only
        assert!(numbers.is_sorted(), "{line}");
    }
    drop(running);
}

#[test]
fn a_revision_that_lacks_what_is_required_is_refused_and_the_command_stays() {
    let stage = Stage::new();
    let _sidecar = stage.sidecar();
    let running = stage.start(&[
        "--require",
        "shared/ca",
        "--files",
        "files",
        "--on-change",
        "restart",
        "--",
        "sh",
        "-c",
        "echo $SHARED_CA >> log; exec sleep 600",
    ]);
    stage.reads("log", "ca-1\n");
    let before = revision(&stage);
    stage.scene.ok(&["delete", "prod", "shared/ca", "--yes"]);
    stage.put("web/other", "x");
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(revision(&stage), before);
    assert_eq!(fs::read_to_string(stage.file("files/shared/ca")).unwrap(), "ca-1");
    stage.put("shared/ca", "ca-3");
    stage.reads("log", "ca-1\nca-3\n");
    let ran = running.end();
    assert!(
        ran.err.contains("shared/ca") && ran.err.contains("not delivered"),
        "{}",
        ran.err
    );
}

#[test]
fn the_command_outlives_its_sidecar_and_follows_the_next_one() {
    let stage = Stage::new();
    let sidecar = stage.sidecar();
    let running = stage.start(&[
        "--files",
        "files",
        "--on-change",
        "restart",
        "--",
        "sh",
        "-c",
        "echo $SHARED_CA >> log; exec sleep 600",
    ]);
    stage.reads("log", "ca-1\n");
    sidecar.kill();
    stage.put("shared/ca", "ca-2");
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(fs::read_to_string(stage.file("log")).unwrap(), "ca-1\n");
    let _sidecar = stage.sidecar();
    stage.reads("log", "ca-1\nca-2\n");
    stage.put("shared/ca", "ca-3");
    stage.reads("log", "ca-1\nca-2\nca-3\n");
    let ran = running.end();
    assert_eq!(ran.code, Some(143));
    // an outage is told once, not at every attempt, and so is its end
    for words in ["sidecar at", "changes are followed again"] {
        assert_eq!(ran.err.matches(words).count(), 1, "{words}: {}", ran.err);
    }
}

#[test]
fn nothing_is_followed_when_nothing_would_be_done() {
    let stage = Stage::new();
    let sidecar = stage.sidecar();
    let idle = stage.start(&["--", "sh", "-c", "echo up > idle; exec sleep 600"]);
    let keen = stage.start(&[
        "--on-change",
        "signal:HUP",
        "--",
        "sh",
        "-c",
        "echo up > keen; exec sleep 600",
    ]);
    stage.reads("idle", "up\n");
    stage.reads("keen", "up\n");
    let watchers = || sidecar.get("status").json()["watchers"].as_u64().unwrap();
    wait::until("one watcher", || (watchers() == 1).then_some(()));
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert_eq!(watchers(), 1);
    drop(keen);
    idle.signal(Signal::TERM);
    drop(idle);
}

#[test]
fn a_crashing_command_is_started_again_when_asked_for() {
    let stage = Stage::new();
    let _sidecar = stage.sidecar();
    let script = "echo x >> log; test $(wc -l < log) = 3 && exit 0; exit 9";
    let ran = stage.run(&["--restart", "on-failure", "--", "sh", "-c", script]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_eq!(fs::read_to_string(stage.file("log")).unwrap(), "x\nx\nx\n");
    assert_eq!(ran.err.matches("starting it again in").count(), 2, "{}", ran.err);
}

#[test]
fn nothing_of_a_value_is_in_its_arguments_or_its_open_files() {
    let stage = Stage::new();
    let _sidecar = stage.sidecar();
    let running = stage.start(&[
        "-v",
        "--on-change",
        "restart",
        "--",
        "sh",
        "-c",
        "echo up > up; exec sleep 600",
    ]);
    stage.reads("up", "up\n");
    let process = format!("/proc/{}", running.0.id());
    for name in ["cmdline", "environ"] {
        let text = fs::read(format!("{process}/{name}")).unwrap();
        assert!(!String::from_utf8_lossy(&text).contains(CANARY), "{name}");
    }
    let ran = running.end();
    assert!(!ran.err.contains(CANARY), "{}", ran.err);
}
