//! Many watchers: each gets every revision in order, and one that comes back gets what it missed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::sync::Barrier;

use strongroom_tests::http::{self, Event, Events};
use strongroom_tests::scene::Scene;
use strongroom_tests::sidecar::{Settings, Sidecar};

/// As many as fit the common limit of 1,024 open files, in the test and in the sidecar.
const WATCHERS: usize = 300;

fn revision(event: &Event) -> u64 {
    assert_eq!(event.event, "revision", "{event:?}");
    event.id.parse().unwrap()
}

/// Reads events from `last` on up to the revision `wanted`: the paths they name. Each must begin
/// where the one before ended, so that nothing is left out, told twice or taken back.
fn reach(events: &mut Events, mut last: u64, wanted: u64) -> Vec<String> {
    let mut paths = Vec::new();
    while last < wanted {
        let event = events.next().expect("the stream goes on").unwrap();
        let data: serde_json::Value = serde_json::from_str(&event.data).unwrap();
        assert_eq!(
            (data["from"].as_u64(), &data["resync"]),
            (Some(last), &false.into()),
            "{data}"
        );
        let next = revision(&event);
        assert!(next > last, "{next} came after {last}");
        last = next;
        let changes = data["changes"].as_array().unwrap().iter();
        paths.extend(changes.map(|change| change["path"].as_str().unwrap().to_owned()));
    }
    paths
}

#[test]
fn every_watcher_gets_every_change() {
    let scene = Scene::with(&["prod"]);
    scene.put("prod", "web/token", "0");
    let identity = scene.reader("web", "prod");
    let sidecar = Sidecar::start(&scene, &Settings::new(&scene, "web", &identity, "prod"));
    let start = sidecar.get("status").json()["revision"].as_u64().unwrap();

    let connected = Barrier::new(WATCHERS + 1);
    std::thread::scope(|scope| {
        for _ in 0..WATCHERS {
            let (socket, connected) = (sidecar.socket(), &connected);
            scope.spawn(move || {
                let mut events = http::events(&socket, "/api/v1/watch", &[]).unwrap();
                let first = revision(&events.next().unwrap().unwrap());
                assert_eq!(first, start);
                connected.wait();
                let paths = reach(&mut events, first, start + 3);
                // in one step or in three
                assert!(!paths.is_empty() && paths.iter().all(|path| path == "web/token"));
            });
        }
        connected.wait();
        assert_eq!(sidecar.get("status").json()["watchers"], WATCHERS);
        for number in 1..=3 {
            scene.put("prod", "web/token", &number.to_string());
        }
    });
    assert_eq!(sidecar.secret("web/token").as_deref(), Some("3"));
}

#[test]
fn a_watcher_that_comes_back_learns_what_it_missed() {
    let scene = Scene::with(&["prod"]);
    scene.put("prod", "web/token", "1");
    scene.put("prod", "web/calm", "1");
    let identity = scene.reader("web", "prod");
    let settings = Settings::new(&scene, "web", &identity, "prod");
    let sidecar = Sidecar::start(&scene, &settings);
    let mut events = http::events(&sidecar.socket(), "/api/v1/watch", &[]).unwrap();
    let seen = events.next().unwrap().unwrap();
    drop(events);

    scene.put("prod", "web/token", "2");
    scene.put("prod", "web/token", "3");
    let last = format!("last-event-id: {}", seen.id);
    strongroom_tests::wait::until("the new revision", || {
        (sidecar.secret("web/token").as_deref() == Some("3")).then_some(())
    });
    let mut events = http::events(&sidecar.socket(), "/api/v1/watch", &[&last]).unwrap();
    // in one step or in two, but all of it and nothing else
    let newest = revision(&seen) + 2;
    let paths = reach(&mut events, revision(&seen), newest);
    assert!(
        !paths.is_empty() && paths.iter().all(|path| path == "web/token"),
        "{paths:?}"
    );

    // from a revision that it cannot know: read everything again
    let mut events = http::events(&sidecar.socket(), "/api/v1/watch", &["last-event-id: 999999"]).unwrap();
    let event = events.next().unwrap().unwrap();
    let data: serde_json::Value = serde_json::from_str(&event.data).unwrap();
    assert_eq!(
        (revision(&event), &data["resync"]),
        (newest, &true.into()),
        "{data}"
    );
}
