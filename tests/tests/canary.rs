//! A canary in real containers: a flag that a third of equal containers get, by who they are and not by what they say,
//! then all of them, live. And what is known of flags that nobody evaluates.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use serde_json::{Value, json};
use strongroom_tests::container::{Container, Engine, Spec};
use strongroom_tests::program;
use strongroom_tests::scene::Scene;
use strongroom_tests::sidecar::{Settings, Sidecar};
use strongroom_tests::wait;

const SOCKET: &str = "/run/strongroom/sidecar.sock";
const UID: u32 = 2003;

/// The flag, for so many of a hundred instances. It says how many, so that each container tells which of its definitions
/// an answer is of.
fn share(percent: u32) -> Value {
    json!({
        "state": "ENABLED", "variants": {"new": true, "old": false}, "defaultVariant": "old",
        "targeting": {"fractional": [{"var": "$peer.instance"}, ["new", percent], ["old", 100 - percent]]},
        "metadata": {"percent": percent},
    })
}

fn put(scene: &Scene, key: &str, definition: &Value) {
    let text = definition.to_string();
    scene.ok_with(&["put", "prod", key, "--kind", "flag"], text.as_bytes());
}

/// Whether an instance gets the variant, as an operator finds out beforehand.
fn would(scene: &Scene, instance: &str) -> bool {
    let context = json!({"$peer": {"instance": instance}}).to_string();
    let words = ["--json", "flag", "eval", "prod", "probe", "--context", "-"];
    let said: Value = serde_json::from_str(&scene.ok_with(&words, context.as_bytes())).unwrap();
    said["variant"] == "new"
}

/// The variant that a container says it has by the definition for so many.
fn variant(container: &Container<'_>, percent: u32) -> String {
    let answer = |line: &str| -> Option<Value> {
        let (_, answer) = line.strip_prefix("flag ")?.split_once(' ')?;
        let answer: Value = serde_json::from_str(answer).ok()?;
        (answer["metadata"]["percent"] == percent).then_some(answer)
    };
    let line = container.line("the flag", |line| answer(line).is_some());
    answer(&line).unwrap()["variant"].as_str().unwrap().to_owned()
}

#[test]
fn a_third_of_the_containers_switches_and_then_all() {
    let Some(engine) = Engine::new("a canary in real containers") else {
        return;
    };
    let scene = Scene::with(&["prod"]);
    put(&scene, "canary", &share(0));
    let identity = scene.reader("web", "prod");
    let settings = Settings::new(&scene, "web", &identity, "prod");
    let sidecar = Sidecar::start(&scene, &settings.for_user(UID));
    let start = |number: usize| {
        let spec = Spec::new(&format!("canary-{number}"), UID)
            .mount(sidecar.directory(), "/run/strongroom")
            .mount(&program::static_consumer(), "/bin/consumer");
        engine.start(spec, &["consumer", SOCKET, "--flag", "canary"])
    };
    // three of which a third gets it: who gets it is in their ids, which the engine makes
    put(&scene, "probe", &share(33));
    let (mut first, mut others) = (Vec::new(), Vec::new());
    for number in 0..60 {
        let container = start(number);
        let (place, wanted) = match would(&scene, &container.id()) {
            true => (&mut first, 1),
            false => (&mut others, 2),
        };
        if place.len() < wanted {
            place.push(container);
        }
        if first.len() == 1 && others.len() == 2 {
            break;
        }
    }
    let [first] = first.as_slice() else {
        panic!("no canary in 60")
    };
    assert_eq!(others.len(), 2);
    let all = || others.iter().chain([first]);
    all().for_each(|container| assert_eq!(variant(container, 0), "old"));

    put(&scene, "canary", &share(33));
    assert_eq!(variant(first, 33), "new");
    others
        .iter()
        .for_each(|other| assert_eq!(variant(other, 33), "old"));

    put(&scene, "canary", &share(100));
    all().for_each(|container| assert_eq!(variant(container, 100), "new"));
}

#[test]
fn a_flag_that_nobody_evaluates_is_stale() {
    let scene = Scene::with(&["prod"]);
    let rule = json!({
        "state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "off",
        "targeting": {"if": [{"==": [{"var": "name"}, "ada"]}, "on"]},
    });
    put(&scene, "used", &rule);
    put(&scene, "unused", &rule);
    let stale = || -> Vec<(String, String)> {
        let said = scene.ok(&["--json", "flag", "stale", "prod", "--days", "0"]);
        let said: Value = serde_json::from_str(&said).unwrap();
        let stale = said["stale"].as_array().unwrap().iter();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        stale
            .map(|one| (text(&one["key"]), text(&one["reason"])))
            .collect()
    };
    // without a sidecar nobody knows
    assert_eq!(stale(), []);
    let identity = scene.reader("web", "prod");
    let sidecar = Sidecar::start(&scene, &Settings::new(&scene, "web", &identity, "prod"));
    let answer =
        strongroom_tests::http::post(&sidecar.socket(), "/ofrep/v1/evaluate/flags/used", "{}").unwrap();
    assert_eq!(answer.status, 200);
    let nobody = ("unused".to_owned(), "nobody evaluates it".to_owned());
    wait::until("it is reported who evaluates what", || {
        (stale() == [nobody.clone()]).then_some(())
    });
}
