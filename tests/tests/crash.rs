//! Crashes: writers and sidecars are killed with SIGKILL at random points. No acknowledged revision
//! is lost, and nobody ever sees half of one: every commit here sets several entries to one number,
//! so that a reader who finds two numbers has found half a commit.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use strongroom_core::crypto::identity::Identity;
use strongroom_core::kind::Kind;
use strongroom_core::name::{EntryPath, EnvironmentName};
use strongroom_core::secret::Secret;
use strongroom_core::snapshot::Snapshot;
use strongroom_core::vault::{Change, Edit, Expect, OpenOptions, Put, Vault};
use strongroom_core::{config, store};
use strongroom_tests::dice::Dice;
use strongroom_tests::scene::{Scene, feed};
use strongroom_tests::sidecar::{Settings, Sidecar};

const PATHS: [&str; 3] = ["crash/a", "crash/b", "crash/c"];
/// How many kills; each series is bounded in time by the number.
const WRITER_KILLS: u32 = 200;
const COMMAND_KILLS: u32 = 60;
const SIDECAR_KILLS: u32 = 50;

fn prod() -> EnvironmentName {
    EnvironmentName::new("prod").unwrap()
}

fn open(location: &str, identity: &str, writable: bool) -> Vault {
    let identity = Identity::read_file(identity.as_ref(), || None).unwrap();
    let store = store::open(location, writable).unwrap();
    Vault::open(Arc::from(store), Arc::new(identity), OpenOptions::default()).unwrap()
}

fn alice(scene: &Scene) -> String {
    scene.file("alice.identity").to_str().unwrap().to_owned()
}

/// All entries set to `number`, in one change.
fn change(number: u64) -> Change {
    let edits = PATHS.iter().map(|path| {
        Edit::Put(Put {
            environment: prod(),
            path: EntryPath::new(path).unwrap(),
            kind: Kind::Secret,
            value: Secret::new(number.to_string().into_bytes()),
            format: config::Format::Text,
            labels: None,
            compartment: None,
            expect: Expect::Any,
        })
    });
    Change {
        message: String::new(),
        edits: edits.collect(),
    }
}

/// The one number that all entries have in `snapshot`; 0 before the first commit.
fn number(snapshot: &Snapshot) -> u64 {
    let numbers: Vec<Option<u64>> = PATHS
        .iter()
        .map(|path| {
            let reading = snapshot.read(&prod(), &EntryPath::new(path).unwrap()).ok()?;
            reading
                .value
                .expose(|bytes| std::str::from_utf8(bytes).unwrap().parse().ok())
        })
        .collect();
    assert!(
        numbers.iter().all(|number| *number == numbers[0]),
        "half a commit was seen at revision {}: {numbers:?}",
        snapshot.revision()
    );
    numbers[0].unwrap_or(0)
}

/// Not a test of its own: the writer that `a_killed_writer_loses_nothing` starts and kills. It
/// commits one number after the other and prints each once it is durable.
#[test]
#[ignore = "the child of another test"]
fn writer_child() {
    let (Ok(location), Ok(identity)) = (std::env::var("CRASH_STORE"), std::env::var("CRASH_IDENTITY")) else {
        return;
    };
    let vault = open(&location, &identity, true);
    let mut next = number(&vault.snapshot());
    let mut out = std::io::stdout();
    loop {
        next += 1;
        vault.commit(&change(next)).unwrap();
        writeln!(out, "committed {next}").unwrap();
        out.flush().unwrap();
    }
}

fn start_writer(scene: &Scene) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "writer_child",
            "--exact",
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .env("CRASH_STORE", scene.store())
        .env("CRASH_IDENTITY", alice(scene))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Reads to the end of a killed writer's output: the last number it acknowledged.
fn acknowledged(lines: impl Iterator<Item = std::io::Result<String>>) -> Option<u64> {
    let numbers = lines.map_while(Result::ok).filter_map(|line| {
        let (_, number) = line.split_once("committed ")?;
        number.parse().ok()
    });
    numbers.last()
}

#[test]
fn a_killed_writer_loses_nothing() {
    let scene = Scene::with(&["prod"]);
    let mut dice = Dice::new();
    let reader = Arc::new(open(&scene.store(), &alice(&scene), false));
    reader.follow().unwrap();

    // a reader that looks all the time, in this process, while writers die in theirs
    let stop = Arc::new(AtomicBool::new(false));
    let watcher = std::thread::spawn({
        let (reader, stop) = (Arc::clone(&reader), Arc::clone(&stop));
        move || {
            let mut last = 0;
            while !stop.load(Ordering::Relaxed) {
                let seen = number(&reader.snapshot());
                assert!(seen >= last, "went back from {last} to {seen}");
                last = seen;
                std::thread::sleep(Duration::from_micros(200));
            }
        }
    });

    let mut highest = 0;
    for round in 0..WRITER_KILLS {
        let mut writer = start_writer(&scene);
        let mut lines = BufReader::new(writer.stdout.take().unwrap()).lines();
        // wait for its first commit, so that the kill hits the loop and not the start
        let first = lines
            .by_ref()
            .map_while(Result::ok)
            .find(|line| line.contains("committed "));
        assert!(first.is_some(), "round {round}: the writer did not start");
        dice.pause(Duration::from_millis(20));
        writer.kill().unwrap();
        writer.wait().unwrap();
        let first = acknowledged(first.map(Ok).into_iter()).unwrap();
        let last = acknowledged(lines).unwrap_or(first).max(first);

        let found = number(&open(&scene.store(), &alice(&scene), false).snapshot());
        assert!(
            found >= last,
            "round {round}: {last} was acknowledged and {found} was found"
        );
        assert!(found <= last + 1, "round {round}: {found} was found after {last}");
        assert!(found > highest, "round {round}: no progress");
        highest = found;
    }
    stop.store(true, Ordering::Relaxed);
    watcher.join().unwrap();
    reader.refresh().unwrap();
    assert_eq!(number(&reader.snapshot()), highest);
    scene.ok(&["verify"]);
}

