//! Documents that are not as their schemas say, as a member commits them who does not open the
//! schema: they are not served, and what was served before stays.

use serde_json::{Value, json};
use strongroom_core::Vault;
use strongroom_core::kind::Kind;
use strongroom_core::vault::Change;

use crate::grant::{audit_of, decisions};
use crate::http::Events;
use crate::offline::copied;
use crate::process::{Sidecar, ends};
use crate::scene::{Scene, put};

const SCHEMA: &str = r#"{"properties": {"size": {"type": "integer"}}, "required": ["size"]}"#;

/// `web` in `prod`, whose schema lies in `base`; bob opens `prod` alone.
fn scene() -> (Scene, Vault) {
    let scene = Scene::with_token();
    scene.commit(vec![
        put("base", "schema/web", Kind::Schema, SCHEMA.as_bytes()),
        put("prod", "web", Kind::Config, br#"{"size":1}"#),
    ]);
    let bob = scene.writer("bob", &["prod"]);
    (scene, bob)
}

fn commit(bob: &Vault, document: &str) -> u64 {
    let change = Change {
        message: String::new(),
        edits: vec![put("prod", "web", Kind::Config, document.as_bytes())],
    };
    bob.commit(&change).unwrap().revision.0
}

fn is_served_as_before(sidecar: &Sidecar, revision: u64) {
    let status = sidecar.status();
    assert_eq!(status["revision"], revision);
    let refused = status["refused"].as_str().unwrap();
    assert_eq!(
        refused,
        "web in prod: `size` must be a whole number: give it a value of that type"
    );
    let served: Value = serde_json::from_slice(&sidecar.get("/api/v1/configs/web").body).unwrap();
    assert_eq!(served["value"], r#"{"size":1}"#);
}

#[test]
fn a_document_that_does_not_fit_is_not_served_and_what_was_served_stays() {
    let (scene, bob) = scene();
    let good = bob.refresh().unwrap().revision().0;
    let (audit, directory) = audit_of(&scene);
    let sidecar = Sidecar::start(&scene, &audit);
    let mut events = Events::open(&sidecar.socket, "/api/v1/watch", &[]);
    events.next().unwrap();
    commit(&bob, r#"{"size":"canary"}"#);
    sidecar.refused();
    is_served_as_before(&sidecar, good);
    sidecar.logs("the last good one is served");
    let mended = commit(&bob, r#"{"size":2}"#);
    let next = events.next().unwrap();
    assert_eq!((next.id, next.data["from"].as_u64()), (Some(mended), Some(good)));
    assert_eq!(sidecar.status()["refused"], Value::Null);
    let refusals: Vec<_> = decisions(&directory)
        .into_iter()
        .filter(|record| record["action"] == "verify")
        .map(|record| record["reason"].clone())
        .collect();
    let reason = json!("documents of the store's newest revision are not fit to be served");
    assert_eq!(refusals, [reason]);
    sidecar.terminate();
}

#[test]
fn a_restart_on_what_does_not_fit_serves_the_copy_and_a_first_start_fails() {
    let (scene, bob) = scene();
    let good = bob.refresh().unwrap().revision().0;
    let sidecar = Sidecar::start(&scene, "");
    scene.vault.refresh().unwrap();
    copied(&scene);
    sidecar.kill();
    commit(&bob, r#"{"size":"canary"}"#);
    let sidecar = Sidecar::start(&scene, "");
    is_served_as_before(&sidecar, good);
    sidecar.terminate();
    let (code, said) = ends(&scene.settings_named("other", ""), &[]);
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("`size` must be a whole number"), "{said}");
    assert!(!said.contains("canary"), "{said}");
}

#[test]
fn defaults_are_delivered_and_a_new_one_is_news() {
    let (scene, _) = scene();
    let with = |default: u8| {
        let schema = format!(r#"{{"properties":{{"wait":{{"default":{default}}}}}}}"#);
        put("base", "schema/web", Kind::Schema, schema.as_bytes())
    };
    scene.commit(vec![with(3)]);
    let sidecar = Sidecar::start(&scene, "");
    let mut events = Events::open(&sidecar.socket, "/api/v1/watch", &[]);
    events.next().unwrap();
    let get = || {
        let answer = sidecar.get("/api/v1/configs/web");
        let served: Value = serde_json::from_slice(&answer.body).unwrap();
        let document: Value = serde_json::from_str(served["value"].as_str().unwrap()).unwrap();
        (document, answer.header("etag").unwrap().to_owned())
    };
    let (document, tag) = get();
    assert_eq!(document, json!({"size": 1, "wait": 3}));
    scene.commit(vec![with(4)]);
    let event = events.next().unwrap();
    let told = event.data["changes"].as_array().unwrap();
    assert!(told.iter().any(|change| change["path"] == "web"), "{told:?}");
    let (document, next) = get();
    assert_eq!(document, json!({"size": 1, "wait": 4}));
    assert_ne!(tag, next);
    sidecar.terminate();
}
