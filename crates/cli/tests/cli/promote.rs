//! promote: what one environment has itself goes to another one, redacted, in one commit, without
//! secrets that nobody named and without overwriting what the target changed.

use serde_json::{Value, json};

use crate::desk::{CANARY, Desk};
use crate::pty::Pty;

/// `staging` beside `prod`, with something of every kind.
fn desk() -> Desk {
    let desk = Desk::new();
    desk.ok(["environment", "add", "staging"]);
    config(
        &desk,
        "staging",
        "web",
        &format!("# sizes\na = '{CANARY}'\nb = 1\n"),
    );
    config(&desk, "staging", "web/cache", "ttl = 1\n");
    config(&desk, "staging", "other", "x = 1\n");
    let schema = r#"{"properties": {"b": {"type": "integer"}}}"#;
    desk.feed(["put", "staging", "schema/web", "--kind", "schema"], schema)
        .ok();
    let flag = r#"{"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "on"}"#;
    desk.feed(["put", "staging", "web/flag", "--kind", "flag"], flag)
        .ok();
    let policy = "permit (principal, action, resource);";
    desk.feed(["put", "staging", "policy/web", "--kind", "policy"], policy)
        .ok();
    desk.put("staging", "web/key", format!("{CANARY} of staging"));
    desk
}

fn config(desk: &Desk, environment: &str, path: &str, text: &str) {
    desk.feed(["config", "import", environment, path], text).ok();
}

fn revision(desk: &Desk) -> u64 {
    desk.json(["status"])["revision"].as_u64().unwrap()
}

fn paths(steps: &Value) -> Vec<&str> {
    let steps = steps.as_array().unwrap().iter();
    steps.map(|step| step["path"].as_str().unwrap()).collect()
}

#[test]
fn everything_but_secrets_goes_in_one_commit() {
    let desk = desk();
    config(&desk, "prod", "only/prod", "mine = 1\n");
    let before = revision(&desk);
    let plan = desk.ok(["promote", "staging", "prod", "--plan"]);
    assert!(plan.contains("+ prod web  (config) new"), "{plan}");
    assert!(!plan.contains(CANARY) && !plan.contains("web/key"), "{plan}");
    assert_eq!(revision(&desk), before);

    let done = desk.json(["promote", "staging", "prod", "-m", "release 7"]);
    let all = [
        "other",
        "policy/web",
        "schema/web",
        "web",
        "web/cache",
        "web/flag",
    ];
    assert_eq!(paths(&done["taken"]), all);
    assert_eq!((&done["committed"], &done["kept"]), (&json!(true), &json!([])));
    assert!(!done.to_string().contains(CANARY));
    assert_eq!(revision(&desk), before + 1);
    assert_eq!(
        desk.ok(["config", "get", "prod", "web"]),
        format!("# sizes\na = '{CANARY}'\nb = 1\n")
    );
    desk.run(["show", "prod", "web/key"])
        .refused(1, "there is no entry");
    desk.ok(["show", "prod", "only/prod"]);
    assert_eq!(desk.json(["show", "prod", "policy/web"])["compartment"], "common");
    assert_eq!(desk.json(["show", "prod", "web"])["compartment"], "prod");
    assert_eq!(
        desk.json(["show", "prod", "web"])["labels"]["promoted"],
        "staging@4"
    );
    let past = desk.json(["history", "-e", "prod", "--limit", "1"])["commits"][0].clone();
    assert_eq!(
        past["message"],
        format!("release 7 (promoted from staging at revision {before})")
    );

    let again = desk.ok(["promote", "staging", "prod"]);
    assert_eq!(again, "nothing to promote from staging to prod\n");
    let again = desk.json(["promote", "staging", "prod"]);
    assert_eq!(
        (&again["committed"], &again["taken"]),
        (&json!(false), &json!([]))
    );
    assert_eq!(revision(&desk), before + 1);
}

#[test]
fn only_what_was_asked_for_goes() {
    let desk = desk();
    let plan = |more: &[&str]| -> Value {
        let arguments = [&["promote", "staging", "prod", "--dry-run"], more].concat();
        desk.json(arguments)["taken"].clone()
    };
    assert_eq!(
        paths(&plan(&["--only", "web/**"])),
        ["web", "web/cache", "web/flag"]
    );
    assert_eq!(paths(&plan(&["--only", "web/*"])), ["web/cache", "web/flag"]);
    assert_eq!(
        paths(&plan(&["--only", "**/web"])),
        ["policy/web", "schema/web", "web"]
    );
    assert_eq!(
        paths(&plan(&["--only", "web", "--only", "other"])),
        ["other", "web"]
    );
    let key = ["--only", "web", "--with-secrets", "web/key"];
    assert_eq!(paths(&plan(&key)), ["web", "web/key"]);
    desk.run(["promote", "staging", "prod", "--only", "web/key"])
        .refused(1, "has nothing there that is promoted");
    desk.run(["promote", "staging", "prod", "--with-secrets", "web"])
        .refused(1, "there is no secret web in staging");
    desk.run(["promote", "staging", "prod", "--only", "we b"])
        .refused(2, "it has a space");
    desk.run(["promote", "staging", "staging"])
        .refused(2, "the same environment");
    desk.run(["promote", "staging", "nope"])
        .refused(1, "there is no environment");
    let done = desk.json([
        "promote",
        "staging",
        "prod",
        "--only",
        "web/key",
        "--with-secrets",
        "web/key",
    ]);
    assert_eq!(paths(&done["taken"]), ["web/key"]);
    assert_eq!(
        desk.ok(["get", "prod", "web/key"]),
        format!("{CANARY} of staging")
    );
}

