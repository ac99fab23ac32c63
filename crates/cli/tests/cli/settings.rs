//! Settings: which source wins, and that `status` says so.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::desk::{CANARY, Desk, Ran};

fn origin(status: &serde_json::Value, name: &str) -> (String, String) {
    let setting = status["settings"]
        .as_array()
        .unwrap()
        .iter()
        .find(|setting| setting["name"] == name)
        .unwrap();
    let text = |key: &str| setting[key].as_str().unwrap_or("-").to_owned();
    (text("value"), text("origin"))
}

/// Runs in `below` with no variables of ours.
fn plain(desk: &Desk, below: &str, arguments: &[&str]) -> Ran {
    let mut command = desk.command(arguments);
    command
        .current_dir(desk.file(below))
        .env_remove("STRONGROOM_STORE")
        .env_remove("STRONGROOM_IDENTITY");
    Ran::of(command.output().unwrap())
}

#[test]
fn option_wins_over_variable_over_file_over_default() {
    let desk = Desk::new();
    std::fs::create_dir_all(desk.file("a/b")).unwrap();
    desk.write(
        "a/strongroom.toml",
        "store = 'sqlite:../store.db'\nidentity = '../alice.identity'\nenvironment = 'prod'\n",
    );
    let status: serde_json::Value =
        serde_json::from_str(&plain(&desk, "a/b", &["status", "--json"]).ok()).unwrap();
    let file = format!(
        "file {}",
        desk.file("a/strongroom.toml").canonicalize().unwrap().display()
    );
    assert_eq!(origin(&status, "store").1, file);
    assert!(origin(&status, "store").0.ends_with("/store.db"), "{status}");
    assert_eq!(origin(&status, "identity").1, file);
    assert_eq!(origin(&status, "environment"), ("prod".into(), file.clone()));
    assert_eq!(origin(&status, "trust_dir").1, "default");
    assert_eq!(origin(&status, "fingerprint"), ("-".into(), "-".into()));

    let mut command = desk.command(["status", "--json", "--identity", "../../alice.identity"]);
    command
        .current_dir(desk.file("a/b"))
        .env("XDG_STATE_HOME", desk.file("state"));
    let status = Ran::of(command.output().unwrap()).json();
    assert_eq!(origin(&status, "store").1, "variable STRONGROOM_STORE");
    assert_eq!(origin(&status, "identity").1, "option --identity");
    assert_eq!(origin(&status, "environment").1, file);
    assert_eq!(
        origin(&status, "trust_dir").0,
        desk.file("state/strongroom/trust").display().to_string()
    );
    assert!(
        status["trust_file"]
            .as_str()
            .unwrap()
            .starts_with(&origin(&status, "trust_dir").0)
    );
    assert!(status["error"].is_null());
    assert!(desk.file("state/strongroom/trust").is_dir());
    let text = desk.ok(["status"]);
    assert!(
        text.contains("variable STRONGROOM_STORE") && text.contains("you are       alice (admin)"),
        "{text}"
    );
}

#[test]
fn the_environment_setting_stands_in_for_env() {
    let desk = Desk::new();
    desk.put("prod", "web/a", "1");
    desk.run(["get", "web/a"])
        .refused(2, "an entry is given as ENV PATH");
    desk.run(["export"]).refused(2, "no environment is named");
    let with = |arguments: &[&str]| {
        Ran::of(
            desk.command(arguments)
                .env("STRONGROOM_ENVIRONMENT", "prod")
                .output()
                .unwrap(),
        )
    };
    assert_eq!(with(&["get", "web/a"]).ok(), "1");
    assert_eq!(
        with(&["export", "--format", "json"]).ok(),
        "{\n  \"web\": {\n    \"a\": \"1\"\n  }\n}\n"
    );
    with(&["history", "web/a"]).ok();
    let mut wrong = desk.command(["get", "web/a"]);
    Ran::of(wrong.env("STRONGROOM_ENVIRONMENT", "PROD").output().unwrap()).refused(2, "upper-case");
}

#[test]
fn nothing_set_says_what_to_set() {
    let desk = Desk::bare();
    plain(&desk, ".", &["list"]).refused(2, "no store is named");
    let status = plain(&desk, ".", &["status"]);
    assert_eq!(status.code, 2);
    assert!(String::from_utf8(status.stdout).unwrap().contains("not set"));
    assert!(status.stderr.contains("STRONGROOM_STORE"), "{}", status.stderr);
    let document = plain(&desk, ".", &["status", "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&document.stdout).unwrap();
    assert_eq!(
        (document.code, json["error"]["code"].as_str()),
        (2, Some("usage"))
    );
}

#[test]
fn a_settings_file_is_refused_with_its_line_and_not_its_content() {
    let desk = Desk::bare();
    for (text, words) in [
        (format!("\nstroe = '{CANARY}'"), "line 2: unknown field `stroe`"),
        (format!("store = [{CANARY}"), "line 1: this is not a setting"),
        ("store = 5".to_owned(), "line 1: this is not a setting"),
        (format!("fingerprint = '{CANARY}'"), "a hash is 64"),
        ("environment = 'PROD'".to_owned(), "upper-case"),
    ] {
        desk.write("strongroom.toml", text);
        plain(&desk, ".", &["list"]).refused(2, words);
    }
}

#[test]
fn a_file_that_anybody_may_write_is_not_found_but_can_be_named() {
    let desk = Desk::new();
    let file = desk.write("strongroom.toml", "environment = 'prod'\n");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o666)).unwrap();
    desk.run(["list"]).refused(3, "may be written by everybody");
    desk.ok(["--settings", "strongroom.toml", "list"]);
    let mut named = desk.command(["list"]);
    Ran::of(named.env("STRONGROOM_SETTINGS", &file).output().unwrap()).ok();
    desk.run(["--settings", "nowhere.toml", "list"])
        .refused(1, "nowhere.toml");
}

#[test]
fn what_is_found_and_no_file_neither_counts_nor_hangs() {
    let desk = Desk::new();
    let fifo = desk.file("strongroom.toml");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    desk.run(["list"]).refused(3, "is not a regular file");
    std::fs::remove_file(&fifo).unwrap();
    std::fs::create_dir(&fifo).unwrap();
    desk.run(["list"]).refused(3, "is not a regular file");
}

#[test]
fn a_file_that_is_too_long_is_refused_and_not_cut() {
    let desk = Desk::new();
    let text = format!("environment = 'prod'\n{}", "# more\n".repeat(10_000));
    desk.write("strongroom.toml", text);
    desk.run(["list"]).refused(2, "longer than 65536 bytes");
    desk.run(["--settings", "strongroom.toml", "list"])
        .refused(2, "longer than 65536 bytes");
}

#[test]
fn a_named_file_may_be_a_pipe() {
    let desk = Desk::new();
    let text = "environment = 'prod'\n";
    let settings = ["--settings", "/dev/stdin", "get", "a"];
    desk.put("prod", "a", "1");
    assert_eq!(desk.feed(settings, text).ok(), "1");
}

#[test]
fn colours_reach_only_a_terminal_unless_asked_for() {
    let desk = Desk::new();
    desk.put("prod", "a", "1");
    assert!(!desk.ok(["history"]).contains('\u{1b}'));
    assert!(desk.ok(["history", "--color", "always"]).contains('\u{1b}'));
    let ran = desk.run(["get", "prod", "no"]);
    assert!(!ran.stderr.contains('\u{1b}'));
}
