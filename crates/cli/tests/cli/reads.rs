//! Reads of this program in an audit log of the member's own: each is there before its value is seen.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;
use strongroom_core::audit::files;

use crate::desk::{CANARY, Desk, Ran};

fn filled() -> Desk {
    let desk = Desk::new();
    desk.put("prod", "web/key", CANARY);
    desk.feed(["put", "prod", "web/app", "--kind", "config"], "x")
        .ok();
    desk
}

/// The records of the log: action, name, member and the command.
fn records(desk: &Desk) -> Vec<[String; 4]> {
    let text = desk.ok(["audit", "show", "log", "--json"]);
    let lines = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines
        .map(|line| {
            assert_eq!(line["decision"], "allow", "{line}");
            ["action", "name", "member", "reason"].map(|key| line[key].as_str().unwrap().to_owned())
        })
        .collect()
}

fn verified(desk: &Desk) -> Value {
    let public = desk.ok(["identity", "show"]);
    desk.json(["audit", "verify", "log", "--signed", "--public", public.trim()])
}

#[test]
fn every_value_that_is_shown_or_delivered_was_recorded() {
    let desk = filled();
    let read = |arguments: &[&str]| {
        let mut command = desk.command([&["--audit", "log"], arguments].concat());
        Ran::of(command.env("EDITOR", "true").output().unwrap()).ok()
    };
    assert_eq!(read(&["get", "prod", "web/key"]), CANARY);
    let get = |name: &str, action: &str| {
        let name = format!("prod/web/{name}");
        [action, &name, "alice", "get"].map(str::to_owned)
    };
    assert_eq!(records(&desk), [get("key", "readSecret")]);
    read(&["get", "prod", "web/key", "--version", "1"]);
    read(&["get", "prod", "web/app", "--at", "4"]);
    assert_eq!(
        records(&desk)[1..],
        [get("key", "readSecret"), get("app", "readConfig")]
    );
    let to = desk.file("files").display().to_string();
    for command in [
        &["run", "prod", "--", "true"][..],
        &["export", "prod"],
        &["render", "prod", "--to", &to],
    ] {
        let before = records(&desk).len();
        read(command);
        let records = &records(&desk)[before..];
        let told: Vec<_> = records.iter().map(|one| [&*one[1], &*one[3]]).collect();
        assert_eq!(
            told,
            ["prod/web/app", "prod/web/key"].map(|name| [name, command[0]])
        );
    }
    read(&["edit", "prod", "web/key"]);
    assert_eq!(records(&desk).last().unwrap()[3], "edit");
    let flag = r#"{"state":"ENABLED","variants":{"on":true,"off":false},"defaultVariant":"off"}"#;
    desk.feed(["put", "prod", "web/ui", "--kind", "flag"], flag).ok();
    let before = records(&desk).len();
    read(&["flag", "off", "prod", "web/ui"]);
    read(&["flag", "on", "prod", "web/ui"]);
    read(&["flag", "rollout", "prod", "web/ui", "5%"]);
    let told: Vec<_> = records(&desk).split_off(before);
    let told: Vec<_> = told.iter().map(|one| &*one[3]).collect();
    assert_eq!(told, ["flag off", "flag on", "flag rollout"]);
    // what shows no value is no read
    let before = records(&desk).len();
    for command in [
        &["list", "prod"][..],
        &["show", "prod", "web/key"],
        &["verify"],
        &["status"],
    ] {
        read(command);
    }
    assert_eq!(records(&desk).len(), before);
    let report = verified(&desk);
    assert_eq!((&report["whole"], &report["unsigned"]), (&true.into(), &0.into()));
    assert!(
        !String::from_utf8_lossy(&std::fs::read(&files(&desk.file("log")).unwrap()[0].path).unwrap())
            .contains(CANARY)
    );
}

