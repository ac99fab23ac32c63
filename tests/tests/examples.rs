//! The examples work: the embedding program follows a store, the settings are valid, the scripts
//! are shell.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use strongroom_tests::program::{self, workspace};
use strongroom_tests::scene::Scene;

#[test]
fn the_embedding_example_reads_a_secret_and_follows_it() {
    let embed = program::example("embed");
    let scene = Scene::with(&["prod"]);
    scene.put("prod", "web/token", "four");
    let identity = scene.reader("web", "prod");
    let mut child = scene
        .command(embed)
        .args([&scene.store(), identity.to_str().unwrap(), "prod", "web/token"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok);
    assert!(lines.next().unwrap().ends_with("a secret of 4 bytes"));
    scene.put("prod", "web/token", "eleven.....");
    assert!(lines.next().unwrap().ends_with("a secret of 11 bytes"));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn the_settings_are_valid() {
    let scene = Scene::bare();
    let output = scene
        .command(program::path("strongroom-sidecar"))
        .args(["--check", "--settings"])
        .arg(workspace().join("examples/web.toml"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn the_scripts_are_shell() {
    let mut checked = 0;
    for directory in ["scripts", ".ci"] {
        for entry in fs::read_dir(workspace().join(directory)).unwrap() {
            let path = entry.unwrap().path();
            let text = fs::read_to_string(&path).unwrap();
            let shell = if text.starts_with("#!/bin/sh") {
                "sh"
            } else {
                "bash"
            };
            let status = Command::new(shell).arg("-n").arg(&path).status().unwrap();
            assert!(status.success(), "{} does not parse", path.display());
            checked += 1;
        }
    }
    assert!(checked > 4, "the scripts were not found");
}
