//! `put --pending`, `get --label`, `label`: what is delivered, what is not yet, what is not any more.

use crate::desk::Desk;

fn get(desk: &Desk, label: &str) -> Option<String> {
    let ran = desk.run(["get", "prod", "web/password", "--label", label]);
    (ran.code == 0).then(|| String::from_utf8(ran.stdout).unwrap())
}

fn labels(desk: &Desk) -> [Option<String>; 3] {
    ["current", "pending", "previous"].map(|label| get(desk, label))
}

fn some(value: &str) -> Option<String> {
    Some(value.to_owned())
}

#[test]
fn a_pending_version_is_delivered_by_hand() {
    let desk = Desk::new();
    desk.put("prod", "web/password", "one");
    desk.feed(["put", "prod", "web/password", "--pending"], "two")
        .ok();
    assert_eq!(labels(&desk), [some("one"), some("two"), None]);
    assert_eq!(desk.ok(["get", "prod", "web/password"]), "one");
    let show = desk.json(["show", "prod", "web/password"]);
    assert_eq!((&show["version"], &show["pending"]), (&1.into(), &2.into()));
    assert!(show.get("previous").is_none());
    let plan = desk.ok(["label", "promote", "prod", "web/password", "--dry-run"]);
    assert!(
        plan.contains("deliver the pending version 2 of prod web/password; current is 1"),
        "{plan}"
    );
    let early = ["get", "prod", "web/password", "--version", "2"];
    assert_eq!(desk.ok(early), "two");
    let answer = desk.json(["label", "promote", "prod", "web/password"]);
    assert_eq!(
        (&answer["changes"][0]["version"], &answer["committed"]),
        (&2.into(), &true.into())
    );
    assert_eq!(labels(&desk), [some("two"), None, some("one")]);
    assert!(
        desk.ok(["show", "prod", "web/password"])
            .contains("previous     1")
    );
    desk.ok(["label", "take-back", "prod", "web/password"]);
    assert_eq!(labels(&desk), [some("one"), some("two"), None]);
    desk.ok(["label", "promote", "prod", "web/password"]);
    desk.ok(["label", "retire", "prod", "web/password"]);
    assert_eq!(labels(&desk), [some("two"), None, None]);
    let past = desk.json(["history", "prod", "web/password"]);
    let retired = &past["commits"][0]["labels"][0];
    assert_eq!(
        (&retired["current"], &retired["previous"]),
        (&2.into(), &serde_json::Value::Null)
    );
    assert!(desk.ok(["history"]).contains("labels: current 1, pending 2"));
    desk.feed(["put", "prod", "web/password", "--pending"], "three")
        .ok();
    desk.ok(["label", "drop", "prod", "web/password"]);
    assert_eq!(
        desk.ok(["get", "prod", "web/password", "--version", "3"]),
        "three"
    );
    desk.run(["put", "prod", "web/password", "--pending", "--kind", "config"])
        .refused(2, "--kind");
    desk.ok(["verify"]);
}

#[test]
fn a_label_that_is_not_there_is_an_answer_and_not_another_value() {
    let desk = Desk::new();
    desk.put("prod", "web/password", "one");
    let ran = desk.run(["get", "prod", "web/password", "--label", "previous"]);
    ran.refused(1, "has no previous version");
    desk.run(["get", "prod", "web/password", "--label", "newest"])
        .refused(2, "--label");
    desk.run(["label", "promote", "prod", "web/password"])
        .refused(1, "has no pending version");
    desk.feed(["put", "prod", "web/new", "--pending"], "two")
        .refused(1, "there is no entry");
    desk.feed(["put", "prod", "web/app", "--kind", "config"], "text")
        .ok();
    desk.feed(["put", "prod", "web/app", "--pending"], "two")
        .refused(1, "only secrets");
    desk.feed(["put", "prod", "web/password", "--pending", "--create"], "two")
        .refused(2, "--create");
}

#[test]
fn an_older_revision_has_the_labels_of_its_time() {
    let desk = Desk::new();
    desk.put("prod", "web/password", "one");
    let put = desk
        .feed(["put", "prod", "web/password", "--pending", "--json"], "two")
        .json();
    let revision = put["revision"].to_string();
    desk.ok(["label", "drop", "prod", "web/password"]);
    assert_eq!(get(&desk, "pending"), None);
    let then = [
        "get",
        "prod",
        "web/password",
        "--label",
        "pending",
        "--at",
        &revision,
    ];
    assert_eq!(desk.ok(then), "two");
    let next = desk
        .feed(["put", "prod", "web/password", "--json"], "three")
        .json();
    assert_eq!(next["changes"][0]["version"], 3, "2 was dropped");
}