#[test]
fn what_is_compared_promoted_or_described_was_recorded() {
    let desk = filled();
    desk.ok(["environment", "add", "staging"]);
    for environment in ["prod", "staging"] {
        desk.ok(["config", "set", environment, "app", "a=1"]);
    }
    desk.feed(["put", "prod", "schema/app", "--kind", "schema"], "{}")
        .ok();
    for (arguments, names) in [
        (&["diff", "prod", "staging"][..], &["prod/app", "staging/app"][..]),
        (&["config", "doc", "prod", "app"], &["prod/app"]),
        (
            &["promote", "prod", "staging", "--only", "app", "--plan"],
            &["prod/app", "staging/app"],
        ),
    ] {
        let told = || {
            if desk.file("log").exists() {
                records(&desk)
            } else {
                Vec::new()
            }
        };
        let before = told().len();
        desk.ok([&["--audit", "log"], arguments].concat());
        let told: Vec<_> = told()[before..].iter().map(|one| one[1].clone()).collect();
        assert_eq!(told, names, "{arguments:?}");
    }
}

#[test]
fn the_setting_comes_from_variable_and_file_too() {
    let desk = filled();
    let mut command = desk.command(["get", "prod", "web/key"]);
    Ran::of(command.env("STRONGROOM_AUDIT", "log").output().unwrap()).ok();
    assert_eq!(records(&desk).len(), 1);
    desk.write("strongroom.toml", "audit = 'log'\n");
    desk.ok(["get", "prod", "web/key"]);
    assert_eq!(records(&desk).len(), 2);
    let status = desk.json(["status"]).to_string();
    assert!(status.contains("\"audit\""), "{status}");
}

#[test]
fn what_cannot_be_recorded_is_not_shown() {
    let desk = filled();
    desk.write("file", "");
    std::fs::create_dir(desk.file("open")).unwrap();
    std::fs::set_permissions(desk.file("open"), std::fs::Permissions::from_mode(0o777)).unwrap();
    let to = desk.file("files").display().to_string();
    for log in ["file", "open", "file/below"] {
        for arguments in [
            &["get", "prod", "web/key"][..],
            &["get", "prod", "web/key", "--json"],
            &["run", "prod", "--", "touch", "began"],
            &["export", "prod"],
            &["render", "prod", "--to", &to],
        ] {
            let ran = desk.run([&["--audit", log], arguments].concat());
            assert_eq!(
                (ran.code, ran.stdout.len()),
                (1, 0),
                "{log} {arguments:?}: {}",
                ran.stderr
            );
            assert!(ran.stderr.contains("could not be recorded"), "{}", ran.stderr);
        }
        let mut edit = desk.command(["--audit", log, "edit", "prod", "web/key"]);
        let ran = Ran::of(edit.env("EDITOR", "touch began; true").output().unwrap());
        assert_eq!(ran.code, 1, "{}", ran.stderr);
    }
    assert!(!desk.file("began").exists());
    assert!(!desk.file("files").exists());
    let ran = desk.run(["doctor", "--json", "--audit", "open"]);
    let report: Value = serde_json::from_slice(&ran.stdout).unwrap();
    let found = report["findings"].as_array().unwrap();
    let audit = found
        .iter()
        .find(|one| one["check"] == "audit directory")
        .unwrap();
    assert_eq!((ran.code, &audit["state"]), (1, &"problem".into()), "{audit}");
}

#[test]
fn commands_that_read_at_the_same_time_write_one_after_the_other() {
    let desk = filled();
    let children: Vec<_> = (0..6)
        .map(|_| {
            desk.command(["--audit", "log", "get", "prod", "web/key"])
                .spawn()
                .unwrap()
        })
        .collect();
    for child in children {
        assert_eq!(Ran::of(child.wait_with_output().unwrap()).ok(), CANARY);
    }
    assert_eq!(records(&desk).len(), 6);
    assert_eq!(verified(&desk)["whole"], true);
}

#[test]
fn a_log_that_was_cut_within_a_line_is_gone_on_with() {
    let desk = filled();
    let read = || desk.ok(["--audit", "log", "get", "prod", "web/key"]);
    read();
    let file = files(&desk.file("log")).unwrap().remove(0).path;
    let mut torn = std::fs::File::options().append(true).open(&file).unwrap();
    torn.write_all(b"{\"seq\":").unwrap();
    read();
    assert_eq!(records(&desk).len(), 2);
    assert_eq!(verified(&desk)["whole"], true);
    assert!(desk.ok(["audit", "show", "log", "--all"]).contains("log cut 7"));
    // one that does not verify is put aside, and stays a fault
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("alice", "mallo")).unwrap();
    read();
    let ran = desk.run(["audit", "verify", "log"]);
    assert_eq!(ran.code, 4, "{}", ran.stderr);
}
