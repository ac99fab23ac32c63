//! Config documents at the socket and in directories: secrets that they refer to, single keys, the keys of
//! changes, and what this machine says.

use std::path::Path;

use serde_json::{Value, json};
use strongroom_core::kind::Kind;
use strongroom_core::uptake::ConsumerKind;

use crate::grant::{audit_of, decisions, recorded};
use crate::http::Events;
use crate::process::{Sidecar, ends, until};
use crate::scene::{Scene, delete, put};
use crate::uptake::reported;

const WEB: &str = r#"{"db":{"password":{"secret":"web/token"},"user":"web"},"size":1}"#;

fn web(in_environment: &str, text: &str) -> strongroom_core::vault::Edit {
    put(in_environment, "web", Kind::Config, text.as_bytes())
}

/// `web` in `base` refers to the token of `prod`.
fn scene() -> Scene {
    let scene = Scene::with_token();
    scene.commit(vec![web("base", WEB)]);
    scene
}

fn tag(sidecar: &Sidecar) -> String {
    let answer = sidecar.get("/api/v1/configs/web");
    answer.header("etag").unwrap().to_owned()
}

fn text_of(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap_or_default()
}

#[test]
fn a_document_has_its_secrets_where_it_is_delivered_and_every_part_is_recorded() {
    let scene = scene();
    let (audit, log) = audit_of(&scene);
    let directory = scene.file("files");
    let files = format!(
        "[[files]]\ndirectory = {directory:?}\nnames = {{ \"web.json\" = \"web\" }}\nderive = false\n"
    );
    let sidecar = Sidecar::start(&scene, &format!("{audit}{files}"));
    let expected =
        |password: &str, size: u8| json!({"db": {"password": password, "user": "web"}, "size": size});
    assert_eq!(sidecar.document("web"), expected("one", 1));
    let values = sidecar.get("/api/v1/values").json();
    let value = |values: &Value| {
        let all = values["values"].as_array().unwrap();
        let web = all.iter().find(|value| value["path"] == "web").unwrap();
        serde_json::from_str::<Value>(web["value"].as_str().unwrap()).unwrap()
    };
    assert_eq!(value(&values), expected("one", 1));
    let file = directory.join("web.json");
    until("the file is there", || {
        (serde_json::from_str::<Value>(&text_of(&file)).ok()? == expected("one", 1)).then_some(())
    });
    let all = decisions(&log);
    let read = |name: &str, action: &str| {
        all.iter()
            .filter(|one| one["name"] == name && one["action"] == action && one["decision"] == "allow")
            .count()
    };
    // the socket twice and the directory; the list and the directory have the token besides
    assert_eq!(
        (
            read("prod/web", "readConfig"),
            read("prod/web/token", "readSecret")
        ),
        (3, 5),
        "{all:?}"
    );
    let before = tag(&sidecar);
    let mut events = Events::open(&sidecar.socket, "/api/v1/watch", &[]);
    events.next().unwrap();
    scene.secret("web/token", "two");
    let event = events.next().unwrap();
    let changes = event.data["changes"].as_array().unwrap();
    let of_web = changes.iter().find(|change| change["path"] == "web").unwrap();
    assert_eq!(
        (&of_web["action"], &of_web["keys"]),
        (&json!("updated"), &json!(["db.password"]))
    );
    assert_eq!(sidecar.document("web"), expected("two", 1));
    assert_ne!(tag(&sidecar), before);
    until("the file switched", || {
        (serde_json::from_str::<Value>(&text_of(&file)).ok()? == expected("two", 1)).then_some(())
    });
    scene.commit(vec![web("prod", r#"{"size":2}"#)]);
    let event = events.next().unwrap();
    let changes = event.data["changes"].as_array().unwrap();
    assert_eq!((changes.len(), &changes[0]["path"]), (1, &json!("web")));
    sidecar.terminate();
}

#[test]
fn keys_that_changed_are_named_to_who_may_read_them() {
    let scene = scene();
    let uid = rustix::process::geteuid().as_raw();
    let policy = |more: &str| {
        let text = format!(
            "permit (principal is Member, action, resource);\n\
             permit (principal is Workload, action in [Action::\"watch\", Action::\"describe\"], resource)\n\
             when {{ principal.uid == {uid} }};\n{more}"
        );
        put("prod", "policy/test", Kind::Policy, text.as_bytes())
    };
    scene.commit(vec![policy("")]);
    let sidecar = Sidecar::start(&scene, "");
    let mut events = Events::open(&sidecar.socket, "/api/v1/watch", &[]);
    events.next().unwrap();
    scene.commit(vec![web(
        "base",
        &WEB.replace("\"user\":\"web\"", "\"user\":\"x\"")
            .replace(":1", ":9"),
    )]);
    let change = &events.next().unwrap().data["changes"][0];
    assert_eq!((&change["path"], &change["keys"]), (&json!("web"), &Value::Null));
    scene.commit(vec![policy("permit (principal is Workload, action, resource);")]);
    events.next().unwrap();
    scene.commit(vec![web("base", WEB)]);
    let change = &events.next().unwrap().data["changes"][0];
    assert_eq!(change["keys"], json!(["db.user", "size"]));
    sidecar.terminate();
}

#[test]
fn keys_are_named_to_who_may_read_the_secrets_too_and_for_as_long_as_that_holds() {
    let scene = scene();
    let policy = |when: &str| {
        let text = format!(
            "permit (principal is Member, action, resource);\n\
             permit (principal is Workload, action in [Action::\"watch\", Action::\"describe\", Action::\"readConfig\"], resource);\n\
             permit (principal is Workload, action == Action::\"readSecret\", resource) when {{ {when} }};"
        );
        put("prod", "policy/test", Kind::Policy, text.as_bytes())
    };
    let other = put("prod", "other", Kind::Config, br#"{"a":1}"#);
    scene.commit(vec![policy("false"), other]);
    let sidecar = Sidecar::start(&scene, "");
    let mut events = Events::open(&sidecar.socket, "/api/v1/watch", &[]);
    events.next().unwrap();
    let of = |event: &crate::http::Event, at: &str| {
        let changes = event.data["changes"].as_array().unwrap();
        let change = changes.iter().find(|change| change["path"] == at);
        change.unwrap()["keys"].clone()
    };
    let at = scene.commit(vec![
        web("base", &WEB.replace(":1", ":9")),
        put("prod", "other", Kind::Config, br#"{"a":2}"#),
    ]);
    let event = events.next().unwrap();
    assert_eq!(
        (of(&event, "web"), of(&event, "other")),
        (Value::Null, json!(["a"]))
    );
    // the secret that it referred to before counts as well
    scene.commit(vec![web("base", r#"{"size":9}"#)]);
    assert_eq!(of(&events.next().unwrap(), "web"), Value::Null);
    let resumed = |last: u64| {
        let last = format!("last-event-id: {last}");
        let mut events = Events::open(&sidecar.socket, "/api/v1/watch", &[&last]);
        events.next().unwrap()
    };
    assert_eq!(resumed(at).data["resync"], false);
    // what may be read for a time is not named from memory
    let from = scene.commit(vec![policy("context.now < datetime(\"2100-01-01T00:00:00Z\")")]);
    events.next().unwrap();
    let last = scene.commit(vec![web("base", WEB)]);
    assert_eq!(of(&events.next().unwrap(), "web"), json!(["size", "db"]));
    assert_eq!(resumed(from).data["resync"], true);
    scene.secret("unrelated", "x");
    events.next().unwrap();
    assert_eq!(resumed(last).data["resync"], false);
    sidecar.terminate();
}

#[test]
fn who_may_not_know_of_a_secret_is_not_told_of_it_by_the_document() {
    let scene = scene();
    let policy = br#"
        permit (principal is Member, action, resource);
        permit (principal is Workload, action in [Action::"describe", Action::"readConfig"], resource);
        @id("top secret")
        forbid (principal is Workload, action, resource in Path::"prod/web/token");
    "#;
    scene.commit(vec![put("prod", "policy/test", Kind::Policy, policy)]);
    let (audit, log) = audit_of(&scene);
    let sidecar = Sidecar::start(&scene, &audit);
    let answer = sidecar.get("/api/v1/configs/web");
    assert_eq!((answer.status, answer.code().as_str()), (403, "denied"));
    let told = answer.text();
    assert!(told.contains("it has a part that may not be read"), "{told}");
    assert!(!told.contains("token") && !told.contains("top secret"), "{told}");
    // the log has all of it, which an answer may overtake
    sidecar.terminate();
    assert_eq!(recorded(&log, "deny", "prod/web/token"), 1);
}

#[test]
fn who_may_not_read_the_secret_does_not_get_the_document() {
    let scene = scene();
    scene.commit(vec![put("prod", "other", Kind::Config, br#"{"a":1}"#)]);
    let policy = br#"
        permit (principal is Member, action, resource);
        permit (principal is Workload, action in [Action::"describe", Action::"readConfig"], resource);
    "#;
    scene.commit(vec![put("prod", "policy/test", Kind::Policy, policy)]);
    let (audit, log) = audit_of(&scene);
    let sidecar = Sidecar::start(&scene, &audit);
    let answer = sidecar.get("/api/v1/configs/web");
    assert_eq!((answer.status, answer.code().as_str()), (403, "denied"));
    assert!(answer.text().contains("web/token"), "{}", answer.text());
    let key = sidecar.get("/api/v1/configs/web?key=size");
    assert_eq!(key.status, 403);
    assert_eq!(sidecar.get("/api/v1/configs/other").status, 200);
    // as from a list, it is left out
    let values = sidecar.get("/api/v1/values").json();
    let paths: Vec<_> = values["values"]
        .as_array()
        .unwrap()
        .iter()
        .map(|value| &value["path"])
        .collect();
    assert_eq!(paths, ["other"]);
    sidecar.terminate();
    assert_eq!(recorded(&log, "deny", "prod/web/token"), 2);
}

#[test]
fn one_key_is_read_alone() {
    let scene = scene();
    let sidecar = Sidecar::start(&scene, "");
    let key = |key: &str| sidecar.get(&format!("/api/v1/configs/web?key={key}"));
    let answer = key("db.password").json();
    let told = (&answer["key"], &answer["format"], &answer["value"]);
    assert_eq!(told, (&json!("db.password"), &json!("json"), &json!("\"one\"")));
    assert_eq!(key("size").json()["value"], "1");
    let table: Value = serde_json::from_str(key("db").json()["value"].as_str().unwrap()).unwrap();
    assert_eq!(table, json!({"password": "one", "user": "web"}));
    let raw = |key: &str| {
        let target = format!("/api/v1/configs/web?key={key}");
        let accept = &["Accept: application/octet-stream"];
        crate::http::request(&sidecar.socket, "GET", &target, accept)
            .unwrap()
            .text()
    };
    assert_eq!((raw("db.user"), raw("size")), ("web".to_owned(), "1".to_owned()));
    let absent = key("db.none");
    assert_eq!((absent.status, absent.code().as_str()), (404, "not_found"));
    let asked = |query: &str| sidecar.get(&format!("/api/v1/configs/web?{query}"));
    let toml = asked("format=toml").json();
    assert_eq!(toml["format"], "toml");
    let read: toml::Table = toml["value"].as_str().unwrap().parse().unwrap();
    assert_eq!(read["db"]["password"].as_str(), Some("one"));
    for bad in ["format=xml", "format=json&key=size", "key=size&key=db"] {
        assert_eq!(asked(bad).status, 400, "{bad}");
    }
    assert_eq!(key("a..b").status, 400);
    assert_eq!(sidecar.get("/api/v1/secrets/web/token?key=a").status, 400);
    sidecar.terminate();
}

#[test]
fn who_reads_a_document_uses_its_secrets() {
    let scene = scene();
    let sidecar = Sidecar::start(&scene, "");
    let mut client = crate::http::Client::connect(&sidecar.socket).unwrap();
    client.request("GET", "/api/v1/configs/web", &[]).unwrap();
    let token = scene.vault.snapshot().entry(
        &crate::scene::environment("prod"),
        &crate::scene::path("web/token"),
    );
    let token = token.unwrap().id;
    until("it is reported", || {
        let consumers = reported(&scene, ConsumerKind::Socket);
        consumers
            .iter()
            .any(|consumer| consumer.of(token).is_some())
            .then_some(())
    });
    sidecar.terminate();
}

#[test]
fn who_reads_one_key_uses_the_secrets_under_it_alone() {
    let scene = scene();
    scene.secret("other/token", "x");
    let sidecar = Sidecar::start(&scene, "");
    let mut client = crate::http::Client::connect(&sidecar.socket).unwrap();
    let mut read = |target: &str| {
        let target = format!("/api/v1/{target}");
        assert_eq!(client.request("GET", &target, &[]).unwrap().status, 200);
    };
    let has = |at: &str| {
        let (prod, at) = (crate::scene::environment("prod"), crate::scene::path(at));
        let id = scene.vault.snapshot().entry(&prod, &at).unwrap().id;
        let consumers = reported(&scene, ConsumerKind::Socket);
        consumers.iter().any(|consumer| consumer.of(id).is_some())
    };
    read("configs/web?key=size");
    read("configs/web?key=db.user");
    // a report that has this has what its process read before
    read("secrets/other/token");
    until("all of it is reported", || has("other/token").then_some(()));
    assert!(has("web") && !has("web/token"));
    read("configs/web?key=db");
    until("its secret is reported", || has("web/token").then_some(()));
    sidecar.terminate();
}

#[test]
fn a_reference_whose_secret_is_gone_is_not_served_and_what_was_served_stays() {
    let scene = scene();
    let sidecar = Sidecar::start(&scene, "");
    // a member that does not open the document takes the secret away
    let bob = scene.writer("bob", &["prod"]);
    let change = strongroom_core::vault::Change {
        message: String::new(),
        edits: vec![delete("web/token")],
    };
    bob.commit(&change).unwrap();
    let refused = sidecar.refused();
    assert!(
        refused.contains("`db.password` refers to a secret that is not there"),
        "{refused}"
    );
    assert_eq!(sidecar.document("web")["db"]["password"], "one");
    scene.vault.refresh().unwrap();
    scene.secret("web/token", "again");
    until("it is served again", || {
        (sidecar.document("web")["db"]["password"] == "again").then_some(())
    });
    sidecar.terminate();
}

#[test]
fn what_this_machine_says_holds_and_is_changed_while_it_runs() {
    let scene = scene();
    scene.override_with(r#"{"size":7}"#);
    let directory = scene.file("files");
    let files = format!(
        "[[files]]\ndirectory = {directory:?}\nnames = {{ \"web.json\" = \"web\" }}\nderive = false\n"
    );
    let sidecar = Sidecar::start_on(&scene, &scene.settings_overriding(&files));
    assert_eq!(sidecar.document("web")["size"], 7);
    let first = tag(&sidecar);
    let mut events = Events::open(&sidecar.socket, "/api/v1/watch", &[]);
    let at = events.next().unwrap().id;
    scene.override_with(r#"{"size":8,"db":{"user":"local"}}"#);
    let event = events.next().unwrap();
    assert_eq!(event.id, at);
    assert_eq!(event.data["changes"][0]["keys"], json!(["db.user", "size"]));
    assert_eq!(
        sidecar.document("web")["db"],
        json!({"password": "one", "user": "local"})
    );
    assert_ne!(tag(&sidecar), first);
    until("the file switched", || {
        (serde_json::from_str::<Value>(&text_of(&directory.join("web.json"))).ok()?["size"] == 8)
            .then_some(())
    });
    // what does not fit is not taken
    let schema = br#"{"properties":{"size":{"maximum":9},"db":{"properties":{"password":{"secret":true}}}}}"#;
    scene.commit(vec![put("prod", "schema/web", Kind::Schema, schema)]);
    scene.override_with(r#"{"size":10}"#);
    sidecar.logs("their overrides do not fit");
    assert_eq!(sidecar.document("web")["size"], 8);
    scene.override_with("{\"size\":\"canary");
    sidecar.logs("overrides, item 1: the document is not valid json");
    assert!(!sidecar.log().contains("canary"));
    sidecar.terminate();
    let settings = scene.settings_with("other", "overrides = { web = \"none.toml\" }\n", "");
    let (code, said) = ends(&settings, &["--check"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(
        said.contains("overrides, item 1: the file cannot be read"),
        "{said}"
    );
}

#[test]
fn one_document_that_lacks_its_secret_keeps_no_other_away() {
    let scene = Scene::with_token();
    // an environment that others inherit from may lack what its documents refer to
    scene.commit(vec![strongroom_core::vault::Edit::AddEnvironment {
        name: crate::scene::environment("eu"),
        parent: Some(crate::scene::environment("prod")),
        compartment: None,
    }]);
    scene.commit(vec![
        put("eu", "canary/secret", Kind::Secret, b"x"),
        put(
            "prod",
            "broken",
            Kind::Config,
            br#"{"a":{"secret":"canary/secret"}}"#,
        ),
        put("prod", "whole", Kind::Config, br#"{"a":1}"#),
    ]);
    let sidecar = Sidecar::start(&scene, "");
    let values = sidecar.get("/api/v1/values");
    assert_eq!(values.status, 200, "{}", values.text());
    let values = values.json();
    let paths: Vec<_> = values["values"]
        .as_array()
        .unwrap()
        .iter()
        .map(|value| value["path"].as_str().unwrap())
        .collect();
    assert_eq!(paths, ["web/token", "whole"]);
    let broken = sidecar.get("/api/v1/configs/broken");
    assert_eq!(broken.status, 500);
    assert!(!broken.text().contains("canary"), "{}", broken.text());
    // nor is it told of to who may not read the document
    let uid = rustix::process::geteuid().as_raw();
    let policy = format!(
        "permit (principal is Member, action, resource);\n\
         permit (principal is Workload, action == Action::\"describe\", resource) when {{ principal.uid == {uid} }};"
    );
    let at = scene.commit(vec![put("prod", "policy/test", Kind::Policy, policy.as_bytes())]);
    sidecar.serves(at);
    assert_eq!(sidecar.get("/api/v1/configs/broken").status, 403);
    sidecar.terminate();
}

#[test]
fn a_key_called_secret_is_read_like_any_other() {
    let scene = Scene::with_token();
    scene.commit(vec![put(
        "prod",
        "web",
        Kind::Config,
        br#"{"oauth":{"secret":{"secret":"web/token"}}}"#,
    )]);
    let sidecar = Sidecar::start(&scene, "");
    for value in ["../not a path!", "a/path"] {
        let at = scene.secret("web/token", value);
        sidecar.serves(at);
        let answer = sidecar.get("/api/v1/configs/web?key=oauth.secret");
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.json()["value"], json!(value).to_string());
        assert_eq!(sidecar.get("/api/v1/configs/web?format=toml").status, 200);
    }
    sidecar.terminate();
}
