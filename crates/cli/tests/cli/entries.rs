//! put, get, list, show, delete: values arrive byte for byte, or not at all.

use crate::desk::{CANARY, Desk, Ran};

#[test]
fn bytes_come_out_as_they_went_in() {
    let desk = Desk::new();
    let values: [&[u8]; 6] = [
        b"",
        b"x",
        b"with newline\n",
        b"\n",
        &[0, 159, 146, 150, 255],
        "é €".as_bytes(),
    ];
    for value in values {
        desk.put("prod", "a/b", value);
        let got = desk.run(["get", "prod", "a/b"]);
        assert_eq!((got.code, got.stdout.as_slice()), (0, value));
    }
    let file = desk.write("value.bin", [0, 1, 2, b'\n']);
    desk.ok(["put", "prod", "a/b", "--file", file.to_str().unwrap()]);
    assert_eq!(desk.run(["get", "prod", "a/b"]).stdout, [0, 1, 2, b'\n']);
    let got = desk.json(["get", "prod", "a/b"]);
    assert_eq!(got["value"], "\u{0}\u{1}\u{2}\n", "UTF-8, if not pretty");
    desk.put("prod", "a/b", [255, 254]);
    let got = desk.json(["get", "prod", "a/b"]);
    assert_eq!(
        (got["value_base64"].as_str(), got.get("value")),
        (Some("//4="), None)
    );
}

#[test]
fn the_longest_value_is_a_mebibyte() {
    let desk = Desk::new();
    let longest = vec![b'x'; 1 << 20];
    desk.put("prod", "long", &longest);
    assert_eq!(desk.run(["get", "prod", "long"]).stdout, longest);
    let mut longer = longest.clone();
    longer.push(b'y');
    desk.feed(["put", "prod", "long"], &longer)
        .refused(1, "longer than 1048576 bytes");
    let file = desk.write("longer", &longer);
    desk.run(["put", "prod", "long", "-f", file.to_str().unwrap()])
        .refused(1, "longer than 1048576 bytes");
    assert_eq!(desk.json(["show", "prod", "long"])["version"], 1);
}

#[test]
fn an_endless_stream_is_cut_off() {
    let desk = Desk::new();
    desk.run(["put", "prod", "long", "--file", "/dev/zero"])
        .refused(1, "longer than 1048576 bytes");
}

#[test]
fn a_value_on_the_command_line_is_taken_with_a_warning() {
    let desk = Desk::new();
    let ran = desk.run(["put", "prod", "a", "--value", CANARY]);
    assert!(
        ran.stderr.contains("warning:") && ran.stderr.contains("list"),
        "{}",
        ran.stderr
    );
    ran.ok();
    assert_eq!(desk.ok(["get", "prod", "a"]), CANARY);
    desk.run(["put", "prod", "a", "--value", "x", "--file", "y"])
        .refused(2, "cannot be used with");
}

#[test]
fn kind_and_format_stay_what_they_are() {
    let desk = Desk::new();
    let app = desk.write("app.toml", "limit = 10\n");
    desk.ok([
        "put",
        "prod",
        "web/app",
        "--kind",
        "config",
        "--file",
        app.to_str().unwrap(),
    ]);
    desk.put("prod", "web/app", "limit = 11\n");
    let shown = desk.json(["show", "prod", "web/app"]);
    assert_eq!(
        (shown["kind"].as_str(), shown["format"].as_str()),
        (Some("config"), Some("toml"))
    );
    assert_eq!(shown["version"], 2);
    desk.feed(["put", "prod", "web/app"], format!("limit = {CANARY}"))
        .refused(1, "");
    desk.feed(["put", "prod", "web/app", "--kind", "secret"], "x")
        .refused(1, "");
    desk.feed(["put", "prod", "web/ui", "--kind", "flag"], format!("{{{CANARY}"))
        .refused(1, "flag");
    let flag = r#"{"state":"ENABLED","variants":{"on":true,"off":false},"defaultVariant":"on"}"#;
    desk.feed(["put", "prod", "web/ui", "--kind", "flag"], flag).ok();
    assert_eq!(desk.ok(["get", "prod", "web/ui"]), flag);
    assert_eq!(
        desk.json(["show", "prod", "web/app"])["version"],
        2,
        "a refused put left something"
    );
}

