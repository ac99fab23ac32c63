//! `make demo`, run as it is: it must show both changes by both ways and leave nothing behind.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::path::Path;
use std::process::Command;

use strongroom_tests::program::{self, workspace};
use strongroom_tests::{component, container};

#[test]
fn the_demo_shows_the_whole_way_and_cleans_up() {
    if !component::present("curl", "the demo") {
        return;
    }
    // the demo itself falls back to a plain process; a test of it under CI must see a container
    let engine = container::Engine::new("the demo in a container");
    let scratch = tempfile::tempdir().unwrap();
    let output = Command::new(workspace().join("scripts/demo.sh"))
        .env(
            "STRONGROOM_DEMO_BIN",
            program::path("strongroom").parent().unwrap(),
        )
        .env("TMPDIR", scratch.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{errors}");

    for value in ["second-secret", "third-secret"] {
        let row = text.lines().find(|line| line.starts_with(value)).expect(value);
        assert_eq!(row.matches(" ms").count(), 2, "{row}");
        assert!(
            !row.contains('-') || !row.split(' ').any(|word| word.starts_with('-')),
            "{row}"
        );
    }
    assert!(text.contains("WEB_TOKEN=first-secret WEB_NEW_UI=true"), "{text}");
    assert!(text.contains("greeting = \"hello\""), "{text}");
    assert_eq!(text.contains("NO CONTAINER"), engine.is_none(), "{text}");

    let left: Vec<_> = std::fs::read_dir(scratch.path()).unwrap().collect();
    assert!(left.is_empty(), "the demo left {left:?}");
    // values in the clear lie in memory; the last line says where
    let removed = text.lines().last().expect("the demo says what it removes");
    let places: Vec<&str> = removed.split(' ').filter(|word| word.starts_with('/')).collect();
    let has_memory = Path::new("/dev/shm").is_dir();
    assert!(
        !has_memory
            || places
                .iter()
                .any(|place| place.starts_with("/dev/shm/strongroom-demo.")),
        "{removed}"
    );
    for place in places {
        assert!(!Path::new(place).exists(), "the demo left {place}");
    }
}
