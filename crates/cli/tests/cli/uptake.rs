//! uptake: who has which version, and who is waited for, of what a sidecar reported.

use std::io::{BufRead, BufReader};
use std::sync::Arc;

use strongroom_core::Vault;
use strongroom_core::ambient::{Ambient, Timestamp};
use strongroom_core::crypto::identity::Identity;
use strongroom_core::id::Revision;
use strongroom_core::name::{EntryPath, EnvironmentName};
use strongroom_core::store::SqliteStore;
use strongroom_core::uptake::{Consumer, ConsumerKind, Presence, Reaction, Seen, Use};
use strongroom_core::vault::OpenOptions;

use crate::desk::{CANARY, Desk};

/// Reports, as a sidecar of `environment` would, that `name` has read what is current of `prod` `web/a`.
fn report(desk: &Desk, environment: &str, name: &str, counter: u64) {
    let kind = (ConsumerKind::Socket, Reaction::default());
    report_as(desk, environment, name, counter, kind);
}

fn report_as(
    desk: &Desk,
    environment: &str,
    name: &str,
    counter: u64,
    (kind, reaction): (ConsumerKind, Reaction),
) {
    let store = SqliteStore::open(&desk.file("store.db"), true).unwrap();
    let identity = Identity::read_file(&desk.file("alice.identity"), || None).unwrap();
    let vault = Vault::open(Arc::new(store), Arc::new(identity), OpenOptions::default()).unwrap();
    let snapshot = vault.snapshot();
    let prod = EnvironmentName::new("prod").unwrap();
    let entry = snapshot.entry(&prod, &EntryPath::new("web/a").unwrap()).unwrap();
    let read = Seen {
        version: entry.version,
        revision: snapshot.revision(),
        at: Ambient::system().now(),
    };
    let consumer = Consumer {
        kind,
        reaction,
        presence: Presence::Present,
        host: "web-1".to_owned(),
        sidecar: "/run/web/sidecar.sock".to_owned(),
        name: name.to_owned(),
        environment: EnvironmentName::new(environment).unwrap(),
        revision: Revision(0),
        since: Timestamp(0),
        problem: String::new(),
        is_whole: true,
        uses: vec![Use {
            entry: entry.id,
            read,
            confirmed: Seen::default(),
        }],
    };
    vault.report(vec![consumer], counter).unwrap();
}

fn waiting(document: &serde_json::Value) -> Vec<(&str, &serde_json::Value)> {
    let all = document["consumers"].as_array().unwrap();
    all.iter()
        .map(|one| (one["consumer"].as_str().unwrap(), &one["waiting"]))
        .collect()
}

#[test]
fn it_shows_who_has_a_version_and_who_is_waited_for() {
    let desk = Desk::new();
    desk.ok(["environment", "add", "stage", "--parent", "prod"]);
    desk.put("prod", "web/a", CANARY);
    assert_eq!(desk.json(["uptake", "prod"])["consumers"], serde_json::json!([]));
    report(&desk, "prod", "first", 1);
    report(&desk, "stage", "second", 1);
    desk.put("prod", "web/a", format!("{CANARY}-2"));
    report(&desk, "prod", "first", 2);

    // an entry is used where it is inherited, too
    let of_entry = desk.json(["uptake", "prod", "web/a"]);
    let (none, read) = (serde_json::Value::Null, "read".into());
    assert_eq!(waiting(&of_entry), [("first", &none), ("second", &read)]);
    assert_eq!(
        (&of_entry["version"], &of_entry["waiting"]),
        (&2.into(), &1.into())
    );
    assert_eq!(of_entry["consumers"][0]["version"], 2);
    let of_environment = desk.json(["uptake", "prod"]);
    assert_eq!(waiting(&of_environment), [("first", &none)]);

    let text = desk.ok(["uptake", "prod", "web/a"]);
    assert!(
        text.contains("web/a version 2: 1 of 2 have it, 1 waited for"),
        "{text}"
    );
    assert!(!text.contains(CANARY));
    desk.run(["uptake", "prod", "web/none"]).refused(1, "web/none");
    desk.run(["uptake", "nope"]).refused(1, "there is no environment");
}

#[test]
fn watching_shows_each_change() {
    let desk = Desk::new();
    desk.put("prod", "web/a", CANARY);
    let mut child = desk
        .command(["uptake", "prod", "web/a", "--watch", "--json"])
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || -> serde_json::Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    assert_eq!(next()["consumers"], serde_json::json!([]));
    report(&desk, "prod", "first", 1);
    while next()["consumers"].as_array().unwrap().is_empty() {}
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_plan_names_whom_a_change_concerns_and_what_they_do() {
    let desk = Desk::new();
    desk.ok(["environment", "add", "eu", "--parent", "prod"]);
    desk.feed(
        ["put", "prod", "web/a", "--kind", "config", "--format", "toml"],
        "a = 1",
    )
    .ok();
    report(&desk, "prod", "a client", 1);
    report_as(
        &desk,
        "eu",
        "/run/web",
        1,
        (ConsumerKind::Files, Reaction::Signal),
    );
    let set = ["config", "set", "prod", "web/a", "a=2"];
    let plan = desk.json(["plan"].iter().chain(&set).copied());
    let told: Vec<_> = plan["consumers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["consumer"].as_str().unwrap(), one["does"].as_str().unwrap()))
        .collect();
    assert_eq!(
        told,
        [
            ("a client", "reads it, and confirms where it ever did"),
            ("/run/web", "switches, and a process is signalled"),
        ]
    );
    assert_eq!(plan["consumers"][0]["paths"], serde_json::json!(["web/a"]));
    assert_eq!(plan["keys"], serde_json::json!(["~ a"]));
    // the same as the option, and nothing happened
    assert_eq!(plan, desk.json(set.iter().chain(&["--plan"]).copied()));
    let text = desk.ok(["plan", "put", "prod", "other", "--value", "x", "--yes"]);
    assert!(!text.contains("Sidecars report"), "{text}");
    assert_eq!(desk.json(["config", "get", "prod", "web/a", "a"])["value"], 1);
    // whoever has another document is not concerned
    desk.feed(
        ["put", "eu", "web/a", "--kind", "config", "--format", "text"],
        "x",
    )
    .ok();
    let plan = desk.json(["plan"].iter().chain(&set).copied());
    assert_eq!(plan["consumers"].as_array().unwrap().len(), 1, "{plan}");
    let refused = desk.run(["plan", "list", "prod"]);
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(refused.stderr.contains("has no plan"), "{}", refused.stderr);
    // whatever is missing at the end, nothing is put
    for words in [
        &["plan", "put", "prod", "other", "--value"][..],
        &["plan", "put", "prod", "other", "--value", "--"],
        &["plan", "put", "prod", "other", "--value", "--plan"],
    ] {
        desk.run(words);
    }
    assert_ne!(desk.run(["get", "prod", "other"]).code, 0);
    let wrong = desk.run(["plan", "put", "--nonsense"]);
    assert_eq!(wrong.code, 2, "{}", wrong.stderr);
}
