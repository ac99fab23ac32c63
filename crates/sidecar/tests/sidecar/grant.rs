//! The gate before every value: policy decides, the log has it, and only then something is told.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use strongroom_core::kind::Kind;

use crate::http::{Events, request};
use crate::process::{Sidecar, until};
use crate::scene::{Scene, put};

fn policy(text: &str) -> strongroom_core::vault::Edit {
    put("prod", "policy/test", Kind::Policy, text.as_bytes())
}

/// Permits this process's user to do everything under `web`, and to describe what is public.
fn web_only() -> strongroom_core::vault::Edit {
    let uid = rustix::process::geteuid().as_raw();
    policy(&format!(
        r#"
        permit (principal is Member, action, resource);
        @id("web alone")
        permit (principal is Workload, action, resource in Path::"prod/web") when {{ principal.uid == {uid} }};
        @id("names are public")
        permit (principal is Workload, action == Action::"describe", resource in Path::"prod/public");
        "#
    ))
}

/// `web/token`, `public/key` and `other/key`, and what policy says of them.
fn scene() -> Scene {
    let scene = Scene::with_token();
    scene.secret("public/key", "p");
    scene.secret("other/key", "o");
    scene.commit(vec![web_only()]);
    scene
}

pub fn audit_of(scene: &Scene) -> (String, PathBuf) {
    let directory = scene.file("audit");
    std::fs::create_dir_all(&directory).unwrap();
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o700)).unwrap();
    (format!("[audit]\ndirectory = {directory:?}\n"), directory)
}

/// The decisions in the log, oldest first.
pub fn decisions(directory: &Path) -> Vec<Value> {
    let mut files: Vec<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let texts = files
        .iter()
        .map(|file| std::fs::read_to_string(file).unwrap_or_default());
    let text: String = texts.collect();
    text.lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|line| line.get("decision").is_some())
        .collect()
}

/// How often the log says so of `name`.
pub fn recorded(directory: &Path, decision: &str, name: &str) -> usize {
    let is = |record: &&Value| record["decision"] == decision && record["name"] == name;
    decisions(directory).iter().filter(is).count()
}

