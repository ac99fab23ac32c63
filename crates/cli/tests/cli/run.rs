//! run: a command gets one revision's values and follows changes. The supervisor itself is tested
//! where it lives; here it is the store as its source, and the options.

use std::io::{BufRead, BufReader};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::desk::{CANARY, Desk};

fn desk() -> Desk {
    let desk = Desk::new();
    desk.put("prod", "web/db/password", CANARY);
    desk.feed(
        ["put", "prod", "web/app", "--kind", "config", "--format", "text"],
        "x=1",
    )
    .ok();
    let flag = r#"{"state":"ENABLED","variants":{"on":true,"off":false},"defaultVariant":"on"}"#;
    desk.feed(["put", "prod", "web/ui", "--kind", "flag"], flag).ok();
    let off = flag.replace("ENABLED", "DISABLED");
    desk.feed(["put", "prod", "web/off", "--kind", "flag"], off).ok();
    desk.put("prod", "other", "not asked for");
    desk
}

#[test]
fn a_command_gets_what_was_asked_for_and_no_more() {
    let desk = desk();
    let env = desk.ok([
        "run",
        "prod",
        "--prefix",
        "web",
        "--clean-env",
        "--",
        "/usr/bin/env",
    ]);
    let mut lines: Vec<_> = env.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["APP=x=1", &format!("DB_PASSWORD={CANARY}"), "UI=true"]);
    let mapped = [
        "run",
        "prod",
        "--map",
        "PGPASSWORD=web/db/password",
        "--only-mapped",
        "--clean-env",
        "--",
        "/usr/bin/env",
    ];
    assert_eq!(desk.ok(mapped), format!("PGPASSWORD={CANARY}\n"));
    let env = desk.ok(["run", "prod", "--", "env"]);
    assert!(
        env.contains("WEB_UI=true") && env.contains("HOME=") && !env.contains("STRONGROOM_"),
        "{env}"
    );
}

#[test]
fn the_exit_code_is_the_commands_own() {
    let desk = desk();
    let code = |line: &[&str]| desk.run([&["run", "prod", "--"], line].concat()).code;
    assert_eq!(code(&["true"]), 0);
    assert_eq!(code(&["sh", "-c", "exit 7"]), 7);
    assert_eq!(code(&["sh", "-c", "kill -9 $$"]), 137);
    assert_eq!(code(&["/nowhere/program"]), 127);
    assert_eq!(code(&["/etc/hostname"]), 126);
}

#[test]
fn every_missing_entry_is_listed_and_nothing_starts() {
    let desk = desk();
    let ran = desk.run([
        "run",
        "prod",
        "--require",
        "no/a",
        "--require",
        "web/ui",
        "--map",
        "X=no/b",
        "--",
        "touch",
        "started",
    ]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.stderr.contains("no/a") && ran.stderr.contains("no/b"),
        "{}",
        ran.stderr
    );
    assert!(!desk.file("started").exists());
    desk.run(["run", "prod"]).refused(2, "<CMD>");
    desk.run(["run", "nope", "--", "true"])
        .refused(1, "there is no environment");
    desk.run(["run", "--", "true"])
        .refused(2, "no environment is named");
    desk.run(["run", "prod", "--on-change", CANARY, "--", "true"])
        .refused(2, "signal:NAME");
    desk.run(["run", "prod", "--socket", "x", "--", "true"])
        .refused(2, "cannot be used with");
    assert_eq!(
        desk.run(["run", "--socket", "nowhere.sock", "--wait", "0", "--", "true"])
            .code,
        5
    );
}

#[test]
fn files_come_with_the_command_and_go_with_it() {
    let desk = desk();
    let out = desk.ok([
        "run",
        "prod",
        "-p",
        "web",
        "--files",
        "files",
        "--",
        "cat",
        "files/db/password",
    ]);
    assert_eq!(out, CANARY);
    assert!(!desk.file("files/db/password").exists(), "the files stayed");
}

#[test]
fn a_change_restarts_the_command_with_the_new_value() {
    let desk = desk();
    let script = "echo $DB_PASSWORD; exec sleep 60";
    let mut child = desk
        .command([
            "run",
            "prod",
            "-p",
            "web",
            "--on-change",
            "restart",
            "--",
            "sh",
            "-c",
            script,
        ])
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), CANARY);
    desk.put("prod", "other", "nothing of this concerns it");
    desk.put("prod", "web/db/password", "second");
    assert_eq!(lines.next().unwrap().unwrap(), "second");
    assert!(
        Command::new("kill")
            .arg(child.id().to_string())
            .status()
            .unwrap()
            .success()
    );
    let begin = Instant::now();
    while child.try_wait().unwrap().is_none() {
        assert!(begin.elapsed() < Duration::from_secs(30), "it does not end");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn files_switch_under_a_running_command() {
    let desk = desk();
    let script = "cat files/db/password; echo; while ! grep -q second files/db/password; do sleep 0.05; done; cat files/db/password";
    let mut child = desk
        .command([
            "run", "prod", "-p", "web", "--files", "files", "--", "sh", "-c", script,
        ])
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), CANARY);
    desk.put("prod", "web/db/password", "second");
    assert_eq!(lines.next().unwrap().unwrap(), "second");
    assert!(child.wait().unwrap().success());
}

#[test]
fn what_stays_wrong_is_told_once_and_so_is_its_end() {
    let desk = desk();
    desk.ok(["environment", "add", "dev", "--parent", "prod"]);
    // what others inherit from may lack what its documents refer to
    desk.ok(["environment", "add", "mine", "--parent", "dev"]);
    desk.put("mine", "web/b", "of its own");
    let secret = ["put", "dev", "web/b"];
    desk.feed(secret, "1").ok();
    let toml = ["put", "prod", "web/both", "--kind", "config", "--format", "toml"];
    desk.feed(toml, "b = { secret = 'web/b' }").ok();
    let script = "echo \"$BOTH\" | grep b; exec sleep 60";
    let mut child = desk
        .command([
            "run",
            "dev",
            "--map",
            "BOTH=web/both",
            "--only-mapped",
            "--on-change",
            "restart",
            "--",
            "sh",
            "-c",
            script,
        ])
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "b = \"1\"");
    // there is nothing to deliver; it is tried every second
    desk.ok(["delete", "dev", "web/b"]);
    std::thread::sleep(Duration::from_millis(2500));
    desk.feed(secret, "2").ok();
    assert_eq!(lines.next().unwrap().unwrap(), "b = \"2\"");
    let kill = Command::new("kill").arg(child.id().to_string()).status();
    assert!(kill.unwrap().success());
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    for words in [
        "refers to a secret that is not there",
        "changes are followed again",
    ] {
        assert_eq!(told.matches(words).count(), 1, "{words}: {told}");
    }
}
