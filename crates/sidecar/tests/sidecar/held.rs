//! Revisions that are held back because of what this machine says or wants made, and what lets them
//! through.

use serde_json::{Value, json};
use strongroom_core::kind::Kind;
use strongroom_core::vault::Edit;

use crate::grant::audit_of;
use crate::process::{Sidecar, until};
use crate::scene::{Scene, put};

fn web(size: u8) -> Edit {
    let text = json!({ "size": size }).to_string();
    put("prod", "web", Kind::Config, text.as_bytes())
}

/// A sidecar with an override of `web`, whose size is then held to a range by the next revision, which has
/// another size itself.
fn held_back(range: &Value, size: u8) -> (Scene, Sidecar, u64) {
    let scene = Scene::with_token();
    let schema = |range: &Value| {
        let text = json!({ "properties": { "size": range } }).to_string();
        put("prod", "schema/web", Kind::Schema, text.as_bytes())
    };
    scene.commit(vec![schema(&json!({ "maximum": 100 })), web(1)]);
    scene.override_with(r#"{"size":7}"#);
    let sidecar = Sidecar::start_on(&scene, &scene.settings_overriding(""));
    let held = scene.commit(vec![schema(range), web(size)]);
    assert!(sidecar.refused().contains("size"));
    assert_eq!(sidecar.document("web")["size"], 7);
    (scene, sidecar, held)
}

#[test]
fn an_override_that_is_mended_lets_the_revision_through_that_it_held_back() {
    let (scene, sidecar, held) = held_back(&json!({ "maximum": 5 }), 1);
    scene.override_with(r#"{"size":4}"#);
    sidecar.serves(held);
    let status = sidecar.status();
    assert_eq!(status["refused"], Value::Null);
    assert_eq!(sidecar.document("web")["size"], 4);
    sidecar.terminate();
}

#[test]
fn an_override_that_fits_the_newest_revision_alone_is_taken_with_it() {
    let (scene, sidecar, held) = held_back(&json!({ "minimum": 150 }), 200);
    scene.override_with(r#"{"size":160}"#);
    sidecar.serves(held);
    assert_eq!(sidecar.status()["refused"], Value::Null);
    assert_eq!(sidecar.document("web")["size"], 160);
    sidecar.terminate();
}

#[test]
fn an_override_that_fits_what_is_served_alone_is_taken_and_the_newest_stays_held_back() {
    let (scene, sidecar, held) = held_back(&json!({ "maximum": 5 }), 1);
    scene.override_with(r#"{"size":8}"#);
    until("it is taken", || {
        (sidecar.document("web")["size"] == 8).then_some(())
    });
    sidecar.refused();
    assert!(sidecar.status()["revision"].as_u64().unwrap() < held);
    sidecar.terminate();
}

#[test]
fn overrides_are_judged_by_what_the_same_settings_want_made() {
    let scene = Scene::with_token();
    scene.commit(vec![web(1)]);
    for name in ["a", "b", "c"] {
        let text = json!({ name: name }).to_string();
        std::fs::write(scene.file(format!("{name}.local.json")), text).unwrap();
    }
    let settings = |local: &str, key: &str| {
        let overrides = format!("overrides = {{ web = \"{local}.local.json\" }}\n");
        let files = format!(
            "[[files]]\nderive = false\ndirectory = {:?}\nnames.conf = {{ config = \"web\", key = \"{key}\" }}\n",
            scene.file("files")
        );
        scene.settings_with("web", &overrides, &files)
    };
    let conf = || std::fs::read_to_string(scene.file("files/conf")).unwrap_or_default();
    let sidecar = Sidecar::start_on(&scene, &settings("a", "a"));
    assert_eq!(conf(), "a");
    settings("b", "b");
    until("both are taken", || (conf() == "b").then_some(()));
    assert_eq!(sidecar.document("web"), json!({ "size": 1, "b": "b" }));
    // refused, neither leaves anything behind
    settings("c", "none");
    sidecar.logs("their overrides do not fit");
    let next = scene.commit(vec![web(2)]);
    sidecar.serves(next);
    assert_eq!(sidecar.document("web"), json!({ "size": 2, "b": "b" }));
    assert_eq!(conf(), "b");
    sidecar.terminate();
}

#[test]
fn what_an_audit_log_holds_up_is_served_when_the_log_is_written_again() {
    let scene = Scene::with_token();
    let (audit, log) = audit_of(&scene);
    scene.commit(vec![web(1)]);
    scene.override_with(r#"{"user":"a"}"#);
    let files = format!(
        "[[files]]\nderive = false\ndirectory = {:?}\nnames.conf = {{ config = \"web\", format = \"json\" }}\n{audit}",
        scene.file("files")
    );
    let sidecar = Sidecar::start_on(&scene, &scene.settings_overriding(&files));
    // the log's directory goes, with its files, and something else has its name
    let aside = scene.file("aside");
    let hold_up = || {
        std::fs::rename(&log, &aside).unwrap();
        std::fs::write(&log, "in the way").unwrap();
        until("the loss is noticed", || {
            (sidecar.get("/api/v1/configs/web").status == 503).then_some(())
        });
    };
    let let_go = || {
        std::fs::remove_file(&log).unwrap();
        std::fs::rename(&aside, &log).unwrap();
    };
    hold_up();
    let held = scene.commit(vec![web(2)]);
    sidecar.refused();
    let_go();
    sidecar.serves(held);
    until("it is no more refused", || {
        sidecar.status()["refused"].is_null().then_some(())
    });
    // the same of settings
    hold_up();
    scene.override_with(r#"{"user":"b"}"#);
    sidecar.logs("their overrides do not fit");
    let_go();
    let conf = || std::fs::read(scene.file("files/conf")).unwrap_or_default();
    until("the override is taken", || {
        let delivered: Value = serde_json::from_slice(&conf()).ok()?;
        (delivered == json!({ "size": 2, "user": "b" })).then_some(())
    });
    sidecar.terminate();
}
