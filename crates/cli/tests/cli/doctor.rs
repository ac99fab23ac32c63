//! `doctor`: what it says of good and bad files, and of a process that protects nothing.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use crate::desk::{Desk, Ran};

/// The findings of one run, and its exit code.
fn findings(desk: &Desk, arguments: &[&str]) -> (i32, Vec<Value>) {
    let ran = desk.run([&["doctor", "--json"], arguments].concat());
    let report: Value = serde_json::from_slice(&ran.stdout).unwrap();
    let findings = report["findings"].as_array().unwrap().clone();
    let problems = findings.iter().filter(|one| one["state"] == "problem").count();
    assert_eq!(report["problems"], problems);
    (ran.code, findings)
}

fn state<'a>(findings: &'a [Value], check: &str) -> &'a str {
    let found = findings.iter().find(|one| one["check"] == check);
    found.unwrap_or_else(|| panic!("no check {check}"))["state"]
        .as_str()
        .unwrap()
}

fn set_mode(desk: &Desk, name: &str, mode: u32) {
    std::fs::set_permissions(desk.file(name), std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_good_desk_has_no_problem() {
    let desk = Desk::new();
    let (code, findings) = findings(&desk, &[]);
    assert_eq!(code, 0, "{findings:#?}");
    for check in [
        "core dumps",
        "no new privileges",
        "store file",
        "store directory",
        "identity",
    ] {
        assert_eq!(state(&findings, check), "ok", "{findings:#?}");
    }
    for check in [
        "landlock",
        "seccomp",
        "swap",
        "debuggers",
        "peers",
        "inotify",
        "open files",
        "tmpfs",
        "clock",
    ] {
        assert!(
            ["ok", "warning"].contains(&state(&findings, check)),
            "{findings:#?}"
        );
    }
    let text = desk.ok(["doctor"]);
    assert!(
        text.contains("0 problems") && text.contains("store.db, mode 06"),
        "{text}"
    );
}

#[test]
fn files_that_are_open_to_others_are_problems() {
    let desk = Desk::new();
    for (name, mode, good, check) in [
        ("alice.identity", 0o640, 0o600, "identity"),
        ("store.db", 0o662, 0o660, "store file"),
        ("", 0o757, 0o755, "store directory"),
    ] {
        set_mode(&desk, name, mode);
        let (code, found) = findings(&desk, &[]);
        assert_eq!((code, state(&found, check)), (1, "problem"), "{found:#?}");
        let finding = found.iter().find(|one| one["check"] == check).unwrap();
        assert!(
            finding["next"].as_str().unwrap().starts_with("chmod "),
            "{finding}"
        );
        set_mode(&desk, name, good);
        assert_eq!(findings(&desk, &[]).0, 0);
    }
    // a warning is none
    set_mode(&desk, "store.db", 0o664);
    let (code, found) = findings(&desk, &[]);
    assert_eq!((code, state(&found, "store file")), (0, "warning"), "{found:#?}");
}

#[test]
fn what_others_of_the_group_may_replace_is_warned_of() {
    let desk = Desk::new();
    set_mode(&desk, "", 0o770);
    let (code, found) = findings(&desk, &[]);
    assert_eq!(code, 0, "{found:#?}");
    for check in ["store directory", "identity directory"] {
        assert_eq!(state(&found, check), "warning", "{found:#?}");
    }
    // none but its owner replaces a file there
    set_mode(&desk, "", 0o1770);
    let (_, found) = findings(&desk, &[]);
    assert_eq!(state(&found, "store directory"), "ok", "{found:#?}");
}

#[test]
fn what_is_named_and_not_there_is_a_problem() {
    let desk = Desk::bare();
    let (code, found) = findings(&desk, &["--passphrase-file", "nowhere/passphrase"]);
    assert_eq!(code, 1, "{found:#?}");
    for (check, file) in [
        ("store file", "store.db"),
        ("identity", "alice.identity"),
        ("passphrase file", "nowhere/passphrase"),
    ] {
        assert_eq!(state(&found, check), "problem", "{found:#?}");
        let finding = found.iter().find(|one| one["check"] == check).unwrap();
        assert!(finding["detail"].as_str().unwrap().contains(file), "{finding}");
        assert!(finding["next"].is_string(), "{finding}");
    }
    let (_, found) = findings(&desk, &["--store", "sqlite:nowhere/store.db"]);
    assert_eq!(state(&found, "store directory"), "problem", "{found:#?}");
}

#[test]
fn what_nobody_named_is_skipped() {
    let desk = Desk::bare();
    let mut command = desk.command(["doctor", "--json"]);
    command
        .env_remove("STRONGROOM_STORE")
        .env_remove("STRONGROOM_IDENTITY");
    let report = Ran::of(command.output().unwrap()).json();
    let found = report["findings"].as_array().unwrap();
    assert_eq!(report["problems"], 0);
    for check in ["store file", "store directory", "identity", "identity directory"] {
        assert_eq!(state(found, check), "skipped", "{found:#?}");
    }
}

#[test]
fn a_process_that_protects_nothing_is_a_problem() {
    let desk = Desk::bare();
    let own = std::process::id().to_string();
    let (code, found) = findings(&desk, &["--pid", &own]);
    assert_eq!((code, state(&found, "core dumps")), (1, "problem"), "{found:#?}");
    assert_eq!(state(&found, "sandbox"), "warning");
    let ran = desk.run(["doctor", "--pid", "4194304"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("no process"), "{}", ran.stderr);
}
