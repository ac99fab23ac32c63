//! `flag`: files in and out, evaluating with and without the way through the rule, the split, the kill switch,
//! rollouts, and what is told of flags.

use serde_json::{Value, json};

use crate::desk::Desk;

fn file() -> Value {
    json!({
        "flags": {
            "new-checkout": {
                "state": "ENABLED",
                "variants": {"on": true, "off": false},
                "defaultVariant": "off",
                "targeting": {"if": [{"$ref": "is_ada"}, "on"]},
                "metadata": {"owner": "web"}
            },
            "size": {"state": "ENABLED", "variants": {"small": 10.0, "big": 20}, "defaultVariant": "small"}
        },
        "$evaluators": {"is_ada": {"==": [{"var": "name"}, "ada"]}},
        "metadata": {"flagSetId": "shop", "bucketing": "v2"}
    })
}

/// A desk whose `prod` has the flags of the file.
fn desk() -> Desk {
    let desk = Desk::new();
    let path = desk.write("flags.json", file().to_string());
    desk.ok(["flag", "import", "prod", path.to_str().unwrap()]);
    desk
}

#[test]
fn a_file_goes_in_and_comes_out_as_it_was() {
    let desk = desk();
    let out = desk.ok(["flag", "export", "prod"]);
    let out: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(out, file());
    assert!(out.to_string().contains("10.0"), "literals stay");
    let path = desk.file("flags.json");
    desk.ok([
        "flag",
        "import",
        "prod",
        path.to_str().unwrap(),
        "--prefix",
        "web",
    ]);
    let below = desk.ok(["flag", "export", "prod", "--prefix", "web"]);
    assert_eq!(serde_json::from_str::<Value>(&below).unwrap(), file());
    let alone = ["flag", "export", "prod", "--prefix", "web/size"];
    desk.run(alone).refused(1, "no flags below web/size");
    let flag = file()["flags"]["size"].to_string();
    desk.feed(["put", "prod", "web", "--kind", "flag"], flag).ok();
    let below = desk.ok(["flag", "export", "prod", "--prefix", "web"]);
    assert_eq!(
        serde_json::from_str::<Value>(&below).unwrap(),
        file(),
        "what lies at the prefix has no key"
    );
    desk.run(["flag", "export", "prod"]).refused(1, "several sets");
}

