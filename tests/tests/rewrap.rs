//! A hundred thousand records under a new key, while a sidecar serves: whoever does it is killed again
//! and again and goes on, and nobody who reads notices.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use strongroom_core::commit::decode;
use strongroom_core::config::Format;
use strongroom_core::crypto::identity::Identity;
use strongroom_core::kind::Kind;
use strongroom_core::name::{EntryPath, EnvironmentName};
use strongroom_core::secret::Secret;
use strongroom_core::store;
use strongroom_core::vault::{Change, Edit, Expect, OpenOptions, Put, Vault};
use strongroom_tests::dice::Dice;
use strongroom_tests::http;
use strongroom_tests::scene::Scene;
use strongroom_tests::sidecar::{Settings, Sidecar};

/// Each has two records: its description and its value.
const ENTRIES: u64 = 50_000;
/// At most so many die on the way.
const KILLS: u32 = 5;

fn fill(scene: &Scene) {
    let identity = Identity::read_file(&scene.file("alice.identity"), || None).unwrap();
    let store = store::open(&scene.store(), true).unwrap();
    let vault = Vault::open(Arc::from(store), Arc::new(identity), OpenOptions::default()).unwrap();
    for from in (0..ENTRIES).step_by(5000) {
        let put = |n: u64| {
            Edit::Put(Put {
                environment: EnvironmentName::new("prod").unwrap(),
                path: EntryPath::new(&path(n)).unwrap(),
                kind: Kind::Secret,
                value: Secret::new(value(n).into_bytes()),
                format: Format::Text,
                labels: None,
                compartment: None,
                expect: Expect::Absent,
            })
        };
        let edits = (from..from + 5000).map(put).collect();
        let message = String::new();
        vault.commit(&Change { message, edits }).unwrap();
    }
}

fn path(n: u64) -> String {
    format!("service-{}/key-{n}", n % 97)
}

fn value(n: u64) -> String {
    format!("{n:0>256}")
}

fn left(scene: &Scene) -> u64 {
    let rest = scene.ok(&["compartment", "rotate", "prod", "--resume", "--dry-run", "--json"]);
    let rest: serde_json::Value = serde_json::from_str(&rest).unwrap();
    rest["entries"].as_u64().unwrap()
}

/// How many entries each commit wrapped anew.
fn wrapped(scene: &Scene) -> Vec<u64> {
    let store = store::open(&scene.store(), false).unwrap();
    let mut all = Vec::new();
    loop {
        let from = strongroom_core::id::Revision(1 + all.len() as u64);
        let batch = store.commits(from, 100).unwrap();
        if batch.is_empty() {
            return all.into_iter().filter(|count| *count > 0).collect();
        }
        let count = |bytes: &[u8]| decode(bytes).unwrap().0.rewraps.len() as u64;
        all.extend(batch.iter().map(|stored| count(&stored.bytes)));
    }
}

#[test]
fn a_killed_one_is_gone_on_with_while_readers_are_served() {
    let scene = Scene::with(&["prod"]);
    fill(&scene);
    let identity = scene.reader("web", "prod");
    let settings = Settings::new(&scene, "web", &identity, "prod");
    let sidecar = Sidecar::start(&scene, &settings);
    let (socket, stop, reads) = (sidecar.socket(), AtomicBool::new(false), AtomicU64::new(0));
    let mut dice = Dice::new();
    scene.ok(&["compartment", "rotate", "prod", "--key-only"]);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut dice = Dice::new();
            while !stop.load(Ordering::Relaxed) {
                let n = dice.below(ENTRIES);
                let target = format!("/api/v1/secrets/{}", path(n));
                let answer = http::get(&socket, &target, &["accept: application/octet-stream"]).unwrap();
                assert_eq!((answer.status, answer.text()), (200, value(n)), "{n}");
                reads.fetch_add(1, Ordering::Relaxed);
            }
        });
        let mut killed = 0;
        // How long opening takes is not known beforehand, and nothing is done before it.
        let begun = Instant::now();
        assert_eq!(left(&scene), ENTRIES);
        let mut longest = begun.elapsed() * 3 / 2;
        loop {
            let resume = ["compartment", "rotate", "prod", "--resume"];
            let mut resume = scene.strongroom(&resume);
            let mut child = resume
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            if killed < KILLS {
                dice.pause(longest);
                child.kill().unwrap();
            }
            let output = child.wait_with_output().unwrap();
            if output.status.success() {
                break;
            }
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(killed < KILLS, "nobody killed this one: {said}");
            killed += 1;
            longest = longest * 5 / 4;
        }
        let commits = wrapped(&scene);
        println!("{killed} were killed, it took {} commits", commits.len());
        assert!(killed > 0, "it was done before it was killed: nothing was tested");
        assert!(commits.iter().sum::<u64>() == ENTRIES, "{commits:?}");
        assert_eq!(left(&scene), 0);
        // The sidecar comes after.
        let head: u64 = serde_json::from_str::<serde_json::Value>(&scene.ok(&["status", "--json"])).unwrap()
            ["revision"]
            .as_u64()
            .unwrap();
        let begun = Instant::now();
        while sidecar.get("status").json()["revision"].as_u64() != Some(head) {
            assert!(
                begun.elapsed() < Duration::from_secs(120),
                "the sidecar does not follow"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        stop.store(true, Ordering::Relaxed);
        reader.join().unwrap();
    });
    assert!(reads.load(Ordering::Relaxed) > 0);
    scene.ok(&["verify"]);
    assert_eq!(sidecar.terminate(), Some(0));
}