#[test]
fn config_is_merged_with_its_parents() {
    let desk = Desk::new();
    desk.ok(["environment", "add", "staging", "--parent", "prod"]);
    desk.feed(
        ["put", "prod", "app", "--kind", "config", "--format", "json"],
        r#"{"a":1,"b":{"c":2}}"#,
    )
    .ok();
    // The kind and format of what is inherited are taken over.
    desk.put("staging", "app", r#"{"b":{"d":3}}"#);
    let got = desk.json(["get", "staging", "app"]);
    assert_eq!(got["layers"], serde_json::json!(["staging", "prod"]));
    let merged: serde_json::Value = serde_json::from_str(got["value"].as_str().unwrap()).unwrap();
    assert_eq!(merged, serde_json::json!({"a": 1, "b": {"c": 2, "d": 3}}));
    assert_eq!(
        desk.ok(["get", "staging", "app", "--version", "1"]),
        r#"{"b":{"d":3}}"#
    );
    desk.put("prod", "secret", "x");
    desk.run(["get", "staging", "secret"])
        .refused(1, "there is no entry");
}

#[test]
fn preconditions_hold() {
    let desk = Desk::new();
    desk.feed(["put", "prod", "a", "--create"], "1").ok();
    desk.feed(["put", "prod", "a", "--create"], "2")
        .refused(1, "at version 1, not as expected");
    desk.feed(["put", "prod", "a", "--expect-version", "2"], "2")
        .refused(1, "at version 1, not as expected");
    desk.feed(["put", "prod", "a", "--expect-version", "1"], "2").ok();
    assert_eq!(desk.ok(["get", "prod", "a"]), "2");
}

#[test]
fn the_same_value_again_is_no_commit() {
    let desk = Desk::new();
    desk.put("prod", "a", "1");
    let again = {
        let mut command = desk.command(["put", "prod", "a", "--json", "--value", "1"]);
        Ran::of(command.output().unwrap()).json()
    };
    assert_eq!(
        (again["committed"].as_bool(), again["revision"].as_u64()),
        (Some(false), Some(3))
    );
    assert!(
        desk.feed(["put", "prod", "a"], "1")
            .ok()
            .contains("nothing to change")
    );
}

#[test]
fn labels_are_set_and_taken_away() {
    let desk = Desk::new();
    desk.feed(["put", "prod", "a", "-l", "team=web", "-l", "owner=ann"], "1")
        .ok();
    desk.put("prod", "a", "2");
    assert_eq!(
        desk.json(["show", "prod", "a"])["labels"],
        serde_json::json!({"team": "web", "owner": "ann"})
    );
    desk.feed(["put", "prod", "a", "-l", "team=db", "-l", "owner="], "3")
        .ok();
    assert_eq!(
        desk.json(["show", "prod", "a"])["labels"],
        serde_json::json!({"team": "db"})
    );
    desk.feed(["put", "prod", "a", "-l", "team"], "4")
        .refused(2, "NAME=VALUE");
}

#[test]
fn a_plan_changes_nothing() {
    let desk = Desk::new();
    desk.put("prod", "a", "1");
    let before = desk.json(["status"])["revision"].clone();
    let plan = desk.feed(["put", "prod", "a", "--dry-run"], CANARY).ok();
    assert!(
        plan.contains("version 1 -> 2") && plan.contains("Nothing was changed"),
        "{plan}"
    );
    assert!(!plan.contains(CANARY));
    let plan = desk.json(["delete", "prod", "a", "-n"]);
    assert_eq!(plan["changes"][0]["action"], "deleted");
    assert_eq!(
        desk.json(["environment", "add", "dev", "-n"])["edits"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(desk.json(["status"])["revision"], before);
}

#[test]
fn list_describes_without_opening() {
    let desk = Desk::new();
    desk.ok(["environment", "add", "dev"]);
    desk.put("prod", "web/a", CANARY);
    desk.put("prod", "web2/a", CANARY);
    desk.put("dev", "web/b", CANARY);
    let paths = |arguments: &[&str]| -> Vec<String> {
        let list = desk.json(arguments);
        let entries = list["entries"].as_array().unwrap().iter();
        entries
            .map(|entry| {
                format!(
                    "{} {}",
                    entry["environment"].as_str().unwrap(),
                    entry["path"].as_str().unwrap()
                )
            })
            .collect()
    };
    assert_eq!(paths(&["list", "prod", "--prefix", "web"]), ["prod web/a"]);
    assert_eq!(paths(&["list"]), ["dev web/b", "prod web/a", "prod web2/a"]);
    assert_eq!(paths(&["list", "prod", "--kind", "flag"]), [""; 0]);
    let text = desk.ok(["list", "prod"]);
    assert!(
        text.starts_with("ENVIRONMENT  PATH") && !text.contains(CANARY) && !text.contains('\u{1b}'),
        "{text}"
    );
    desk.run(["list", "nope"]).refused(1, "there is no environment");
    assert!(!desk.ok(["show", "prod", "web/a"]).contains(CANARY));
}

#[test]
fn delete_takes_one_or_all_below() {
    let desk = Desk::new();
    for path in ["web/a", "web/b", "other"] {
        desk.put("prod", path, "1");
    }
    desk.run(["delete", "prod", "web"])
        .refused(1, "there is no entry");
    desk.ok(["delete", "prod", "web", "--recursive"]);
    assert_eq!(desk.json(["list"])["entries"].as_array().unwrap().len(), 1);
    desk.run(["delete", "prod", "web", "-r"])
        .refused(1, "no entry at or below");
    desk.run(["get", "prod", "web/a"]).refused(1, "there is no entry");
    assert_eq!(
        desk.ok(["get", "prod", "web/a", "--version", "1"]),
        "1",
        "the past is gone"
    );
}

#[test]
fn a_reader_that_leaves_early_is_no_failure() {
    let desk = Desk::new();
    desk.put("prod", "long", vec![b'x'; 1 << 20]);
    let script = format!("{} get prod long | head -c 1 >/dev/null", crate::desk::BINARY);
    let mut shell = desk.other("bash");
    let output = shell
        .args(["-c", &format!("set -o pipefail; {script}")])
        .output()
        .unwrap();
    let ran = Ran::of(output);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
}
