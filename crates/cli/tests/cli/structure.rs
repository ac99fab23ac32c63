//! Members, compartments, environments: who opens what, and what it costs when one leaves.

use crate::desk::{CANARY, Desk, Ran};

fn as_member(desk: &Desk, identity: &std::path::Path, arguments: &[&str]) -> Ran {
    let mut command = desk.command(arguments);
    Ran::of(command.env("STRONGROOM_IDENTITY", identity).output().unwrap())
}

#[test]
fn members_open_their_compartments_and_no_other() {
    let desk = Desk::new();
    desk.ok(["environment", "add", "dev"]);
    desk.put("prod", "a", CANARY);
    desk.put("dev", "b", "dev value");
    let web = desk.member("web", "reader", &["dev"]);
    assert_eq!(as_member(&desk, &web, &["get", "dev", "b"]).ok(), "dev value");
    as_member(&desk, &web, &["get", "prod", "a"]).refused(1, "that this identity opens");
    assert!(!as_member(&desk, &web, &["list"]).ok().contains("prod"));
    as_member(&desk, &web, &["put", "dev", "b", "--value", "x"]).refused(3, "may not do that");
    as_member(&desk, &web, &["environment", "add", "x"]).refused(3, "may not do that");
    as_member(&desk, &web, &["member", "remove", "alice"]).refused(3, "may not do that");
    desk.ok(["member", "grant", "web", "--compartment", "prod"]);
    assert_eq!(as_member(&desk, &web, &["get", "prod", "a"]).ok(), CANARY);
    let status: serde_json::Value =
        serde_json::from_str(&as_member(&desk, &web, &["status", "--json"]).ok()).unwrap();
    assert_eq!(
        (status["member"].as_str(), status["role"].as_str()),
        (Some("web"), Some("reader"))
    );
    assert_eq!(status["opens"], serde_json::json!(["common", "dev", "prod"]));
}

#[test]
fn roles_bound_what_a_member_changes() {
    let desk = Desk::new();
    desk.put("prod", "a", "1");
    let writer = desk.member("writer", "writer", &["prod"]);
    let rotator = desk.member("rotator", "rotator", &["prod"]);
    as_member(&desk, &writer, &["put", "prod", "b", "--value", "1"]).ok();
    as_member(&desk, &writer, &["compartment", "add", "x"]).refused(3, "may not do that");
    as_member(&desk, &rotator, &["put", "prod", "a", "--value", "2"]).ok();
    as_member(&desk, &rotator, &["delete", "prod", "a"]).refused(3, "may not do that");
    let names: Vec<_> = desk.json(["member", "list"])["members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|member| {
            format!(
                "{}:{}",
                member["name"].as_str().unwrap(),
                member["role"].as_str().unwrap()
            )
        })
        .collect();
    assert_eq!(names, ["alice:admin", "rotator:rotator", "writer:writer"]);
    desk.run(["member", "add", "x", "--role", "king", "--public", "x"])
        .refused(2, "a role is one of");
}

#[test]
fn removing_a_member_says_what_to_rotate() {
    let desk = Desk::new();
    desk.put("prod", "db/password", CANARY);
    let web = desk.member("web", "reader", &["prod"]);
    let removed = desk.json(["member", "remove", "web"]);
    assert_eq!(removed["exposed"][0]["path"], "db/password");
    as_member(&desk, &web, &["get", "prod", "db/password"]).refused(3, "not a member");
    let term = |desk: &Desk| desk.json(["compartment", "list"])["compartments"][1]["term"].as_u64();
    assert_eq!(term(&desk), Some(2), "the key did not change");
    desk.member("web2", "reader", &["prod"]);
    let text = desk.ok(["member", "remove", "web2"]);
    assert!(
        text.contains("rotate these secrets") && text.contains("prod db/password  version 1"),
        "{text}"
    );
    desk.run(["member", "remove", "nobody"]).refused(1, "");
}

#[test]
fn a_member_gets_a_new_identity() {
    let desk = Desk::new();
    desk.put("prod", "db/password", CANARY);
    let old = desk.member("web", "rotator", &["prod"]);
    let new = desk.file("web-2.identity");
    let new_file = new.to_str().unwrap();
    desk.ok(["identity", "new", new_file, "--no-passphrase"]);
    let public = desk.ok(["identity", "show", new_file]);
    let public = public.trim();
    desk.run(["member", "replace", "nobody", "--public", public])
        .refused(1, "there is no member");
    let replaced = desk.json(["member", "replace", "web", "--public", public]);
    assert_eq!(replaced["exposed"][0]["path"], "db/password");
    as_member(&desk, &old, &["get", "prod", "db/password"]).refused(3, "not a member");
    let read = as_member(&desk, &new, &["get", "prod", "db/password"]);
    assert_eq!(read.ok(), CANARY);
    let members = desk.json(["member", "list"]);
    let web = members["members"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["name"] == "web");
    assert_eq!(web.unwrap()["role"], "rotator");
    desk.ok(["verify"]);
    // Of the only admin there is no other that could.
    desk.run(["member", "replace", "alice", "--public", public])
        .refused(1, "only admin");
}