#[test]
fn policy_says_who_reads_what_and_who_may_know_of_it() {
    let scene = scene();
    let sidecar = Sidecar::start(&scene, "");
    assert_eq!(sidecar.secret("web/token"), "one");
    let described = sidecar.get("/api/v1/secrets/public/key");
    assert_eq!((described.status, described.code().as_str()), (403, "denied"));
    assert!(
        described.text().contains("no policy permits it"),
        "{}",
        described.text()
    );
    // what may not be described is not there
    let hidden = sidecar.get("/api/v1/secrets/other/key");
    let absent = sidecar.get("/api/v1/secrets/none/key");
    assert_eq!((hidden.status, absent.status), (404, 404));
    assert_eq!(hidden.text(), absent.text().replace("none/key", "other/key"));
    let listed = sidecar.get("/api/v1/entries").json();
    let paths: Vec<_> = listed["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["path"].clone())
        .collect();
    assert_eq!(paths, ["public/key", "web/token"]);
    let values = sidecar.get("/api/v1/values").json();
    assert_eq!(values["values"].as_array().unwrap().len(), 1);
    assert_eq!(values["values"][0]["path"], "web/token");
    sidecar.terminate();
}

#[test]
fn a_denied_value_is_not_confirmed_either() {
    let scene = Scene::with_token();
    let sidecar = Sidecar::start(&scene, "");
    let etag = sidecar
        .get("/api/v1/secrets/web/token")
        .header("etag")
        .unwrap()
        .to_owned();
    let header = format!("if-none-match: {etag}");
    let known = || request(&sidecar.socket, "GET", "/api/v1/secrets/web/token", &[&header]).unwrap();
    assert_eq!(known().status, 304);
    sidecar.serves(scene.commit(vec![policy("permit (principal is Member, action, resource);")]));
    assert_eq!(known().status, 404);
    sidecar.terminate();
}

#[test]
fn policies_take_effect_with_their_revision_also_for_the_past() {
    let scene = Scene::with_token();
    let sidecar = Sidecar::start(&scene, "");
    let before = scene.revision();
    assert_eq!(sidecar.secret("web/token"), "one");
    let forbid = r#"
        permit (principal, action, resource);
        @id("not now") forbid (principal is Workload, action == Action::"readSecret", resource);
    "#;
    sidecar.serves(scene.commit(vec![policy(forbid)]));
    let denied = sidecar.get("/api/v1/secrets/web/token");
    assert_eq!(denied.status, 403);
    assert!(denied.text().contains("not now"), "{}", denied.text());
    // the policies of now guard the values of then
    assert_eq!(
        sidecar
            .get(&format!("/api/v1/secrets/web/token?at={before}"))
            .status,
        403
    );
    sidecar.serves(scene.delete("policy/test"));
    assert_eq!(sidecar.secret("web/token"), "one");
    sidecar.terminate();
}

/// A secret of `prod` with the label `public`, when it has one.
fn labelled(value: &str, public: Option<&str>) -> strongroom_core::vault::Edit {
    let mut edit = put("prod", "web/token", Kind::Secret, value.as_bytes());
    if let strongroom_core::vault::Edit::Put(put) = &mut edit {
        let labels = public.map(|word| ("public".to_owned(), word.to_owned()));
        put.labels = Some(labels.into_iter().collect());
    }
    edit
}

#[test]
fn an_entry_of_the_past_is_judged_apart_from_todays_and_by_both() {
    let scene = Scene::with_token();
    let open = scene.commit(vec![
        labelled("open", Some("yes")),
        policy(
            r#"
            permit (principal is Member, action, resource);
            permit (principal is Workload, action, resource)
            when { resource.hasTag("public") && resource.getTag("public") == "yes" };
            "#,
        ),
    ]);
    let closed = scene.commit(vec![labelled("closed", None)]);
    let sidecar = Sidecar::start(&scene, "");
    let then = |revision: u64| sidecar.get(&format!("/api/v1/secrets/web/token?at={revision}"));
    let listed = |at: &str| sidecar.get(&format!("/api/v1/entries{at}")).json()["entries"].clone();
    // what was open is not open any more: not as it was, and never as it is
    assert_eq!(then(open).status, 404);
    assert_eq!(sidecar.get("/api/v1/secrets/web/token").status, 404);
    assert_eq!(listed(&format!("?at={open}")), json!([]));
    assert_eq!(listed(""), json!([]));
    // what is open again is so as it was open, and stays closed as it was closed
    sidecar.serves(scene.commit(vec![labelled("again", Some("yes"))]));
    assert_eq!(then(open).status, 200);
    assert_eq!(then(closed).status, 404);
    assert_eq!(sidecar.secret("web/token"), "again");
    // what is not there today is judged as it was
    sidecar.serves(scene.delete("web/token"));
    assert_eq!(then(open).status, 200);
    assert_eq!(then(closed).status, 404);
    sidecar.terminate();
}

#[test]
fn what_is_hidden_is_not_told_to_who_asks_for_something_else() {
    let scene = scene();
    let (audit, directory) = audit_of(&scene);
    let sidecar = Sidecar::start(&scene, &audit);
    for (kind, hidden) in [
        ("configs", "other/key"),
        ("secrets", "policy/test"),
        ("flags", "other/key"),
    ] {
        let answer = sidecar.get(&format!("/api/v1/{kind}/{hidden}"));
        let absent = sidecar.get(&format!("/api/v1/{kind}/none/key"));
        assert_eq!(answer.text(), absent.text().replace("none/key", hidden));
        assert_eq!((answer.status, absent.status), (404, 404));
    }
    let told = sidecar.get("/api/v1/configs/public/key");
    assert!(told.text().contains("is a secret"), "{}", told.text());
    until("the attempts are recorded", || {
        let denied = |name: &str| recorded(&directory, "deny", name);
        (denied("prod/other/key") == 2 && denied("prod/policy/test") == 1).then_some(())
    });
    sidecar.terminate();
}

#[test]
fn who_resumes_a_watch_is_judged_by_the_policies_of_now() {
    let scene = Scene::with_token();
    let sidecar = Sidecar::start(&scene, "");
    let before = scene.revision();
    sidecar.serves(scene.secret("other/key", "o"));
    let resumed = |last: u64| {
        let last = format!("last-event-id: {last}");
        let mut events = Events::open(&sidecar.socket, "/api/v1/watch", &[&last]);
        events.next().unwrap()
    };
    assert_eq!(resumed(before).data["changes"][0]["path"], "other/key");
    let tight = scene.commit(vec![web_only()]);
    sidecar.serves(tight);
    let first = resumed(before);
    assert!(!first.data.to_string().contains("other/key"), "{}", first.data);
    assert_eq!(first.data["revision"], tight);
    sidecar.terminate();
}

#[test]
fn watchers_hear_of_what_they_may_watch() {
    let scene = scene();
    let sidecar = Sidecar::start(&scene, "");
    let mut events = Events::open(&sidecar.socket, "/api/v1/watch", &[]);
    events.next().unwrap();
    scene.commit(vec![
        put("prod", "web/token", Kind::Secret, b"two"),
        put("prod", "other/key", Kind::Secret, b"two"),
    ]);
    let changes = events.next().unwrap().data["changes"].clone();
    assert_eq!(
        changes,
        json!([{"path": "web/token", "kind": "secret", "action": "updated", "version": 2}])
    );
    sidecar.terminate();
}

#[test]
fn every_way_to_a_value_leaves_a_record_and_so_does_a_denial() {
    let scene = scene();
    let (audit, directory) = audit_of(&scene);
    let files = scene.file("files");
    std::fs::create_dir(&files).unwrap();
    let more = format!(
        "{audit}[[files]]\ndirectory = {files:?}\nprefix = \"other\"\n[process]\ncommand = [\"sleep\", \"1000\"]\nprefix = \"public\"\n"
    );
    let sidecar = Sidecar::start(&scene, &more);
    sidecar.ready();
    let past = scene.revision();
    sidecar.serves(scene.secret("web/token", "two"));
    // what is injected is recorded whenever the sidecar comes to it: only workloads are counted
    let asked = || {
        let mut records = decisions(&directory);
        records.retain(|record| record.get("workload").is_some());
        records
    };
    let before = asked().len();
    let checks = [
        (
            "/api/v1/secrets/web/token".to_owned(),
            "readSecret",
            "allow",
            "prod/web/token",
        ),
        (
            "/api/v1/values".to_owned(),
            "readSecret",
            "allow",
            "prod/web/token",
        ),
        (
            format!("/api/v1/secrets/web/token?at={past}"),
            "readSecret",
            "allow",
            "prod/web/token",
        ),
        (
            format!("/api/v1/values?at={past}"),
            "readSecret",
            "allow",
            "prod/web/token",
        ),
        (
            "/api/v1/secrets/public/key".to_owned(),
            "readSecret",
            "deny",
            "prod/public/key",
        ),
        (
            "/api/v1/secrets/other/key".to_owned(),
            "readSecret",
            "deny",
            "prod/other/key",
        ),
    ];
    for (count, (target, action, decision, name)) in checks.iter().enumerate() {
        let answer = sidecar.get(target);
        assert_eq!(answer.status == 200, *decision == "allow", "{target}");
        // an answer may overtake the record of a denial, never that of a value
        let records = match *decision {
            "allow" => asked(),
            _ => until("the denial is recorded", || {
                Some(asked()).filter(|records| records.len() > before + count)
            }),
        };
        let records = &records[before + count..];
        let number = records[0]["request"].as_str();
        assert_eq!(answer.header("strongroom-request"), number, "{target}");
        assert_eq!(records.len(), 1, "{target}: {records:?}");
        let record = &records[0];
        assert_eq!(record["action"], *action, "{target}");
        assert_eq!(record["decision"], *decision, "{target}");
        assert_eq!(record["name"], *name, "{target}");
        assert_eq!(record["workload"]["uid"], rustix::process::geteuid().as_raw());
        assert_eq!(record["workload"]["pid"], std::process::id(), "{record}");
        if *decision == "allow" {
            assert_eq!(record["policies"], json!(["web alone"]), "{target}");
        }
    }
    // what the settings have delivered is there from the start
    let all = decisions(&directory);
    let injected = |target: &str, name: &str| {
        all.iter().any(|record| {
            record["injection"] == target && record["name"] == name && record["decision"] == "allow"
        })
    };
    assert!(
        injected(&files.display().to_string(), "prod/other/key"),
        "{all:?}"
    );
    assert!(injected("sleep", "prod/public/key"), "{all:?}");
    for value in ["one", "two"] {
        assert!(
            !all.iter()
                .any(|record| record.to_string().contains(&format!("\"{value}\"")))
        );
    }
    sidecar.terminate();
}

#[test]
fn nothing_is_released_while_it_cannot_be_recorded() {
    let scene = Scene::with_token();
    let (audit, directory) = audit_of(&scene);
    let sidecar = Sidecar::start(&scene, &audit);
    assert_eq!(sidecar.secret("web/token"), "one");
    // the log's directory goes, with its files, and something else has its name
    let aside = scene.file("aside");
    std::fs::rename(&directory, &aside).unwrap();
    std::fs::write(&directory, "in the way").unwrap();
    let refused = until("the loss is noticed", || {
        let answer = sidecar.get("/api/v1/secrets/web/token");
        (answer.status != 200).then_some(answer)
    });
    assert_eq!((refused.status, refused.code().as_str()), (503, "unavailable"));
    assert!(!refused.text().contains("one"));
    assert_eq!(sidecar.get("/api/v1/values").status, 503);
    // what holds no value is answered
    assert_eq!(sidecar.get("/api/v1/status").status, 200);
    std::fs::remove_file(&directory).unwrap();
    std::fs::rename(&aside, &directory).unwrap();
    until("it goes on by itself", || {
        (sidecar.get("/api/v1/secrets/web/token").status == 200).then_some(())
    });
    sidecar.terminate();
}
