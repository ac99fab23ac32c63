//! edit: a real editor process on a file in memory, wiped whatever way it ends.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::desk::{CANARY, Desk, Ran};
use crate::pty::Pty;

/// An editor that is a shell script; `$1` is the file.
fn editor(desk: &Desk, script: &str) -> String {
    let file = desk.write(
        "editor.sh",
        format!(
            "#!/bin/sh\nprintf '%s' \"$1\" > {}\n{script}\n",
            desk.file("edited").display()
        ),
    );
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    file.display().to_string()
}

fn edit(desk: &Desk, script: &str, arguments: &[&str]) -> Ran {
    let mut command = desk.command([&["edit"], arguments].concat());
    Ran::of(command.env("EDITOR", editor(desk, script)).output().unwrap())
}

/// The directory that was edited in.
fn scratch(desk: &Desk) -> PathBuf {
    PathBuf::from(std::fs::read_to_string(desk.file("edited")).unwrap())
        .parent()
        .unwrap()
        .to_path_buf()
}

fn wait_for(what: &str, is: impl Fn() -> bool) {
    let begin = Instant::now();
    while !is() {
        assert!(begin.elapsed() < Duration::from_secs(30), "{what} did not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn an_edited_text_is_a_new_version_and_leaves_nothing() {
    let desk = Desk::new();
    desk.put("prod", "a", format!("{CANARY}-old"));
    let look = desk.file("look").display().to_string();
    let script = format!(
        "stat -f -c %T \"$1\" > {look}; stat -c %a \"$(dirname \"$1\")\" \"$1\" >> {look}\n\
         cp \"$1\" \"$1.bak\"; echo {CANARY}-new > \"$1\""
    );
    let ran = edit(&desk, &script, &["prod", "a", "-m", "by hand"]);
    assert!(ran.ok().contains("~ prod a  (secret) version 2"));
    assert_eq!(
        std::fs::read_to_string(desk.file("look")).unwrap(),
        "tmpfs\n700\n600\n"
    );
    // The newline that the editor added is taken off: the value had none.
    assert_eq!(desk.ok(["get", "prod", "a"]), format!("{CANARY}-new"));
    assert_eq!(
        desk.json(["history", "prod", "a"])["commits"][0]["message"],
        "by hand"
    );
    assert!(!scratch(&desk).exists(), "the directory is still there");
}

#[test]
fn unchanged_or_given_up_commits_nothing() {
    let desk = Desk::new();
    desk.put("prod", "a", CANARY);
    assert!(edit(&desk, "true", &["prod", "a"]).ok().contains("unchanged"));
    edit(&desk, "echo x > \"$1\"; exit 3", &["prod", "a"])
        .refused(1, "with exit code 3: nothing was changed");
    edit(&desk, "rm \"$1\"", &["prod", "a"]).refused(1, "value.txt");
    edit(&desk, "rm \"$1\"; ln -s /etc/hostname \"$1\"", &["prod", "a"]).refused(1, "value.txt");
    assert!(edit(&desk, "true", &["prod", "new"]).ok().contains("unchanged"));
    assert!(!scratch(&desk).exists());
    assert_eq!(desk.json(["show", "prod", "a"])["version"], 1);
    let mut none = desk.command(["edit", "prod", "a"]);
    Ran::of(none.env("EDITOR", "/nowhere/ed").output().unwrap()).refused(1, "set VISUAL or EDITOR");
    let mut open = desk.command(["edit", "prod", "a"]);
    Ran::of(open.env("EDITOR", "'ed").output().unwrap()).refused(2, "a quote is not closed");
}

#[test]
fn a_label_is_changed_also_where_the_text_is_not() {
    let desk = Desk::new();
    desk.put("prod", "a", CANARY);
    let ran = edit(&desk, "true", &["prod", "a", "--label", "team=web"]);
    assert!(ran.ok().contains("~ prod a"));
    let shown = desk.json(["show", "prod", "a"]);
    assert_eq!(shown["labels"]["team"], "web", "{shown}");
    assert_eq!(desk.ok(["get", "prod", "a"]), CANARY);
    // it is so already
    let ran = edit(&desk, "true", &["prod", "a", "--label", "team=web"]);
    assert!(ran.ok().contains("unchanged"));
    let ran = edit(&desk, "true", &["prod", "a", "--label", "team="]);
    assert!(ran.ok().contains("~ prod a"));
    assert_eq!(desk.json(["show", "prod", "a"])["labels"], serde_json::json!({}));
    // a document's format is its own too
    desk.feed(["put", "prod", "app", "--kind", "config"], "{}").ok();
    edit(&desk, "true", &["prod", "app", "--format", "json"]).ok();
    assert_eq!(desk.json(["show", "prod", "app"])["format"], "json");
}

#[test]
fn a_plan_of_an_edit_is_the_answer() {
    let desk = Desk::new();
    let plan = edit(
        &desk,
        &format!("echo {CANARY} > \"$1\""),
        &["prod", "a", "--dry-run", "--json"],
    )
    .json();
    assert_eq!(
        (&plan["dry_run"], &plan["changes"][0]["action"]),
        (&true.into(), &"created".into())
    );
    assert!(!scratch(&desk).exists());
    desk.run(["get", "prod", "a"]).refused(1, "there is no entry");
}

#[test]
fn a_new_entry_is_begun_empty() {
    let desk = Desk::new();
    edit(
        &desk,
        "test ! -s \"$1\" && printf 'limit = 1\\n' > \"$1\"",
        &["prod", "app", "--kind", "config", "--format", "toml"],
    )
    .ok();
    assert_eq!(desk.ok(["get", "prod", "app"]), "limit = 1\n");
    assert!(
        std::fs::read_to_string(desk.file("edited"))
            .unwrap()
            .ends_with("/value.toml")
    );
    desk.put("prod", "bin", [255, 0]);
    edit(&desk, "true", &["prod", "bin"]).refused(1, "not text");
}

#[test]
fn an_inherited_document_is_overridden_and_not_copied() {
    let desk = Desk::new();
    desk.ok(["environment", "add", "dev", "--parent", "prod"]);
    desk.feed(
        ["put", "prod", "app", "--kind", "config", "--format", "json"],
        r#"{"a":1,"b":2}"#,
    )
    .ok();
    let ran = edit(
        &desk,
        "test ! -s \"$1\" && echo '{\"b\":3}' > \"$1\"",
        &["dev", "app"],
    );
    assert!(ran.stderr.contains("only the keys that differ"), "{}", ran.stderr);
    ran.ok();
    let merged: serde_json::Value = serde_json::from_str(&desk.ok(["get", "dev", "app"])).unwrap();
    assert_eq!(merged, serde_json::json!({"a": 1, "b": 3}));
    assert_eq!(desk.ok(["get", "prod", "app"]), r#"{"a":1,"b":2}"#);
}

#[test]
fn a_text_that_is_refused_is_kept_and_where_is_said() {
    let desk = Desk::new();
    desk.feed(
        ["put", "prod", "app", "--kind", "config", "--format", "json"],
        "{}",
    )
    .ok();
    let ran = edit(&desk, &format!("echo '{CANARY}' > \"$1\""), &["prod", "app"]);
    let kept = PathBuf::from(std::fs::read_to_string(desk.file("edited")).unwrap());
    let said = ran.refused(1, "your text is kept in");
    assert!(said.contains(kept.to_str().unwrap()));
    assert_eq!(std::fs::read_to_string(&kept).unwrap(), format!("{CANARY}\n"));
    assert_eq!(
        std::fs::metadata(&kept).unwrap().permissions().mode() & 0o777,
        0o600
    );
    std::fs::remove_dir_all(kept.parent().unwrap()).unwrap();
}

#[test]
fn a_change_of_somebody_else_is_not_overwritten() {
    let desk = Desk::new();
    desk.put("prod", "a", "1");
    let other = desk.write("other", "theirs");
    let script = format!(
        "{} put prod a --file {} >/dev/null\necho mine > \"$1\"",
        crate::desk::BINARY,
        other.display()
    );
    let ran = edit(&desk, &script, &["prod", "a"]);
    assert!(
        ran.stderr.contains("at version 2, not as expected"),
        "{}",
        ran.stderr
    );
    ran.refused(1, "your text is kept in");
    assert_eq!(desk.ok(["get", "prod", "a"]), "theirs");
    let kept = scratch(&desk);
    assert_eq!(std::fs::read_to_string(kept.join("value.txt")).unwrap(), "mine\n");
    std::fs::remove_dir_all(kept).unwrap();
}

#[test]
fn an_entry_that_was_deleted_and_put_again_is_not_overwritten() {
    let desk = Desk::new();
    desk.put("prod", "a", "1");
    let other = desk.write("other", "theirs");
    let strongroom = crate::desk::BINARY;
    let script = format!(
        "{strongroom} delete prod a >/dev/null\n{strongroom} put prod a --file {} >/dev/null\necho mine > \"$1\"",
        other.display()
    );
    edit(&desk, &script, &["prod", "a"]).refused(1, "your text is kept in");
    assert_eq!(desk.json(["show", "prod", "a"])["version"], 1);
    assert_eq!(desk.ok(["get", "prod", "a"]), "theirs");
    std::fs::remove_dir_all(scratch(&desk)).unwrap();
}

#[test]
fn a_text_that_is_too_long_is_kept() {
    let desk = Desk::new();
    desk.put("prod", "a", "1");
    let script = format!("head -c 1048577 /dev/zero | tr '\\0' x > \"$1\"; echo {CANARY} >> \"$1\"");
    let ran = edit(&desk, &script, &["prod", "a"]);
    let kept = scratch(&desk).join("value.txt");
    let said = ran.refused(1, "longer than 1048576 bytes");
    assert!(said.contains(&format!("kept in {}", kept.display())), "{said}");
    assert!(
        std::fs::read_to_string(&kept)
            .unwrap()
            .ends_with(&format!("{CANARY}\n"))
    );
    assert_eq!(desk.ok(["get", "prod", "a"]), "1");
    std::fs::remove_dir_all(scratch(&desk)).unwrap();
}

#[test]
fn what_is_refused_anyway_is_refused_before_the_editor() {
    let desk = Desk::new();
    edit(&desk, "echo x > \"$1\"", &["prod", "a", "--label", "no-sign"]).refused(2, "NAME=VALUE");
    assert!(!desk.file("edited").exists(), "the editor was started");
}

#[test]
fn an_answer_that_nobody_reads_leaves_no_text_behind() {
    let cases: [(&str, &[&str], u64); 3] = [
        ("true", &[], 1),
        ("echo x > \"$1\"", &["--dry-run"], 1),
        ("echo x > \"$1\"", &[], 2),
    ];
    for (script, options, version) in cases {
        let desk = Desk::new();
        desk.put("prod", "a", CANARY);
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = desk.command([&["edit", "prod", "a"], options].concat());
        command.env("EDITOR", editor(&desk, script)).stdout(writer);
        Ran::of(command.output().unwrap()).ok();
        assert!(
            !scratch(&desk).exists(),
            "{script} {options:?}: the text is still there"
        );
        assert_eq!(desk.json(["show", "prod", "a"])["version"], version);
    }
}

#[test]
fn a_signal_at_any_moment_leaves_neither_text_nor_editor() {
    let desk = Desk::new();
    desk.put("prod", "a", CANARY);
    // In memory, and of this test alone.
    let memory = tempfile::Builder::new()
        .prefix("strongroom-test-")
        .tempdir_in("/dev/shm")
        .unwrap();
    let alive = desk.file("alive");
    let editor = editor(&desk, &format!("echo $$ > {}; exec sleep 60", alive.display()));
    for round in 0..40 {
        let _ = std::fs::remove_file(&alive);
        let mut command = desk.command(["edit", "prod", "a"]);
        command
            .env("EDITOR", &editor)
            .env("XDG_RUNTIME_DIR", memory.path());
        let child = command.spawn().unwrap();
        let begin = Instant::now();
        while std::fs::read_dir(memory.path()).unwrap().next().is_none() {
            assert!(begin.elapsed() < Duration::from_secs(30), "no directory came");
        }
        // From the making of the directory on, over the file and the start of the editor.
        let moment = Instant::now();
        while moment.elapsed() < Duration::from_micros(50 * round) {
            std::hint::spin_loop();
        }
        let id = rustix::process::Pid::from_raw(child.id().cast_signed()).unwrap();
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
        assert_eq!(
            Ran::of(child.wait_with_output().unwrap()).code,
            143,
            "round {round}"
        );
        assert_eq!(
            std::fs::read_dir(memory.path()).unwrap().count(),
            0,
            "round {round}"
        );
        let pid = std::fs::read_to_string(&alive).unwrap_or_default();
        let proc = format!("/proc/{}", pid.trim());
        assert!(
            pid.is_empty() || !std::path::Path::new(&proc).exists(),
            "round {round}: the editor runs on"
        );
    }
}

#[test]
fn signals_wipe_what_was_edited() {
    for (signal, code) in [("TERM", 143), ("HUP", 129), ("INT", 1)] {
        let desk = Desk::new();
        desk.put("prod", "a", CANARY);
        let mut command = desk.command(["edit", "prod", "a"]);
        // `exec` so that the signal reaches the editor itself.
        let child = command
            .env("EDITOR", editor(&desk, "echo more >> \"$1\"; exec sleep 60"))
            .spawn()
            .unwrap();
        wait_for("the editor", || {
            std::fs::read(desk.file("edited")).is_ok_and(|path| !path.is_empty())
        });
        let dir = scratch(&desk);
        wait_for("the edit", || {
            std::fs::read_to_string(dir.join("value.txt")).is_ok_and(|text| text.contains("more"))
        });
        assert!(
            Command::new("kill")
                .args([&format!("-{signal}"), &child.id().to_string()])
                .status()
                .unwrap()
                .success()
        );
        let ran = Ran::of(child.wait_with_output().unwrap());
        assert_eq!(ran.code, code, "{signal}: {}", ran.stderr);
        assert!(!dir.exists(), "{signal}: the directory is still there");
        assert_eq!(desk.json(["show", "prod", "a"])["version"], 1);
    }
}

#[test]
fn an_editor_that_ignores_the_end_is_killed() {
    let desk = Desk::new();
    desk.put("prod", "a", CANARY);
    let mut command = desk.command(["edit", "prod", "a"]);
    let script = "trap '' TERM; echo ready > \"$1\"; while :; do sleep 0.1; done";
    let child = command.env("EDITOR", editor(&desk, script)).spawn().unwrap();
    wait_for("the editor", || {
        std::fs::read(desk.file("edited")).is_ok_and(|path| !path.is_empty())
    });
    let dir = scratch(&desk);
    wait_for("the edit", || {
        std::fs::read_to_string(dir.join("value.txt")).is_ok_and(|text| text == "ready\n")
    });
    assert!(
        Command::new("kill")
            .arg(child.id().to_string())
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(Ran::of(child.wait_with_output().unwrap()).code, 143);
    assert!(!dir.exists());
}

#[test]
fn a_place_on_a_disk_is_used_only_when_named() {
    let desk = Desk::new();
    let dir = desk.file("on-disk");
    std::fs::create_dir(&dir).unwrap();
    desk.put("prod", "a", "1");
    let ran = edit(
        &desk,
        "echo 2 > \"$1\"",
        &["prod", "a", "--insecure-dir", dir.to_str().unwrap()],
    );
    assert!(ran.stderr.contains("may stay readable"), "{}", ran.stderr);
    ran.ok();
    assert!(scratch(&desk).starts_with(&dir));
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0);
}

#[test]
fn at_a_terminal_a_refused_text_is_edited_again() {
    let desk = Desk::new();
    desk.feed(
        ["put", "prod", "app", "--kind", "config", "--format", "json"],
        "{}",
    )
    .ok();
    // First broken, then whole.
    let script = "if grep -q broken \"$1\"; then echo '{\"a\":1}' > \"$1\"; else echo broken > \"$1\"; fi";
    let line = editor(&desk, script);
    let mut pty = Pty::start_with(&desk, "edit prod app", |command| {
        command.env("EDITOR", line);
    });
    pty.answer("[e]dit again, [k]eep", "e");
    pty.answer("Commit this?", "y");
    let (code, screen) = pty.end();
    assert_eq!(code, 0, "{screen}");
    assert_eq!(desk.ok(["get", "prod", "app"]), "{\"a\":1}");
    assert!(!scratch(&desk).exists());
}
