//! Policies that do not hold, as an admin's program without our checks commits them: they are not
//! served, and what was served before stays.

use std::path::Path;

use serde_json::{Value, json};
use strongroom_core::commit::{AdminChange, EntryChange, decode};
use strongroom_core::crypto::seal::{Context, Purpose};
use strongroom_core::id::Version;
use strongroom_core::kind::Kind;

use crate::forge::{append_with, commits, sealed};
use crate::grant::{audit_of, decisions};
use crate::http::Events;
use crate::offline::copied;
use crate::process::{Sidecar, ends, until};
use crate::scene::{Scene, put};

const GOOD: &str = r#"permit (principal, action, resource);
    forbid (principal is Workload, action, resource in Path::"prod/other");"#;
/// Without a `;` it is no policy.
const BAD: &str = "permit (principal, action, resource)";

/// `web/token`, and `other/key`, which policy keeps from workloads.
fn scene() -> Scene {
    let scene = Scene::with_token();
    scene.secret("other/key", "hidden");
    scene.commit(vec![put("prod", "policy/test", Kind::Policy, GOOD.as_bytes())]);
    scene
}

/// Puts the policy's next version without any check; the revision.
fn forge(scene: &Scene, text: &str) -> u64 {
    let store = scene.store();
    let all: Vec<_> = commits(&store)
        .iter()
        .map(|stored| decode(&stored.bytes).unwrap().0)
        .collect();
    let common = all.iter().flat_map(|commit| &commit.admin).find_map(|change| {
        let AdminChange::CompartmentAdd { id, .. } = change else {
            return None;
        };
        Some(*id)
    });
    // nothing else lies there
    let mut policies = all.iter().flat_map(|commit| &commit.entries).rev();
    let last = *policies
        .find(|change| Some(change.compartment) == common)
        .unwrap();
    let version = Version(last.version.0 + 1);
    let context = Context {
        store: all[0].store,
        purpose: Purpose::Value,
        compartment: last.compartment,
        subject: last.id.0,
        version: version.0,
        kind: Kind::Policy as u8,
    };
    let value = sealed(&store, &scene.admin, &context, text.as_bytes());
    let change = EntryChange {
        version,
        value: Some(value.hash),
        ..last
    };
    append_with(&store, &scene.admin, &[value], |commit| {
        commit.entries = vec![change]
    });
    commits(&store).last().unwrap().head.revision.0
}

/// What is recorded of revisions that are not served.
fn refusals(directory: &Path) -> Vec<(Value, Value)> {
    let all = decisions(directory).into_iter();
    all.filter(|record| record["action"] == "verify")
        .map(|record| {
            assert_eq!(record["decision"], "deny");
            (record["reason"].clone(), record["revision"].clone())
        })
        .collect()
}

fn is_served_as_before(sidecar: &Sidecar, revision: u64) {
    let status = sidecar.status();
    assert_eq!(status["revision"], revision);
    let refused = status["refused"].as_str().unwrap();
    assert!(
        refused.contains("\"policy/test\" in \"prod\": line 1"),
        "{refused}"
    );
    assert_eq!(sidecar.secret("web/token"), "one");
    assert_eq!(sidecar.get("/api/v1/secrets/other/key").status, 404);
}

#[test]
fn policies_that_do_not_hold_are_not_served_and_what_was_served_stays() {
    let scene = scene();
    let good = scene.revision();
    let (audit, directory) = audit_of(&scene);
    let sidecar = Sidecar::start(&scene, &audit);
    let mut events = Events::open(&sidecar.socket, "/api/v1/watch", &[]);
    events.next().unwrap();
    forge(&scene, BAD);
    sidecar.refused();
    is_served_as_before(&sidecar, good);
    sidecar.logs("the last good one is served");
    let reason = json!("the policies of the store's newest revision are not valid");
    let once = [(reason, json!(good))];
    until("it is recorded", || {
        (!refusals(&directory).is_empty()).then_some(())
    });
    // what comes after it is not served either, and is the same refusal
    forge(&scene, BAD);
    let last = forge(&scene, &format!("{GOOD} // mended"));
    until("the mended policies are served", || {
        (sidecar.status()["revision"] == last).then_some(())
    });
    assert_eq!(sidecar.status()["refused"], Value::Null);
    assert_eq!(refusals(&directory), once);
    // watchers went from the last good revision to the next
    let next = events.next().unwrap();
    assert_eq!((next.id, next.data["from"].as_u64()), (Some(last), Some(good)));
    sidecar.terminate();
}

#[test]
fn what_was_served_is_served_again_after_a_restart_on_policies_that_do_not_hold() {
    let scene = scene();
    let good = scene.revision();
    let (audit, directory) = audit_of(&scene);
    let sidecar = Sidecar::start(&scene, &audit);
    copied(&scene);
    sidecar.kill();
    // committed while it was away, so that it never saw them
    forge(&scene, BAD);
    for life in 1..3 {
        let sidecar = Sidecar::start(&scene, &audit);
        is_served_as_before(&sidecar, good);
        until("it is recorded, once in each life", || {
            (refusals(&directory).len() == life).then_some(())
        });
        // what comes after it is refused all the same, and that is not a record of its own
        let mut events = Events::open(&sidecar.socket, "/api/v1/watch", &[]);
        events.next().unwrap();
        forge(&scene, BAD);
        if life == 1 {
            sidecar.logs("the store is back");
            is_served_as_before(&sidecar, good);
            sidecar.kill();
            continue;
        }
        let mended = forge(&scene, GOOD);
        let next = events.next().unwrap();
        assert_eq!((next.id, next.data["from"].as_u64()), (Some(mended), Some(good)));
        assert_eq!(sidecar.status()["refused"], Value::Null);
        assert_eq!(refusals(&directory).len(), life);
        sidecar.terminate();
    }
    let unguarded = json!("the policies of the store's newest revision are not valid");
    let each = (unguarded, json!(good));
    assert_eq!(refusals(&directory), [each.clone(), each]);
}

#[test]
fn a_sidecar_that_never_had_good_policies_does_not_start() {
    let scene = scene();
    forge(&scene, BAD);
    let (code, said) = ends(&scene.settings(""), &[]);
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("\"policy/test\" in \"prod\": line 1"), "{said}");
}
