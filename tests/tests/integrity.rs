//! An untrusted store file, from the command line and the sidecar: what was rolled back, replaced
//! or damaged is refused with exit code 4 and named; nothing wrong is ever printed as a value.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::fs;
use std::path::Path;

use strongroom_tests::dice::Dice;
use strongroom_tests::scene::Scene;
use strongroom_tests::sidecar::{Settings, Sidecar};
use strongroom_tests::wait;

const FILES: [&str; 3] = ["store.db", "store.db-wal", "store.db-shm"];

fn copy_store(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in FILES {
        let _ = fs::remove_file(to.join(file));
        if from.join(file).exists() {
            fs::copy(from.join(file), to.join(file)).unwrap();
        }
    }
}

/// The CLI's exit code and error output for reading `web/token`.
fn get(scene: &Scene) -> (Option<i32>, String, String) {
    let output = scene.run(&["get", "prod", "web/token"]);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn yesterdays_file_is_refused() {
    let scene = Scene::with(&["prod"]);
    scene.put("prod", "web/token", "one");
    let backup = scene.file("yesterday");
    copy_store(scene.path(), &backup);
    scene.put("prod", "web/token", "two");
    assert_eq!(get(&scene).1, "two");

    copy_store(&backup, scene.path());
    let (code, value, error) = get(&scene);
    assert_eq!((code, value.as_str()), (Some(4), ""), "{error}");
    assert!(error.contains("rolled back"), "{error}");
    assert_eq!(scene.run(&["verify"]).status.code(), Some(4));
    assert_eq!(
        scene
            .run(&["put", "prod", "web/token", "--value", "x"])
            .status
            .code(),
        Some(4)
    );
}

#[test]
fn another_store_in_its_place_is_refused() {
    let scene = Scene::with(&["prod"]);
    scene.put("prod", "web/token", "ours");
    let other = Scene::with(&["prod"]);
    other.put("prod", "web/token", "theirs");
    // signed by the very same identity: only the fingerprint tells them apart
    copy_store(other.path(), scene.path());
    fs::copy(other.file("alice.identity"), scene.file("alice.identity")).unwrap();
    let (code, value, error) = get(&scene);
    assert_eq!((code, value.as_str()), (Some(4), ""), "{error}");
    assert!(
        error.contains("fingerprint") || error.contains("another store"),
        "{error}"
    );
}

#[test]
fn a_flipped_bit_is_never_read_as_a_value() {
    let scene = Scene::with(&["prod"]);
    for path in ["web/token", "web/other", "api/key"] {
        scene.put("prod", path, "the right value");
    }
    // everything into the main file, so that one file is the whole store
    let whole = scene.file("whole");
    copy_store(scene.path(), &whole);
    let files: Vec<_> = FILES[..2]
        .iter()
        .filter(|file| whole.join(file).exists())
        .collect();
    let mut dice = Dice::new();
    let mut refused = 0;
    for _ in 0..60 {
        let file = files[usize::try_from(dice.below(files.len() as u64)).unwrap()];
        let mut bytes = fs::read(whole.join(file)).unwrap();
        if bytes.is_empty() {
            continue;
        }
        let at = usize::try_from(dice.below(bytes.len() as u64)).unwrap();
        let bit = u8::try_from(dice.below(8)).unwrap();
        bytes[at] ^= 1 << bit;
        copy_store(&whole, scene.path());
        fs::write(scene.path().join(file), bytes).unwrap();
        let (code, value, error) = get(&scene);
        match code {
            // free space, or a byte that SQLite's own log makes good
            Some(0) => assert_eq!(value, "the right value", "{file} at {at}, bit {bit}"),
            Some(1 | 4 | 5) => {
                assert_eq!(value, "", "{file} at {at}, bit {bit}");
                refused += 1;
            }
            other => panic!("{file} at {at}, bit {bit}: exit {other:?}: {error}"),
        }
        assert!(!error.contains("panicked"), "{error}");
    }
    assert!(refused > 0, "no flipped bit was noticed");
}

#[test]
fn a_sidecar_refuses_a_rollback_and_keeps_serving() {
    let scene = Scene::with(&["prod"]);
    scene.put("prod", "web/token", "one");
    let backup = scene.file("yesterday");
    copy_store(scene.path(), &backup);
    scene.put("prod", "web/token", "two");
    let identity = scene.reader("web", "prod");
    let settings = Settings::new(&scene, "web", &identity, "prod");
    let sidecar = Sidecar::start(&scene, &settings);
    assert_eq!(sidecar.secret("web/token").as_deref(), Some("two"));
    sidecar.kept();

    copy_store(&backup, scene.path());
    wait::until("the refusal in the status", || {
        let status = sidecar.get("status").json();
        (!status["refused"].is_null() || !status["stale_since"].is_null()).then_some(())
    });
    assert_eq!(
        sidecar.secret("web/token").as_deref(),
        Some("two"),
        "the last good revision serves"
    );

    // a restarted one remembers what it verified
    sidecar.kill();
    let mut sidecar = Sidecar::launch(&scene, &settings);
    sidecar.ready();
    assert_eq!(
        sidecar.secret("web/token").as_deref(),
        Some("two"),
        "{}",
        sidecar.log()
    );
    assert!(
        !sidecar.get("status").json()["refused"].is_null(),
        "{}",
        sidecar.log()
    );
}

#[test]
fn truncated_and_foreign_files_are_refused() {
    let scene = Scene::with(&["prod"]);
    scene.put("prod", "web/token", "one");
    let whole = scene.file("whole");
    copy_store(scene.path(), &whole);
    for (what, bytes) in [
        ("empty", Vec::new()),
        (
            "no store",
            b"this is no store at all, whatever its name says".to_vec(),
        ),
        ("half", {
            let bytes = fs::read(whole.join("store.db")).unwrap();
            bytes[..bytes.len() / 2].to_vec()
        }),
    ] {
        for file in FILES {
            let _ = fs::remove_file(scene.file(file));
        }
        fs::write(scene.file("store.db"), bytes).unwrap();
        let (code, value, error) = get(&scene);
        assert!(matches!(code, Some(1 | 4 | 5)), "{what}: {code:?} {error}");
        assert_eq!(value, "", "{what}");
        assert!(!error.contains("panicked"), "{what}: {error}");
    }
}

#[test]
fn a_past_that_the_storage_lost_is_gone_and_the_present_serves_on() {
    let scene = Scene::with(&["prod"]);
    let identity = scene.reader("web", "prod");
    for value in ["one", "two", "three"] {
        scene.put("prod", "web/token", value);
    }
    let sidecar = Sidecar::start(&scene, &Settings::new(&scene, "web", &identity, "prod"));
    let newest = sidecar.get("status").json()["revision"].as_i64().unwrap();
    let file = rusqlite::Connection::open(scene.file("store.db")).unwrap();
    let lost = file
        .execute("DELETE FROM commits WHERE revision = ?1", [newest - 1])
        .unwrap();
    assert_eq!(lost, 1);
    drop(file);

    let answer = sidecar.get(&format!("secrets/web/token?at={}", newest - 1));
    assert_eq!(
        (answer.status, answer.json()["error"]["code"].as_str()),
        (410, Some("gone"))
    );
    let message = answer.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains(&(newest - 1).to_string()), "{message}");
    assert_eq!(sidecar.secret("web/token").as_deref(), Some("three"));
}
