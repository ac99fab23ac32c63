//! The canary: a value goes through every command and turns up nowhere but where it belongs.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::desk::{CANARY, Desk};

/// Every file below `dir` that holds the canary.
fn holding(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            found.extend(holding(&path));
        } else if kind.is_file()
            && std::fs::read(&path).is_ok_and(|bytes| {
                bytes
                    .windows(CANARY.len())
                    .any(|window| window == CANARY.as_bytes())
            })
        {
            found.push(path);
        }
    }
    found
}

#[test]
fn a_value_turns_up_nowhere_but_where_it_belongs() {
    let desk = Desk::new();
    let temp = desk.file("tmp");
    std::fs::create_dir(&temp).unwrap();
    desk.ok(["environment", "add", "dev", "--parent", "prod"]);
    let run = |code: i32, arguments: &[&str]| {
        let mut command = desk.command(arguments);
        // `Ran` looks at stderr.
        let ran = crate::desk::Ran::of(
            command
                .env("TMPDIR", &temp)
                .env("RUST_BACKTRACE", "full")
                .env("RUST_LOG", "trace")
                .output()
                .unwrap(),
        );
        let out = String::from_utf8_lossy(&ran.stdout).into_owned();
        assert_eq!(ran.code, code, "{arguments:?}: {out}{}", ran.stderr);
        out
    };
    desk.put("prod", "web/a", CANARY);
    desk.feed(
        ["put", "prod", "web/app", "--kind", "config", "--format", "json"],
        format!(r#"{{"k":"{CANARY}"}}"#),
    )
    .ok();
    desk.feed(["put", "prod", "web/app"], format!(r#"{{"k":"{CANARY}2"}}"#))
        .ok();
    desk.feed(["put", "prod", "web/app"], format!(r#"{{"k":"{CANARY}"#))
        .refused(1, "");
    desk.feed(["put", "dev", "web/app"], format!("[\"{CANARY}\"]"))
        .ok();
    let quiet: &[(i32, &[&str])] = &[
        (0, &["list"]),
        (0, &["list", "prod", "--json"]),
        (0, &["show", "prod", "web/a", "--json"]),
        (0, &["history", "--json"]),
        (0, &["history", "prod", "web/a"]),
        (0, &["diff", "1", "--json"]),
        (0, &["diff", "4", "5"]),
        (0, &["status", "--json"]),
        (0, &["verify", "--json"]),
        (0, &["member", "list"]),
        (0, &["compartment", "list"]),
        (0, &["environment", "list"]),
        (0, &["rollback", "prod", "web/app", "--to", "4", "--dry-run"]),
        (0, &["rollback", "prod", "web/app", "--to", "4", "--json"]),
        (0, &["delete", "prod", "web", "-r", "--dry-run"]),
        (1, &["get", "prod", "web/nothing"]),
        (1, &["get", "prod", "web/a", "--version", "7"]),
        (1, &["export", "prod", "--to", "/nowhere/x"]),
        (0, &["run", "prod", "--prefix", "web", "--", "true"]),
        (127, &["run", "prod", "--prefix", "web", "--", "/nowhere/program"]),
    ];
    for (code, arguments) in quiet {
        let out = run(*code, arguments);
        assert!(!out.contains(CANARY), "{arguments:?}: {out}");
    }
    // The value itself is printed by these, and goes nowhere else.
    assert!(run(0, &["get", "prod", "web/a"]).contains(CANARY));
    assert!(run(0, &["export", "prod"]).contains(CANARY));
    assert_eq!(
        holding(desk.path()),
        Vec::<PathBuf>::new(),
        "in clear on the disk"
    );
}

#[test]
fn an_edited_value_is_not_in_the_arguments_of_the_editor() {
    let desk = Desk::new();
    desk.put("prod", "a", CANARY);
    let seen = desk.file("seen").display().to_string();
    let file = desk.write(
        "ed.sh",
        format!("#!/bin/sh\ncat /proc/$$/cmdline /proc/$$/environ > {seen}\n"),
    );
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = desk.command(["edit", "prod", "a"]);
    crate::desk::Ran::of(command.env("VISUAL", &file).output().unwrap()).ok();
    assert!(desk.file("seen").exists());
    assert_eq!(holding(desk.path()), Vec::<PathBuf>::new());
}