#[test]
fn a_bad_file_is_refused_with_flag_and_place() {
    let desk = Desk::new();
    let mut bad = file();
    bad["flags"]["new-checkout"]["targeting"] = json!({"if": [{"nope": 1}, "on"]});
    let path = desk.write("bad.json", bad.to_string());
    let said = desk
        .run(["flag", "import", "prod", path.to_str().unwrap()])
        .refused(1, "new-checkout");
    assert!(said.contains("/targeting/if/0"), "{said}");
    let twice = desk.write("twice.json", r#"{"flags":{"a":{},"a":{}}}"#);
    desk.run(["flag", "import", "prod", twice.to_str().unwrap()])
        .refused(1, "second time");
}

#[test]
fn a_flag_is_evaluated_and_explained() {
    let desk = desk();
    let ada = desk.write("ada.json", r#"{"name":"ada"}"#);
    let ada = ada.to_str().unwrap();
    let found = desk.json([
        "flag",
        "eval",
        "prod",
        "new-checkout",
        "--context",
        ada,
        "--explain",
    ]);
    assert_eq!((&found["value"], &found["variant"]), (&json!(true), &json!("on")));
    assert_eq!(found["reason"], "TARGETING_MATCH");
    assert_eq!(
        found["metadata"],
        json!({"flagSetId": "shop", "bucketing": "v2", "owner": "web"})
    );
    assert_eq!(found["explain"][1]["position"], "/targeting/if/0/$ref");
    let text = desk.ok(["flag", "eval", "prod", "size"]);
    assert!(
        text.contains("10.0") && text.contains("variant small, STATIC"),
        "{text}"
    );
    let explained = desk
        .feed(
            ["flag", "eval", "prod", "new-checkout", "-c", "-", "--explain"],
            "{}",
        )
        .ok();
    assert!(explained.contains("/targeting/if = null"), "{explained}");
    let large = json!({"name": "a".repeat(2 << 20)}).to_string();
    desk.feed(["flag", "eval", "prod", "size", "-c", "-"], &large)
        .refused(1, "1 MiB");
    desk.run(["flag", "eval", "prod", "gone"])
        .refused(1, "there is no entry \"gone\"");
    desk.run(["flag", "eval", "prod", "new-checkout", "-c", "flags"])
        .refused(1, "No such file");
}

#[test]
fn the_way_to_an_error_is_told() {
    let desk = desk();
    let flag =
        json!({"state": "ENABLED", "variants": {"a": 1}, "targeting": {"if": [{"var": "x"}, "gone", "a"]}});
    desk.feed(["put", "prod", "odd", "--kind", "flag"], flag.to_string())
        .ok();
    let eval = ["flag", "eval", "prod", "odd", "-c", "-"];
    let short = desk.feed(eval, r#"{"x":1}"#);
    assert!(short.code == 1 && short.stdout.is_empty(), "{}", short.stderr);
    let ran = desk.feed(eval.iter().chain(&["--explain"]), r#"{"x":1}"#);
    assert!(ran.code == 1 && ran.stderr.contains("GENERAL"), "{}", ran.stderr);
    let stdout = String::from_utf8(ran.stdout).unwrap();
    assert!(stdout.contains(r#"/targeting/if = "gone""#), "{stdout}");
    let ran = desk.feed(eval.iter().chain(&["--explain", "--json"]), r#"{"x":1}"#);
    assert_eq!(ran.code, 1);
    let json: Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(
        (&json["code"], &json["explain"][0]["result"]),
        (&json!("GENERAL"), &json!("gone"))
    );
}

#[test]
fn off_and_on_again() {
    let desk = desk();
    let plan = desk.ok(["flag", "off", "prod", "new-checkout", "--dry-run"]);
    assert!(plan.contains("new-checkout  (flag) version 1 -> 2"), "{plan}");
    desk.ok(["flag", "off", "prod", "new-checkout", "-m", "orders fail"]);
    let off = desk.json(["flag", "eval", "prod", "new-checkout"]);
    assert_eq!(
        (&off["value"], &off["reason"]),
        (&Value::Null, &json!("DISABLED"))
    );
    desk.ok(["flag", "on", "prod", "new-checkout"]);
    let on = desk.json(["flag", "eval", "prod", "new-checkout"]);
    assert_eq!((&on["value"], &on["reason"]), (&json!(false), &json!("DEFAULT")));
    // What is inherited is switched for the child alone.
    desk.ok(["environment", "add", "eu", "--parent", "prod"]);
    desk.ok(["flag", "off", "eu", "new-checkout"]);
    assert_eq!(
        desk.json(["flag", "eval", "eu", "new-checkout"])["reason"],
        "DISABLED"
    );
    assert_eq!(
        desk.json(["flag", "eval", "prod", "new-checkout"])["reason"],
        "DEFAULT"
    );
}

#[test]
fn a_rollout_goes_on_by_itself() {
    let desk = desk();
    desk.run(["flag", "rollout", "prod", "new-checkout", "5%"])
        .refused(1, "--replace");
    let past = ["--at", "2020-01-01T00:00:00Z", "--every", "1d", "--replace"];
    desk.ok(["flag", "rollout", "prod", "new-checkout", "0.5%", "25%", "100%"]
        .iter()
        .chain(&past));
    let split = desk.json(["flag", "simulate", "prod", "new-checkout", "--users", "500"]);
    assert_eq!(split["variants"], json!({"on": 500}));
    assert_eq!(
        desk.json(["flag", "stale", "prod"])["stale"][0]["reason"],
        "rolled out"
    );
    desk.ok([
        "flag",
        "rollout",
        "prod",
        "new-checkout",
        "25%",
        "100%",
        "--every",
        "30d",
    ]);
    let split = desk.json(["flag", "simulate", "prod", "new-checkout", "--users", "4000"]);
    let on = split["variants"]["on"].as_u64().unwrap();
    assert!((800..1200).contains(&on), "{on}");
    let bars = desk.ok(["flag", "simulate", "prod", "new-checkout", "--users", "4000"]);
    assert!(
        bars.contains("###") && bars.contains(&format!("%  {on}")),
        "{bars}"
    );
    let exported: Value = serde_json::from_str(&desk.ok(["flag", "export", "prod"])).unwrap();
    let rule = exported["flags"]["new-checkout"]["targeting"].to_string();
    assert!(
        rule.contains("$flagd.timestamp") && rule.contains("fractional"),
        "{rule}"
    );
    desk.ok(["flag", "rollout", "prod", "size", "0%"]);
    desk.ok(["flag", "rollout", "prod", "size", "5%"]);
    for bad in [
        ["25", "1h"],
        ["101%", "1h"],
        ["1%", "1y"],
        ["1%", "0s"],
        ["0.0001%", "1h"],
    ] {
        let ran = desk.run([
            "flag",
            "rollout",
            "prod",
            "new-checkout",
            bad[0],
            "--every",
            bad[1],
        ]);
        assert_eq!(ran.code, 2, "{bad:?}");
    }
}

#[test]
fn odd_and_stale_flags_are_told() {
    let desk = desk();
    let nothing = desk.ok(["flag", "lint", "prod"]);
    assert!(nothing.contains("2 flags, nothing odd"), "{nothing}");
    let split = json!({
        "state": "ENABLED", "variants": {"a": 1, "b": 2},
        "targeting": {"if": [true, {"fractional": [["a", 1], ["b", 1]]}, "b"]},
        "metadata": {"owner": "web", "expires": "2020-01-31"},
    });
    desk.feed(["put", "prod", "split", "--kind", "flag"], split.to_string())
        .ok();
    let lint = desk.json(["flag", "lint", "prod", "split"]);
    let kinds: Vec<_> = lint["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|each| each["kind"].clone())
        .collect();
    assert_eq!(kinds, ["constant", "unreachable", "bucketing"]);
    let text = desk.ok(["flag", "lint", "prod"]);
    assert!(text.contains("of 1000 sample users another variant"), "{text}");
    let stale = desk.json(["flag", "stale", "prod"]);
    assert_eq!(
        stale["stale"],
        json!([{"key": "split", "reason": "expired", "days": 0, "owner": "web"}])
    );
    for day in [json!("2099-13-01"), json!("soon"), json!(2099)] {
        let mut never = split.clone();
        never["metadata"] = json!({"expires": day});
        desk.feed(["put", "prod", "split", "--kind", "flag"], never.to_string())
            .ok();
        let stale = desk.json(["flag", "stale", "prod"]);
        assert_eq!(stale["stale"][0]["reason"], "its `expires` is no day", "{day}");
    }
    let all = desk.json(["flag", "stale", "prod", "--days", "0"]);
    assert_eq!(
        all["stale"][0],
        json!({"key": "size", "reason": "the same for everybody", "days": 0, "owner": null})
    );
}
