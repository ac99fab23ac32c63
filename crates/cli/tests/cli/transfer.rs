//! import, export, render: many values at once, whole or not at all.

use std::os::unix::fs::PermissionsExt;

use crate::desk::{BINARY, CANARY, Desk, Ran};

#[test]
fn dotenv_comes_in_and_goes_out_the_same() {
    let desk = Desk::new();
    let text = format!("A={CANARY}\nB='two words $5'\nexport C=\"line\\nline\\'\"\n").replace("\\'", "'");
    desk.feed(["import", "prod", "--prefix", "web"], &text).ok();
    assert_eq!(desk.json(["list"])["revision"], 3, "one commit");
    assert_eq!(desk.ok(["get", "prod", "web/C"]), "line\nline'");
    let out = desk.ok(["export", "prod", "--prefix", "web"]);
    assert_eq!(out, format!("A={CANARY}\nB='two words $5'\nC=\"line\\nline'\"\n"));
    desk.ok(["environment", "add", "dev"]);
    desk.feed(["import", "dev", "-p", "web"], &out).ok();
    assert_eq!(desk.ok(["export", "dev", "-p", "web"]), out);
    // The same again is no commit.
    assert!(
        desk.feed(["import", "dev", "-p", "web"], &out)
            .ok()
            .contains("nothing to change")
    );
}