#[test]
fn a_killed_command_loses_nothing() {
    let scene = Scene::with(&["prod"]);
    let mut dice = Dice::new();
    scene.put("prod", "crash/a", "0");

    // how long one takes when nobody kills it
    let start = Instant::now();
    scene.put("prod", "crash/a", "1");
    let usual = start.elapsed();

    let mut last = 1;
    let mut killed = 0;
    for number in 2..2 + u64::from(COMMAND_KILLS) {
        let mut put = scene.strongroom(&["put", "prod", "crash/a"]);
        let mut child = put
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(number.to_string().as_bytes())
            .unwrap();
        dice.pause(usual * 5 / 4);
        child.kill().unwrap();
        let acknowledged = child.wait().unwrap().success();
        killed += u32::from(!acknowledged);

        let found: u64 = scene.ok(&["get", "prod", "crash/a"]).parse().unwrap();
        assert!(
            found == number || (found == last && !acknowledged),
            "{number}: found {found} after {last}"
        );
        last = found;
    }
    assert!(
        killed > 0,
        "every command ended before it was killed: nothing was tested"
    );
    scene.ok(&["verify"]);
}

/// The numbers that the sidecar serves and that its files hold; each answer is of one revision.
fn served(sidecar: &Sidecar) -> u64 {
    let body = sidecar.get("values?prefix=crash").json();
    let values = body["values"].as_array().unwrap();
    assert_eq!(values.len(), PATHS.len(), "{body}");
    let first = values[0]["value"].as_str().unwrap();
    assert!(
        values.iter().all(|value| value["value"] == first),
        "half a commit was served: {body}"
    );
    first.parse().unwrap()
}

/// The number in the files, read through one revision's directory.
fn filed(sidecar: &Sidecar) -> Option<u64> {
    let current = std::fs::read_link(sidecar.directory().join("files/..data")).ok()?;
    let directory = sidecar.directory().join("files").join(current);
    let read = |name: &str| std::fs::read_to_string(directory.join(name)).ok();
    let numbers = [read("a")?, read("b")?, read("c")?];
    assert!(
        numbers.iter().all(|number| *number == numbers[0]),
        "half a commit in files: {numbers:?}"
    );
    numbers[0].parse().ok()
}

#[test]
fn a_killed_sidecar_serves_whole_revisions_and_none_it_has_not_verified() {
    let scene = Scene::with(&["prod"]);
    let mut dice = Dice::new();
    let vault = open(&scene.store(), &alice(&scene), true);
    vault.commit(&change(1)).unwrap();
    let identity = scene.reader("web", "prod");
    let settings = Settings::new(&scene, "web", &identity, "prod").files("crash");

    let mut committed = 1;
    let mut highest_seen = 0;
    for round in 0..SIDECAR_KILLS {
        let mut sidecar = Sidecar::launch(&scene, &settings);
        // every other one is killed while it starts, the others while they follow
        let follow = round % 2 == 0;
        if follow {
            sidecar.ready();
            let seen = served(&sidecar);
            assert!(
                seen >= highest_seen.max(committed),
                "round {round}: {seen} after {committed}"
            );
            highest_seen = seen;
        }
        for _ in 0..3 {
            committed += 1;
            vault.refresh().unwrap();
            vault.commit(&change(committed)).unwrap();
            if let Some(seen) = filed(&sidecar) {
                assert!(seen <= committed);
            }
        }
        dice.pause(Duration::from_millis(if follow { 10 } else { 60 }));
        sidecar.kill();
    }

    let sidecar = Sidecar::start(&scene, &settings);
    assert_eq!(served(&sidecar), committed);
    strongroom_tests::wait::until("the files of the last revision", || {
        (filed(&sidecar) == Some(committed)).then_some(())
    });
    assert_eq!(sidecar.terminate(), Some(0));
    scene.ok(&["verify"]);
}

#[test]
fn two_writers_at_once_lose_nothing() {
    let scene = Scene::with(&["prod"]);
    let total = 20;
    std::thread::scope(|scope| {
        for writer in ["left", "right"] {
            let scene = &scene;
            scope.spawn(move || {
                for number in 0..total {
                    let mut put = scene.strongroom(&["put", "prod", &format!("{writer}/{number}")]);
                    let output = feed(&mut put, b"x");
                    assert!(
                        output.status.success(),
                        "{}",
                        String::from_utf8_lossy(&output.stderr)
                    );
                }
            });
        }
    });
    let vault = open(&scene.store(), &alice(&scene), false);
    let entries = vault.snapshot().entries(&prod(), None).unwrap();
    assert_eq!(entries.len(), 2 * total);
    scene.ok(&["verify"]);
}
