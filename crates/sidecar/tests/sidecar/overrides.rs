//! What this machine says of config changes within a revision: who asks again, resumes a watch or is waited
//! for is told of it all the same.

use std::time::Instant;

use serde_json::json;
use strongroom_core::id::EntryId;
use strongroom_core::kind::Kind;
use strongroom_core::uptake::ConsumerKind;

use crate::http::{Client, Event, Events};
use crate::process::{PATIENCE, Sidecar, until};
use crate::scene::{Scene, environment, path, put};
use crate::uptake::reported;

/// A document `web` and the secret `other/token`; the sidecar's machine says `text` of it.
fn scene(text: &str) -> (Scene, Sidecar) {
    let scene = Scene::new();
    scene.secret("other/token", "one");
    scene.commit(vec![put("prod", "web", Kind::Config, br#"{"size":1}"#)]);
    scene.override_with(text);
    let sidecar = Sidecar::start_on(&scene, &scene.settings_overriding(""));
    (scene, sidecar)
}

fn until_size(sidecar: &Sidecar, size: u8) {
    until("the override is taken", || {
        (sidecar.document("web")["size"] == size).then_some(())
    });
}

fn resumed(sidecar: &Sidecar, last: u64) -> Event {
    let last = format!("last-event-id: {last}");
    let mut events = Events::open(&sidecar.socket, "/api/v1/watch", &[&last]);
    events.next().unwrap()
}

#[test]
fn a_connection_that_asks_all_the_time_gets_the_tag_of_what_it_gets() {
    let (scene, sidecar) = scene(r#"{"size":7}"#);
    let mut client = Client::connect(&sidecar.socket).unwrap();
    let mut ask = |headers: &[&str]| client.request("GET", "/api/v1/configs/web", headers).unwrap();
    let first = ask(&[]).header("etag").unwrap().to_owned();
    scene.override_with(r#"{"size":8}"#);
    // without a pause, in which it would forget what it was told
    let start = Instant::now();
    let other = loop {
        let answer = ask(&[]);
        if answer.json()["value"].as_str().unwrap().contains('8') {
            break answer;
        }
        assert!(start.elapsed() < PATIENCE, "the override is not taken");
    };
    assert_ne!(other.header("etag"), Some(first.as_str()));
    let held = format!("if-none-match: {first}");
    assert_eq!(ask(&[&held]).status, 200);
    sidecar.terminate();
}

#[test]
fn who_resumes_a_watch_does_not_miss_an_override() {
    let (scene, sidecar) = scene(r#"{"size":7}"#);
    // another life of the sidecar may have said something else
    let at = scene.revision();
    assert_eq!(resumed(&sidecar, at).data["resync"], true);
    let next = scene.secret("other/token", "two");
    sidecar.serves(next);
    assert_eq!(resumed(&sidecar, at).data["resync"], true);
    let told = resumed(&sidecar, next).data;
    assert_eq!((&told["resync"], &told["from"]), (&json!(false), &json!(next)));
    scene.override_with(r#"{"size":8}"#);
    until_size(&sidecar, 8);
    assert_eq!(resumed(&sidecar, next).data["resync"], true);
    let last = scene.secret("other/token", "three");
    sidecar.serves(last);
    assert_eq!(resumed(&sidecar, next).data["resync"], true);
    assert_eq!(resumed(&sidecar, last).data["resync"], false);
    sidecar.terminate();
}

fn has(scene: &Scene, entry: EntryId) -> bool {
    let all = reported(scene, ConsumerKind::Socket);
    all.iter().any(|consumer| consumer.of(entry).is_some())
}

#[test]
fn a_secret_that_an_override_brings_into_a_list_is_reported() {
    let (scene, sidecar) = scene(r#"{"size":7}"#);
    let id = |at: &str| {
        let snapshot = scene.vault.snapshot();
        snapshot.entry(&environment("prod"), &path(at)).unwrap().id
    };
    let (web, token) = (id("web"), id("other/token"));
    let mut client = Client::connect(&sidecar.socket).unwrap();
    let mut list = || client.request("GET", "/api/v1/values?prefix=web", &[]).unwrap();
    assert_eq!(list().status, 200);
    until("the list is reported", || has(&scene, web).then_some(()));
    assert!(!has(&scene, token));
    scene.override_with(r#"{"password":{"secret":"other/token"}}"#);
    until("the list has the secret", || {
        list().text().contains("one").then_some(())
    });
    until("the secret is reported", || has(&scene, token).then_some(()));
    sidecar.terminate();
}