#[test]
fn what_the_target_changed_since_is_named_and_stays() {
    let desk = desk();
    desk.ok(["promote", "staging", "prod"]);
    desk.ok(["config", "set", "prod", "web", "b=5", "own=1"]);
    desk.ok(["config", "set", "staging", "web", "b=2", "new=1"]);
    desk.ok(["config", "set", "staging", "web/cache", "ttl=2"]);
    let text = desk.ok(["promote", "staging", "prod", "--plan"]);
    for words in [
        "~ prod web/cache  (config) version 1 -> 2",
        "! prod web  (config) stays, changed in prod since staging@4 was promoted",
        "in prod:\n      ~ b\n      + own\n    in staging:\n      ~ b\n      + new\n",
    ] {
        assert!(text.contains(words), "{text}");
    }
    let done = desk.json(["promote", "staging", "prod"]);
    assert_eq!(paths(&done["taken"]), ["web/cache"]);
    assert_eq!(
        done["kept"],
        json!([{
            "path": "web", "kind": "config", "from": "staging@13",
            "keys": ["~ b", "- own", "+ new"],
            "own": {"since": "staging@4", "ours": ["~ b", "+ own"], "theirs": ["~ b", "+ new"]},
        }])
    );
    assert_eq!(desk.ok(["config", "get", "prod", "web", "b"]), "5\n");
    assert_eq!(desk.ok(["config", "get", "prod", "web/cache", "ttl"]), "2\n");
    let left = desk.ok(["promote", "staging", "prod"]);
    assert!(
        left.starts_with("nothing to promote") && left.contains("! prod web  "),
        "{left}"
    );

    desk.ok(["promote", "staging", "prod", "--overwrite"]);
    assert_eq!(desk.ok(["config", "get", "prod", "web", "b"]), "2\n");
    assert_eq!(
        desk.json(["show", "prod", "web"])["labels"]["promoted"],
        "staging@13"
    );
    // From here on it is as promoted, and follows again.
    desk.ok(["config", "set", "staging", "web", "b=3"]);
    assert_eq!(
        paths(&desk.json(["promote", "staging", "prod"])["taken"]),
        ["web"]
    );
}

#[test]
fn what_was_never_promoted_is_the_targets_own() {
    let desk = desk();
    config(&desk, "prod", "web", &format!("a = '{CANARY}0'\n"));
    desk.feed(
        [
            "put",
            "prod",
            "other",
            "--kind",
            "config",
            "--format",
            "toml",
            "--label",
            "tier=gold",
        ],
        "x = 0\n",
    )
    .ok();
    let done = desk.json(["promote", "staging", "prod", "--only", "web", "--only", "other"]);
    assert_eq!(
        (&done["committed"], paths(&done["kept"])),
        (&json!(false), vec!["other", "web"])
    );
    assert_eq!(done["kept"][1]["keys"], json!(["~ a", "+ b"]));
    let text = desk.ok(["promote", "staging", "prod", "--only", "web", "--plan"]);
    assert!(
        text.contains("prod's own and never promoted") && !text.contains(CANARY),
        "{text}"
    );
    desk.ok(["promote", "staging", "prod", "--only", "other", "--overwrite"]);
    // The labels by which policies decide stay the target's.
    assert_eq!(
        desk.json(["show", "prod", "other"])["labels"],
        json!({"tier": "gold", "promoted": "staging@6"})
    );
}

#[test]
fn a_promotion_is_held_to_schemas_and_kinds() {
    let desk = desk();
    let schema = r#"{"properties": {"b": {"type": "string"}}}"#;
    desk.feed(["put", "prod", "schema/web", "--kind", "schema"], schema)
        .ok();
    let before = revision(&desk);
    desk.run(["promote", "staging", "prod"])
        .refused(1, "`b` must be a text");
    assert_eq!(revision(&desk), before);
    desk.put("prod", "other", CANARY);
    desk.run(["promote", "staging", "prod", "--only", "other", "--overwrite"])
        .refused(1, "other is a config in staging and a secret in prod");
}

