//! The store goes away and comes back: the sidecar serves on and says since when, restarts from
//! its sealed copy, and catches up by itself.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::fs;

use strongroom_tests::http;
use strongroom_tests::scene::Scene;
use strongroom_tests::sidecar::{Settings, Sidecar};
use strongroom_tests::wait;

const FILES: [&str; 3] = ["store.db", "store.db-wal", "store.db-shm"];

/// Moves the store's files between the scene and a directory beside it.
fn move_store(scene: &Scene, away: bool) {
    let shelf = scene.file("shelf");
    fs::create_dir_all(&shelf).unwrap();
    for file in FILES {
        let (here, there) = (scene.file(file), shelf.join(file));
        let (from, to) = if away { (here, there) } else { (there, here) };
        if from.exists() {
            fs::rename(from, to).unwrap();
        }
    }
}

fn stale(sidecar: &Sidecar) -> Option<String> {
    let answer = http::get(&sidecar.socket(), "/api/v1/secrets/web/token", &[]).unwrap();
    assert_eq!(answer.status, 200, "{}", sidecar.log());
    answer.header("strongroom-stale-since").map(str::to_owned)
}

#[test]
fn a_store_that_goes_away_is_served_through() {
    let scene = Scene::with(&["prod"]);
    scene.put("prod", "web/token", "one");
    let identity = scene.reader("web", "prod");
    let settings = Settings::new(&scene, "web", &identity, "prod");
    let sidecar = Sidecar::start(&scene, &settings);
    assert_eq!(stale(&sidecar), None);
    sidecar.kept();

    move_store(&scene, true);
    let since = wait::until("staleness in answers", || stale(&sidecar));
    assert!(
        since.contains('T') && since.ends_with('Z'),
        "{since} is no RFC 3339 time"
    );
    assert_eq!(sidecar.secret("web/token").as_deref(), Some("one"));

    // restarted without its store
    assert_eq!(sidecar.terminate(), Some(0));
    let sidecar = Sidecar::start(&scene, &settings);
    assert_eq!(sidecar.secret("web/token").as_deref(), Some("one"));
    assert!(stale(&sidecar).is_some(), "{}", sidecar.log());

    // and back, with something new
    move_store(&scene, false);
    scene.put("prod", "web/token", "two");
    wait::until("the new value", || {
        (sidecar.secret("web/token").as_deref() == Some("two")).then_some(())
    });
    wait::until("freshness", || stale(&sidecar).is_none().then_some(()));
}

#[test]
fn the_sealed_copy_holds_no_plaintext() {
    let scene = Scene::with(&["prod"]);
    scene.put("prod", "web/token", "canary-in-a-copy");
    let identity = scene.reader("web", "prod");
    let settings = Settings::new(&scene, "web", &identity, "prod");
    let sidecar = Sidecar::start(&scene, &settings);
    assert_eq!(sidecar.secret("web/token").as_deref(), Some("canary-in-a-copy"));
    assert_eq!(sidecar.terminate(), Some(0));

    let mut looked = 0;
    let mut directories = vec![scene.path().to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if let Ok(bytes) = fs::read(&path) {
                looked += 1;
                let found = bytes.windows(6).any(|window| window == b"canary");
                assert!(!found, "{} holds a plaintext", path.display());
            }
        }
    }
    assert!(looked > 3, "the files were not found");
}