#[test]
fn nested_documents_become_paths_and_come_back() {
    let desk = Desk::new();
    let json = desk.write(
        "in.json",
        format!(r#"{{"db":{{"user":"u","port":5432,"password":"{CANARY}"}},"tls":true}}"#),
    );
    desk.ok(["import", "prod", "--prefix", "web", "-f", json.to_str().unwrap()]);
    assert_eq!(desk.ok(["get", "prod", "web/db/port"]), "5432");
    let out: serde_json::Value =
        serde_json::from_str(&desk.ok(["export", "prod", "--format", "json", "-p", "web"])).unwrap();
    assert_eq!(
        out,
        serde_json::json!({"db": {"user": "u", "port": "5432", "password": CANARY}, "tls": "true"})
    );
    let toml = desk.ok(["export", "prod", "--format", "toml", "-p", "web"]);
    desk.ok(["environment", "add", "dev"]);
    let file = desk.write("in.toml", &toml);
    desk.ok(["import", "dev", "--prefix", "web", "-f", file.to_str().unwrap()]);
    assert_eq!(desk.ok(["export", "dev", "--format", "toml", "-p", "web"]), toml);
    assert!(
        desk.ok(["export", "prod", "-p", "web/db"])
            .starts_with("PASSWORD=")
    );
}

#[test]
fn flag_files_are_taken_definition_by_definition() {
    let desk = Desk::new();
    let flag = r#"{"state":"ENABLED","variants":{"on":true,"off":false},"defaultVariant":"on"}"#;
    let file = desk.write(
        "f.json",
        format!(r#"{{"flags":{{"new-ui":{flag},"old-ui":{flag}}}}}"#),
    );
    desk.ok([
        "import",
        "prod",
        "-p",
        "web",
        "--kind",
        "flag",
        "-f",
        file.to_str().unwrap(),
    ]);
    assert_eq!(desk.json(["show", "prod", "web/old-ui"])["kind"], "flag");
    assert_eq!(
        desk.ok(["export", "prod", "-p", "web"]),
        "NEW_UI=true\nOLD_UI=true\n"
    );
    desk.feed(["import", "prod", "--kind", "flag"], "A=1")
        .refused(2, "JSON or TOML");
    let long = flag.replace("true", "12345678901234567890123");
    let long = desk.write("l.json", format!(r#"{{"x":{long}}}"#));
    desk.run(["import", "prod", "--kind", "flag", "-f", long.to_str().unwrap()])
        .refused(1, "x: a number is too long to be exact");
    let bad = desk.write("g.json", r#"{"x":{"state":"ON"}}"#);
    desk.run(["import", "prod", "--kind", "flag", "-f", bad.to_str().unwrap()])
        .refused(1, "state");
}

#[test]
fn thousands_of_entries_are_one_commit() {
    let desk = Desk::new();
    let text: String = (0..3000)
        .map(|index| format!("K{index}='{CANARY} {index}'\n"))
        .collect();
    desk.feed(["import", "prod", "--prefix", "many"], &text).ok();
    let list = desk.json(["list", "prod"]);
    assert_eq!(
        (list["entries"].as_array().unwrap().len(), &list["revision"]),
        (3000, &3.into())
    );
    assert_eq!(desk.ok(["get", "prod", "many/K2999"]), format!("{CANARY} 2999"));
}

#[test]
fn what_cannot_be_imported_changes_nothing() {
    let desk = Desk::new();
    let before = desk.json(["status"])["revision"].clone();
    for (format, text, words) in [
        ("dotenv", format!("A=1\nB={CANARY}$HOME"), "line 2"),
        ("dotenv", format!("A=1\nA={CANARY}"), "second time"),
        (
            "dotenv",
            format!("A=1\nB=\"{CANARY} $(id)\""),
            "line 2: `$(` would run a command",
        ),
        (
            "dotenv",
            format!("A=1\nB=\"{CANARY} `id`\""),
            "line 2: a backquote would run a command",
        ),
        (
            "json",
            format!("{{\"a\": {{\"b\": \"{CANARY}\",\n\"b\": 1}}}}"),
            "line 2, column 3: a key is there a second time",
        ),
        (
            "json",
            "{\"a\": [1, [12345678901234567890123]]}".to_owned(),
            "a: a number is too long to be exact",
        ),
        (
            "toml",
            "a = [{ b = 12345678901234567890123.0 }]".to_owned(),
            "a: a number is too long to be exact",
        ),
        ("json", format!("{{\"a\": {CANARY}}}"), "not JSON"),
        (
            "json",
            format!("{{\"a\": null, \"b\": \"{CANARY}\"}}"),
            "null is no value",
        ),
        ("json", format!("{{\"a/{CANARY}\": 1}}"), "a key holds `/`"),
        (
            "json",
            format!("{{\"a\": {{\"{CANARY} x\": 1}}}}"),
            "under a: a key is no path",
        ),
        ("toml", format!("a = {CANARY}"), "line 1"),
        ("toml", String::new(), "nothing to import"),
        ("json", "[]".to_owned(), "not an object"),
    ] {
        desk.feed(["import", "prod", "--format", format], text)
            .refused(1, words);
    }
    desk.feed(["import", "prod", "--format", "yaml"], "a: 1")
        .refused(2, "a file format is one of");
    desk.feed(["import", "prod"], [0xff, 0xfe])
        .refused(1, "not UTF-8");
    desk.run(["import", "prod", "-f", "nowhere"])
        .refused(1, "nowhere");
    assert_eq!(desk.json(["status"])["revision"], before);
}

#[test]
fn an_exported_file_is_private_and_new() {
    let desk = Desk::new();
    desk.put("prod", "a", CANARY);
    let wrote = desk.json(["export", "prod", "--to", "out.env"]);
    assert_eq!(
        (wrote["values"].as_u64(), wrote["revision"].as_u64()),
        (Some(1), Some(3))
    );
    let file = desk.file("out.env");
    assert_eq!(
        std::fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(std::fs::read_to_string(&file).unwrap(), format!("A={CANARY}\n"));
    desk.run(["export", "prod", "--to", "out.env"])
        .refused(1, "exists");
    std::os::unix::fs::symlink(&file, desk.file("link.env")).unwrap();
    desk.run(["export", "prod", "--to", "link.env"])
        .refused(1, "exists");
    desk.put("prod", "a", "2");
    desk.ok(["export", "prod", "--to", "out.env", "--yes"]);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "A=2\n");
    assert_eq!(
        std::fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
}

#[test]
fn an_export_that_fails_leaves_no_half_file() {
    let desk = Desk::new();
    desk.put("prod", "a", CANARY.repeat(40_000));
    desk.write("old.env", "old");
    // No file may grow over 200 KiB; the write fails then, instead of a signal.
    let limited = |arguments: &str| {
        let script = format!("trap '' XFSZ; ulimit -f 400; exec {BINARY} export prod {arguments}");
        Ran::of(desk.other("sh").args(["-c", &script]).output().unwrap())
    };
    limited("--format json --to out.env").refused(1, "out.env");
    limited("--format json --to old.env --yes").refused(1, "old.env");
    assert_eq!(std::fs::read_to_string(desk.file("old.env")).unwrap(), "old");
    let names = std::fs::read_dir(desk.path()).unwrap();
    let left: Vec<_> = names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains(".env") && name != "old.env")
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn an_export_removes_no_file_of_others() {
    let desk = Desk::new();
    desk.put("prod", "a", CANARY);
    let script =
        format!("echo $$; echo theirs > out.env.$$.new; exec {BINARY} export prod --to out.env --yes");
    let output = desk.other("sh").args(["-c", &script]).output().unwrap();
    let ran = Ran::of(output);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    let name = format!("out.env.{}.new", String::from_utf8(ran.stdout).unwrap().trim());
    assert!(ran.stderr.contains(&name), "{}", ran.stderr);
    assert_eq!(std::fs::read_to_string(desk.file(&name)).unwrap(), "theirs\n");
}

#[test]
fn a_document_is_exported_with_references_and_delivered_with_the_secrets() {
    let desk = Desk::new();
    desk.put("prod", "db/password", CANARY);
    let setting = "password={ secret = \"db/password\" }";
    desk.ok(["config", "set", "prod", "web/api", setting]);
    for format in ["dotenv", "toml", "json"] {
        let out = desk.ok(["export", "prod", "-p", "web", "--format", format]);
        assert!(out.contains("db/password") && !out.contains(CANARY), "{out}");
    }
    let delivered = format!("password = \"{CANARY}\"\n");
    desk.ok(["render", "prod", "-p", "web", "--to", "files"]);
    assert_eq!(
        std::fs::read_to_string(desk.file("files/api")).unwrap(),
        delivered
    );
    let said = desk.ok(["run", "prod", "-p", "web", "--", "sh", "-c", "printf %s \"$API\""]);
    assert_eq!(said, delivered);
}

#[test]
fn what_a_format_cannot_hold_is_refused() {
    let desk = Desk::new();
    desk.put("prod", "bin", [0xff, 0x00]);
    desk.run(["export", "prod"]).refused(1, "binary");
    desk.ok(["delete", "prod", "bin"]);
    desk.put("prod", "nul", [b'a', 0]);
    desk.run(["export", "prod"]).refused(1, "NUL");
    desk.ok(["delete", "prod", "nul"]);
    desk.put("prod", "a", "1");
    desk.put("prod", "a/b", "2");
    desk.run(["export", "prod", "--format", "json"])
        .refused(1, "both a value and a table");
    desk.put("prod", "a_b", "3");
    desk.run(["export", "prod"]).refused(1, "A_B");
}

#[test]
fn render_switches_a_directory_of_files() {
    let desk = Desk::new();
    desk.put("prod", "web/db/password", CANARY);
    desk.put("prod", "web/blob", [0, 255]);
    desk.put("prod", "other/x", "1");
    let rendered = desk.json(["render", "prod", "--prefix", "web", "--to", "files"]);
    assert_eq!(
        (rendered["files"].as_u64(), rendered["switched"].as_bool()),
        (Some(2), Some(true))
    );
    assert_eq!(
        std::fs::read(desk.file("files/db/password")).unwrap(),
        CANARY.as_bytes()
    );
    assert_eq!(std::fs::read(desk.file("files/blob")).unwrap(), [0, 255]);
    let mode = std::fs::metadata(desk.file("files/blob"))
        .unwrap()
        .permissions()
        .mode()
        & 0o777;
    assert_eq!(mode, 0o400);
    assert_eq!(
        desk.json(["render", "prod", "-p", "web", "--to", "files"])["switched"],
        false
    );
    desk.put("prod", "web/blob", "new");
    assert!(
        desk.ok(["render", "prod", "-p", "web", "--to", "files"])
            .contains("2 files of revision")
    );
    assert_eq!(std::fs::read(desk.file("files/blob")).unwrap(), b"new");
    std::os::unix::fs::symlink(desk.file("files"), desk.file("link")).unwrap();
    let ran = desk.run(["render", "prod", "--to", "link"]);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    let open = desk.file("open");
    std::fs::create_dir(&open).unwrap();
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o777)).unwrap();
    assert_eq!(desk.run(["render", "prod", "--to", "open"]).code, 3);
}