#[test]
fn a_label_leads_to_no_secret() {
    let desk = desk();
    desk.ok(["environment", "add", "dev"]);
    desk.put("dev", "web", format!("{CANARY} = 1"));
    config(&desk, "prod", "web", "a = 1\n");
    desk.feed(["put", "prod", "web", "--label", "promoted=dev@99"], "a = 2\n")
        .ok();
    let told = desk.ok(["promote", "staging", "prod", "--only", "web"]);
    assert!(told.contains("dev@99") && !told.contains(CANARY), "{told}");
}

#[test]
fn layers_are_not_copied_onto_what_they_stand_on() {
    let desk = Desk::new();
    desk.ok(["environment", "add", "staging", "--parent", "prod"]);
    config(&desk, "prod", "web", "a = 1\nb = 2\n");
    config(&desk, "staging", "web", "b = 3\n");
    for (from, to) in [("staging", "prod"), ("prod", "staging")] {
        desk.run(["promote", from, to])
            .refused(1, "staging inherits from prod");
    }
}

#[test]
fn at_a_terminal_the_plan_is_asked_about_and_holds_for_what_was_seen() {
    let desk = desk();
    let mut pty = Pty::start(&desk, "promote staging prod --only other");
    pty.expect("+ prod other  (config) new, version 1");
    pty.answer("Commit this? [y/N]", "");
    assert_eq!(pty.end().0, 1);
    desk.run(["show", "prod", "other"])
        .refused(1, "there is no entry");
    let mut pty = Pty::start(&desk, "promote staging prod --only other");
    pty.expect("Commit this? [y/N]");
    config(&desk, "prod", "other", "x = 'mine'\n");
    pty.answer("Commit this? [y/N]", "y");
    let (code, screen) = pty.end();
    assert_ne!(code, 0, "{screen}");
    assert_eq!(desk.ok(["config", "get", "prod", "other", "x"]), "mine\n");
}

#[test]
fn what_was_rolled_back_or_came_from_elsewhere_follows_on() {
    let desk = desk();
    desk.ok(["promote", "staging", "prod", "--only", "other"]);
    let then = revision(&desk).to_string();
    desk.ok(["config", "set", "prod", "other", "x=9"]);
    desk.ok(["rollback", "prod", "other", "--to", &then]);
    // The third environment has its own history: what prod has is as staging gave it.
    desk.ok(["environment", "add", "dev"]);
    config(&desk, "dev", "other", "x = 4\n");
    let done = desk.json(["promote", "dev", "prod"]);
    assert_eq!(
        (paths(&done["taken"]), &done["kept"]),
        (vec!["other"], &json!([]))
    );
    let origin = desk.json(["show", "prod", "other"])["labels"]["promoted"].clone();
    assert!(origin.as_str().unwrap().starts_with("dev@"), "{origin}");
    // A chain: the label of dev is not carried on.
    desk.ok(["environment", "add", "live"]);
    desk.ok(["promote", "prod", "live", "--only", "other"]);
    let origin = desk.json(["show", "live", "other"])["labels"]["promoted"].clone();
    assert!(origin.as_str().unwrap().starts_with("prod@"), "{origin}");
}

#[test]
fn only_admins_promote_policies() {
    let desk = desk();
    let dan = desk.member("dan", "writer", &["staging", "prod"]);
    let run = |arguments: &[&str]| {
        let mut command = desk.command(arguments);
        crate::desk::Ran::of(command.env("STRONGROOM_IDENTITY", &dan).output().unwrap())
    };
    run(&["promote", "staging", "prod"]).refused(3, "may not");
    run(&["promote", "staging", "prod", "--only", "web/**"]).ok();
    desk.run(["show", "prod", "policy/web"])
        .refused(1, "there is no entry");
}

#[test]
fn what_lies_apart_stays_apart_and_no_plan_goes_along() {
    let desk = desk();
    desk.ok(["compartment", "add", "few"]);
    let key = [
        "put",
        "staging",
        "few/key",
        "--compartment",
        "few",
        "--label",
        "rotation=plan",
    ];
    desk.feed(key, CANARY).ok();
    let promote = [
        "promote",
        "staging",
        "prod",
        "--only",
        "few/key",
        "--with-secrets",
        "few/key",
    ];
    let plan = desk.ok([&promote[..], &["--plan"]].concat());
    assert!(plan.contains("few/key lies in compartment few"), "{plan}");
    assert!(plan.contains("without the label rotation"), "{plan}");
    assert_eq!(desk.json(promote)["taken"][0]["compartment"], "few");
    let shown = desk.json(["show", "prod", "few/key"]);
    assert_eq!(shown["compartment"], "few");
    assert!(shown["labels"].get("rotation").is_none(), "{shown}");
}