#[test]
fn a_compartment_gets_a_new_key() {
    let desk = Desk::new();
    desk.put("prod", "db/password", CANARY);
    let web = desk.member("web", "writer", &["prod"]);
    as_member(&desk, &web, &["compartment", "rotate", "prod"]).refused(3, "takes an admin");
    desk.run(["compartment", "rotate", "nope"])
        .refused(1, "no compartment");
    let term = || desk.json(["compartment", "list"])["compartments"][1]["term"].as_u64();
    assert_eq!(term(), Some(1));
    desk.ok(["compartment", "rotate", "prod"]);
    desk.ok(["compartment", "rotate", "common"]);
    assert_eq!(term(), Some(2));
    // What was there and what comes is read, and written, by all who were there, and by who is new.
    let write = |path: &str| {
        let file = desk.write("value", CANARY);
        as_member(
            &desk,
            &web,
            &["put", "prod", path, "--file", file.to_str().unwrap()],
        )
        .ok()
    };
    write("db/token");
    let new = desk.member("new", "reader", &["prod"]);
    for member in [&web, &new] {
        for path in ["db/password", "db/token"] {
            assert_eq!(as_member(&desk, member, &["get", "prod", path]).ok(), CANARY);
        }
    }
    desk.ok(["verify"]);
}

#[test]
fn what_is_stored_is_wrapped_under_a_new_key() {
    let desk = Desk::new();
    for path in ["db/password", "db/token", "db/key"] {
        desk.put("prod", path, CANARY);
    }
    let web = desk.member("web", "writer", &["prod"]);
    let left = || {
        let left = desk.json(["compartment", "rotate", "prod", "--resume", "--dry-run"]);
        left["entries"].as_u64().unwrap()
    };
    assert_eq!(left(), 0);
    let before = desk.json(["show", "prod", "db/password"]);
    let done = desk.json(["compartment", "rotate", "prod"]);
    assert_eq!(done["rewrapped"]["entries"], 3, "{done}");
    assert_eq!(done["rewrapped"]["records"], 6, "{done}");
    assert_eq!(
        done["rewrapped"]["revision"].as_u64(),
        done["revision"].as_u64().map(|revision| revision + 1)
    );
    assert_eq!(
        desk.json(["show", "prod", "db/password"])["version"],
        before["version"]
    );
    // A key by itself, and what is behind it later.
    desk.ok(["compartment", "rotate", "prod", "--key-only"]);
    assert_eq!(left(), 3);
    desk.ok(["compartment", "rotate", "prod", "--dry-run"]);
    assert_eq!(left(), 3, "a dry run changes nothing");
    as_member(&desk, &web, &["compartment", "rotate", "prod", "--resume"]).refused(3, "takes an admin");
    let said = desk.ok(["compartment", "rotate", "prod", "--resume"]);
    assert!(said.contains("6 records of 3 entries"), "{said}");
    assert_eq!(left(), 0);
    let said = desk.ok(["compartment", "rotate", "prod", "--resume"]);
    assert!(said.contains("no entry of prod"), "{said}");
    desk.run(["compartment", "rotate", "prod", "--resume", "--key-only"])
        .refused(2, "cannot be used with");
    desk.run(["compartment", "rotate", "nope", "--resume"])
        .refused(1, "no compartment");
    for member in [&web, &desk.member("new", "reader", &["prod"])] {
        assert_eq!(
            as_member(&desk, member, &["get", "prod", "db/token"]).ok(),
            CANARY
        );
    }
    // It is in the history as what it is, and is no change of an entry.
    let history = desk.json(["history", "prod", "db/password"]);
    let changes = |commit: &serde_json::Value| commit["changes"].as_array().unwrap().len();
    let commits = history["commits"].as_array().unwrap().iter();
    assert_eq!(commits.map(changes).collect::<Vec<_>>(), [0, 0, 1], "{history}");
    assert!(
        desk.ok(["history"])
            .contains("wrap the records of compartment prod")
    );
    desk.ok(["verify"]);
}

#[test]
fn a_compartment_splits_an_environment() {
    let desk = Desk::new();
    desk.ok(["compartment", "add", "payments"]);
    desk.feed(["put", "prod", "pay/key", "--compartment", "payments"], CANARY)
        .ok();
    let web = desk.member("web", "reader", &["prod"]);
    as_member(&desk, &web, &["get", "prod", "pay/key"]).refused(1, "that this identity opens");
    assert_eq!(desk.json(["show", "prod", "pay/key"])["compartment"], "payments");
    let list = desk.ok(["compartment", "list"]);
    assert!(list.contains("payments") && list.contains("alice, web"), "{list}");
    desk.run(["compartment", "add", "payments"]).refused(1, "");
    desk.feed(["put", "prod", "x", "--compartment", "nope"], "x")
        .refused(1, "");
}

#[test]
fn environments_inherit_from_a_parent_that_is_there() {
    let desk = Desk::new();
    desk.ok([
        "environment",
        "add",
        "staging",
        "--parent",
        "prod",
        "--compartment",
        "prod",
    ]);
    let list = desk.json(["environment", "list"])["environments"].clone();
    assert_eq!(
        list[1],
        serde_json::json!({"name": "staging", "parent": "prod", "compartment": "prod"})
    );
    desk.run(["environment", "add", "x", "--parent", "nope"])
        .refused(1, "");
    desk.run(["environment", "add", "prod"]).refused(1, "");
    assert!(desk.ok(["environment", "list"]).contains("staging      prod"));
}
