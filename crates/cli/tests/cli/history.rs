//! history, diff, rollback: the past is there, redacted, and can be gone back to.

use crate::desk::{CANARY, Desk};

/// Revisions 3 to 6: a secret twice, a config document twice.
fn desk() -> Desk {
    let desk = Desk::new();
    desk.feed(["put", "prod", "web/a", "-m", "first"], format!("{CANARY}1"))
        .ok();
    desk.feed(["put", "prod", "web/a", "-m", "second"], format!("{CANARY}22"))
        .ok();
    let app = format!("a = 1\n[b]\nc = '{CANARY}'\n");
    desk.feed(
        ["put", "prod", "web/app", "--kind", "config", "--format", "toml"],
        app,
    )
    .ok();
    desk.put("prod", "web/app", format!("[b]\nc = '{CANARY}x'\nd = 1\n"));
    desk
}

#[test]
fn history_tells_who_changed_what_and_why() {
    let desk = desk();
    let commits = desk.json(["history", "prod", "web/a"])["commits"].clone();
    let told: Vec<_> = commits
        .as_array()
        .unwrap()
        .iter()
        .map(|past| {
            (
                past["revision"].as_u64(),
                past["author"].as_str(),
                past["message"].as_str(),
                past["changes"][0]["action"].as_str(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (Some(4), Some("alice"), Some("second"), Some("updated")),
            (Some(3), Some("alice"), Some("first"), Some("created")),
        ]
    );
    assert!(commits[0]["at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(desk.json(["history"])["commits"].as_array().unwrap().len(), 6);
    assert_eq!(
        desk.json(["history", "--limit", "2"])["commits"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    desk.run(["history", "prod", "no"])
        .refused(1, "there is no entry");
    desk.run(["history", "nope", "a"])
        .refused(1, "there is no environment");
}

#[test]
fn a_message_cannot_steer_the_terminal() {
    let desk = Desk::new();
    desk.feed(["put", "prod", "a", "-m", "x\u{1b}[31mred\nline"], "1")
        .ok();
    let text = desk.ok(["history", "prod", "a"]);
    assert!(text.contains("x?[31mred?line"), "{text:?}");
}

#[test]
fn diff_tells_what_was_deleted_and_put_again() {
    let desk = Desk::new();
    desk.put("prod", "a", format!("{CANARY}-old"));
    desk.put("prod", "still", CANARY);
    desk.ok(["delete", "prod", "a"]);
    desk.put("prod", "a", format!("{CANARY}-newer"));
    assert_eq!(
        desk.ok(["diff", "4"]),
        "~ prod a  (secret) version 1 -> 1, 17 -> 19 bytes\n"
    );
    let entries = desk.json(["diff", "4"])["entries"].clone();
    assert_eq!(entries.as_array().unwrap().len(), 1);
    assert_eq!(entries[0]["same_value"], false);
}

#[test]
fn diff_names_what_changed_and_never_a_value() {
    let desk = desk();
    let text = desk.ok(["diff", "4"]);
    assert!(
        text.contains("+ prod web/app") && !text.contains("web/a "),
        "{text}"
    );
    let text = desk.ok(["diff", "3", "4"]);
    assert!(
        text.contains("~ prod web/a  (secret) version 1 -> 2, 14 -> 15 bytes"),
        "{text}"
    );
    let text = desk.ok(["diff", "5", "6"]);
    for line in ["- a", "~ b.c", "+ b.d"] {
        assert!(text.contains(line), "{text}");
    }
    let all = desk.ok(["diff", "1"]) + &desk.json(["diff", "5", "6"]).to_string();
    assert!(!all.contains(CANARY), "{all}");
    let entries = desk.json(["diff", "1", "6", "--prefix", "web/app", "-e", "prod"])["entries"].clone();
    assert_eq!(entries.as_array().unwrap().len(), 1);
    assert_eq!(
        (&entries[0]["action"], &entries[0]["after"]["version"]),
        (&"created".into(), &2.into())
    );
    desk.ok(["delete", "prod", "web/a"]);
    assert!(desk.ok(["diff", "6"]).contains("- prod web/a"));
    assert_eq!(desk.ok(["diff", "7"]), "no difference\n");
    desk.run(["diff", "1", "99"])
        .refused(1, "there is no revision 99: the store is at revision 7");
    desk.run(["diff", "0"]).refused(1, "there is no revision 0");
    desk.run(["diff", "1", "-e", "nope"])
        .refused(1, "there is no environment");
}

#[test]
fn diff_of_environments_names_what_each_has_itself() {
    let desk = Desk::new();
    desk.ok(["environment", "add", "base"]);
    desk.ok(["environment", "add", "staging", "--parent", "base"]);
    desk.feed(["config", "import", "base", "inherited"], "a = 1\n")
        .ok();
    for (environment, text) in [
        ("staging", format!("a = 1\nb = '{CANARY}1'\nold = 1\n")),
        ("prod", format!("a = 1\nb = '{CANARY}2'\nnew = 1\n")),
    ] {
        desk.feed(["config", "import", environment, "web"], text).ok();
        desk.feed(["config", "import", environment, "same"], "x = 1\n")
            .ok();
    }
    desk.put("staging", "both/equal", CANARY);
    desk.put("prod", "both/equal", CANARY);
    desk.put("staging", "both/other", CANARY);
    desk.put("prod", "both/other", format!("{CANARY} and longer"));
    desk.put("staging", "only/staging", CANARY);
    desk.put("prod", "only/prod", CANARY);
    desk.put("staging", "kinds", CANARY);
    desk.feed(["config", "import", "prod", "kinds"], "a = 1\n").ok();
    let told = desk.ok(["diff", "staging", "prod"]);
    assert_eq!(
        told,
        "~ kinds  (secret, and a config)\n+ only/prod  (secret)\n- only/staging  (secret)\n~ web  (config)\n    \
         ~ b\n    - old\n    + new\n"
    );
    let json = desk.json(["diff", "staging", "prod", "--prefix", "web"]);
    assert_eq!(
        json["entries"],
        serde_json::json!([{"path": "web", "from": "config", "to": "config", "keys": ["~ b", "- old", "+ new"]}])
    );
    assert!(
        !desk
            .json(["diff", "staging", "prod"])
            .to_string()
            .contains(CANARY)
    );
    assert_eq!(desk.ok(["diff", "prod", "prod"]), "no difference\n");
    for mixed in [
        &["diff", "prod"][..],
        &["diff", "3", "prod"],
        &["diff", "prod", "3"],
    ] {
        desk.run(mixed).refused(2, "two revisions or two environments");
    }
    desk.run(["diff", "prod", "nope"])
        .refused(1, "there is no environment");
}

#[test]
fn rollback_is_a_new_commit_of_one_entry_or_all() {
    let desk = desk();
    desk.ok(["rollback", "prod", "web/a", "--to", "3"]);
    assert_eq!(desk.ok(["get", "prod", "web/a"]), format!("{CANARY}1"));
    assert_eq!(desk.json(["show", "prod", "web/a"])["version"], 3);
    assert_eq!(
        desk.json(["history", "--limit", "1"])["commits"][0]["message"],
        "rollback to revision 3"
    );
    desk.ok(["delete", "prod", "web/app"]);
    desk.ok(["rollback", "--all", "--to", "6", "-m", "all back"]);
    assert_eq!(desk.ok(["get", "prod", "web/a"]), format!("{CANARY}22"));
    assert_eq!(desk.json(["show", "prod", "web/app"])["format"], "toml");
    desk.ok(["rollback", "--all", "--to", "2"]);
    assert_eq!(desk.json(["list"])["entries"], serde_json::json!([]));
    // The past stays readable after all of this.
    assert_eq!(
        desk.ok(["get", "prod", "web/a", "--at", "4"]),
        format!("{CANARY}22")
    );
    desk.run(["rollback", "prod", "web/a", "--to", "99"])
        .refused(1, "there is no revision 99");
    desk.run(["rollback", "--to", "3"])
        .refused(2, "one entry, ENV PATH, a part");
    desk.run(["rollback", "prod", "web/a", "--all", "--to", "3"])
        .refused(2, "one entry, ENV PATH, a part");
    desk.run(["rollback", "prod", "never/was", "--to", "3"])
        .refused(1, "there is no entry");
}

#[test]
fn one_version_or_one_revision_is_read_back() {
    let desk = desk();
    assert_eq!(
        desk.ok(["get", "prod", "web/a", "--version", "1"]),
        format!("{CANARY}1")
    );
    let past = desk.json(["get", "prod", "web/a", "--version", "1"]);
    assert_eq!(
        (past["version"].as_u64(), past["revision"].as_u64()),
        (Some(1), Some(3))
    );
    assert_eq!(
        desk.ok(["get", "prod", "web/a", "--at", "3"]),
        format!("{CANARY}1")
    );
    desk.run(["get", "prod", "web/a", "--version", "9"])
        .refused(1, "there is no version 9");
    desk.run(["get", "prod", "web/a", "--at", "2"])
        .refused(1, "there is no entry");
    desk.run(["get", "prod", "web/a", "--at", "99"])
        .refused(1, "there is no revision 99");
    desk.run(["get", "prod", "web/a", "--at", "3", "--version", "1"])
        .refused(2, "cannot be used with");
}

#[test]
fn rollback_of_a_part_leaves_the_rest() {
    let desk = Desk::new();
    desk.ok(["environment", "add", "dev"]);
    for (environment, path) in [
        ("prod", "web"),
        ("prod", "web/a"),
        ("prod", "webs"),
        ("dev", "web/a"),
    ] {
        desk.put(environment, path, "old");
    }
    let then = desk.json(["status"])["revision"].to_string();
    for (environment, path) in [
        ("prod", "web"),
        ("prod", "web/a"),
        ("prod", "webs"),
        ("dev", "web/a"),
    ] {
        desk.put(environment, path, "new");
    }
    desk.put("prod", "web/late", "new");
    let before = desk.json(["status"])["revision"].as_u64().unwrap();
    desk.ok([
        "rollback",
        "-e",
        "prod",
        "--prefix",
        "web",
        "--to",
        &then,
        "--with-secrets",
    ]);
    assert_eq!(desk.json(["status"])["revision"], before + 1, "one commit");
    for (environment, path, value) in [
        ("prod", "web", "old"),
        ("prod", "web/a", "old"),
        ("prod", "webs", "new"),
        ("dev", "web/a", "new"),
    ] {
        assert_eq!(desk.ok(["get", environment, path]), value, "{environment} {path}");
    }
    desk.run(["get", "prod", "web/late"])
        .refused(1, "there is no entry");
    desk.ok([
        "rollback",
        "--environment",
        "prod",
        "--to",
        &then,
        "--with-secrets",
    ]);
    assert_eq!(desk.ok(["get", "prod", "webs"]), "old");
    assert_eq!(desk.ok(["get", "dev", "web/a"]), "new");
    let again = desk.ok([
        "rollback",
        "--environment",
        "prod",
        "--to",
        &then,
        "--with-secrets",
    ]);
    assert!(again.contains("nothing to change"), "{again}");
    desk.run(["rollback", "-e", "prod", "-p", "no", "--to", &then])
        .refused(1, "nothing of that is there");
    desk.run(["rollback", "-e", "nope", "--to", &then])
        .refused(1, "there is no environment");
    desk.run(["rollback", "-p", "web", "--to", &then])
        .refused(2, "no environment is named");
    desk.run(["rollback", "prod", "web", "-p", "web", "--to", &then])
        .refused(2, "one entry, ENV PATH, a part");
    desk.run(["rollback", "--all", "-e", "prod", "--to", &then])
        .refused(2, "one entry, ENV PATH, a part");
}

#[test]
fn rollback_of_a_part_leaves_secrets_and_policies_unless_asked() {
    let desk = Desk::new();
    let put = |path: &str, kind: &str, value: &str| {
        desk.feed(["put", "prod", path, "--kind", kind], value).ok();
    };
    let all = |principal: &str| format!("permit ({principal}, action, resource);");
    put("web", "config", "a = 1");
    put("web/key", "secret", &format!("{CANARY} retired"));
    put("policy/web", "policy", &all("principal"));
    put("policy/gone", "policy", &all("principal"));
    let then = desk.json(["status"])["revision"].to_string();
    put("web", "config", "a = 2");
    put("web/key", "secret", &format!("{CANARY} rotated"));
    put("web/new", "secret", CANARY);
    desk.ok(["delete", "prod", "policy/gone"]);
    let back = |more: &[&str]| -> Vec<String> {
        let arguments = [&["rollback", "-e", "prod", "--to", &then], more].concat();
        arguments.into_iter().map(str::to_owned).collect()
    };

    let plan = desk.ok(back(&["--plan"]));
    assert!(plan.contains("~ prod web  (config)"), "{plan}");
    for said in [
        "! prod web/key  (secret) stays as it is; --with-secrets",
        "! prod web/new  (secret) stays as it is; --with-secrets",
        "! prod policy/gone  (policy) stays as it is; --with-policies",
    ] {
        assert!(plan.contains(said), "{plan}");
    }
    assert!(!plan.contains("policy/web"), "it is as it was: {plan}");
    let planned = desk.json(back(&["--plan"]));
    let left = planned["left_out"].as_array().unwrap().iter();
    let left: Vec<_> = left.map(|entry| entry["path"].as_str().unwrap()).collect();
    assert_eq!(left, ["policy/gone", "web/key", "web/new"]);

    let done = desk.json(back(&[]));
    assert_eq!(done["left_out"], planned["left_out"]);
    assert_eq!(desk.ok(["get", "prod", "web"]), "a = 1");
    assert_eq!(desk.ok(["get", "prod", "web/key"]), format!("{CANARY} rotated"));
    desk.ok(["show", "prod", "web/new"]);
    desk.run(["show", "prod", "policy/gone"])
        .refused(1, "there is no entry");
    desk.ok(back(&["--with-policies"]));
    desk.ok(["show", "prod", "policy/gone"]);
    assert_eq!(desk.ok(["get", "prod", "web/key"]), format!("{CANARY} rotated"));
    desk.ok(back(&["--with-secrets", "--with-policies"]));
    assert_eq!(desk.ok(["get", "prod", "web/key"]), format!("{CANARY} retired"));
    desk.run(["rollback", "--all", "--to", &then, "--with-secrets"])
        .refused(2, "are for a part");
}

#[test]
fn a_rollback_of_a_part_is_held_to_schemas() {
    let desk = Desk::new();
    desk.feed(["config", "import", "prod", "web"], "size = 'many'\n")
        .ok();
    let then = desk.json(["status"])["revision"].to_string();
    desk.ok(["config", "set", "prod", "web", "size=1"]);
    let schema = r#"{"properties": {"size": {"type": "integer"}}}"#;
    desk.feed(["put", "prod", "schema/web", "--kind", "schema"], schema)
        .ok();
    desk.run(["rollback", "-e", "prod", "-p", "web", "--to", &then])
        .refused(1, "`size` must be a whole number");
    // With the schema, which was not there then, it goes back whole.
    desk.ok(["rollback", "-e", "prod", "--to", &then]);
    assert_eq!(desk.ok(["config", "get", "prod", "web", "size"]), "many\n");
    desk.run(["show", "prod", "schema/web"])
        .refused(1, "there is no entry");
}

#[test]
fn history_of_a_part_has_that_alone() {
    let desk = Desk::new();
    desk.ok(["environment", "add", "dev"]);
    desk.put("prod", "web/a", "1");
    desk.put("dev", "web/a", "1");
    desk.put("prod", "webs", "1");
    desk.write("both.json", r#"{"web": {"a": "2"}, "other": "2"}"#);
    desk.ok(["import", "prod", "--file", "both.json"]);
    desk.ok(["delete", "prod", "web/a"]);
    let told = |arguments: &[&str]| -> Vec<String> {
        let commits = desk.json(arguments.iter().copied())["commits"].clone();
        let line = |past: &serde_json::Value| {
            let changes = past["changes"].as_array().unwrap().iter();
            let names = changes
                .map(|change| format!("{} {}", change["environment"], change["path"]).replace('"', ""));
            format!("{}: {}", past["revision"], names.collect::<Vec<_>>().join(", "))
        };
        commits.as_array().unwrap().iter().map(line).collect()
    };
    assert_eq!(
        told(&["history", "-e", "prod", "-p", "web"]),
        ["8: prod web/a", "7: prod web/a", "4: prod web/a"]
    );
    assert_eq!(told(&["history", "-e", "dev"]), ["5: dev web/a"]);
    assert_eq!(
        told(&["history", "--prefix", "web", "--limit", "2"]),
        ["8: prod web/a", "7: prod web/a"]
    );
    assert!(told(&["history", "-e", "prod", "-p", "no"]).is_empty());
    desk.run(["history", "-e", "nope"])
        .refused(1, "there is no environment");
    desk.run(["history", "prod", "web/a", "-e", "prod"])
        .refused(2, "either one entry");
}
