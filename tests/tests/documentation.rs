//! What the READMEs and the book tell people to type is typed here: every block marked `sh test`
//! of a page runs, in order, in one shell and one scratch directory for each page, beside `policies/`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal};
use strongroom_tests::program::{self, workspace};
use strongroom_tests::scene::Scene;
use strongroom_tests::wait;

/// The bodies of the fenced blocks whose info string is `sh test`.
fn runnable(text: &str) -> Vec<&str> {
    let blocks = text
        .split("\n```")
        .map(|block| block.split_once('\n').unwrap_or((block, "")));
    blocks
        .filter(|(info, _)| *info == "sh test")
        .map(|(_, body)| body)
        .collect()
}

#[test]
fn blocks_are_told_apart() {
    let page = "# A\n```sh\nno\n```\n\n```sh test\nyes 1\nyes 2\n```\nword\n```sh test\nyes 3\n```\n";
    assert_eq!(runnable(page), ["yes 1\nyes 2", "yes 3"]);
}

fn pages() -> Vec<PathBuf> {
    let mut pages = vec![
        workspace().join("README.md"),
        workspace().join("policies/README.md"),
    ];
    for entry in fs::read_dir(workspace().join("docs")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "md") {
            pages.push(path);
        }
    }
    pages.sort();
    pages
}

#[test]
fn every_runnable_block_runs() {
    let mut blocks = 0;
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        let script = runnable(&text);
        if script.is_empty() {
            continue;
        }
        blocks += script.len();
        for line in script.iter().flat_map(|block| block.lines()) {
            let is_claim = line.trim_start().starts_with("! ");
            assert!(
                !is_claim,
                "{}: `{line}` never fails: write `if ...; then exit 1; fi`",
                page.display()
            );
        }
        run(&page.display().to_string(), &script.join("\n"));
    }
    assert!(blocks >= 2, "no runnable blocks were found");
}

#[test]
fn the_policies_readme_names_all_that_is_there() {
    let policies = workspace().join("policies");
    let text = fs::read_to_string(policies.join("README.md")).unwrap();
    for entry in fs::read_dir(policies).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let is_named =
            text.contains(&format!("| `{name}` |")) || text.contains(&format!("| [`{name}/`]({name}) |"));
        assert!(is_named || name == "README.md", "{name}");
    }
}

/// Ends a process group, also when the test fails: a page may leave its sidecar running. The group's
/// number is taken as long as one of its processes lives.
struct Group(Pid);

impl Drop for Group {
    fn drop(&mut self) {
        let _ = rustix::process::kill_process_group(self.0, Signal::KILL);
    }
}

/// Runs `script` in a process group of its own, and ends what it left running in that group.
fn run(page: &str, script: &str) {
    let scene = Scene::bare();
    let bin = program::path("strongroom").parent().unwrap().to_owned();
    std::os::unix::fs::symlink(workspace().join("policies"), scene.file("policies")).unwrap();
    let log = fs::File::create(scene.file("output")).unwrap();
    let mut child = Command::new("bash")
        .args(["-euo", "pipefail", "-c", script])
        .current_dir(scene.path())
        .env(
            "PATH",
            format!("{}:{}", bin.display(), std::env::var("PATH").unwrap()),
        )
        .env("HOME", scene.file("home"))
        .env_remove("STRONGROOM_STORE")
        .env_remove("STRONGROOM_IDENTITY")
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .process_group(0)
        .spawn()
        .unwrap();
    let group = Group(Pid::from_child(&child));
    let status = wait::until(page, || child.try_wait().unwrap());
    drop(group);
    let output = fs::read_to_string(scene.file("output")).unwrap_or_default();
    assert!(status.success(), "{page}: {status}\n{output}");
}
