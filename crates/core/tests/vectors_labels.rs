//! The frozen bytes of commits and checkpoints with labels, format 2: verified as they stand, and
//! signed again.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::sync::Mutex;

use serde_json::Value;
use strongroom_core::ambient::{Entropy, EntropyError};
use strongroom_core::commit::{Authority, Break, Checkpoint, State, decode, encode_checkpoint};
use strongroom_core::crypto::sign::SigningKey;
use strongroom_core::id::{Revision, Version};
use strongroom_core::store::{Head, StoredCommit};

fn vectors(version: u32) -> Value {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors");
    let text = std::fs::read_to_string(format!("{directory}/commit-v{version}.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    let hex = value.as_str().unwrap();
    (0..hex.len() / 2)
        .map(|at| u8::from_str_radix(&hex[2 * at..][..2], 16).unwrap())
        .collect()
}

struct Fixed(Mutex<Vec<u8>>);

impl Entropy for Fixed {
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyError> {
        out.copy_from_slice(&self.0.lock().unwrap()[..out.len()]);
        Ok(())
    }
}

fn alice() -> SigningKey {
    let seed = bytes(&vectors(1)["signing_seeds"]["alice"]);
    SigningKey::generate(&Fixed(Mutex::new(seed))).unwrap()
}

fn chain() -> Vec<StoredCommit> {
    let commit = |each: &Value| StoredCommit {
        head: Head {
            revision: Revision(each["revision"].as_u64().unwrap()),
            hash: each["hash"].as_str().unwrap().parse().unwrap(),
        },
        bytes: bytes(&each["bytes"]),
    };
    let all = [vectors(1), vectors(2)];
    let commits = all.iter().flat_map(|file| file["commits"].as_array().unwrap());
    commits.map(commit).collect()
}

/// The states at every revision, from the first.
fn states() -> Vec<State> {
    let chain = chain();
    let mut states = vec![State::genesis(&chain[0]).unwrap()];
    for each in &chain[1..] {
        states.push(states.last().unwrap().advance(each).unwrap().0);
    }
    states
}

#[test]
fn labels_move_as_the_commits_say() {
    let live = &vectors(2)["live"];
    let states = states();
    let entry = |revision: usize| {
        let all = states[revision - 1].entries();
        let mut found = all.filter(|(id, _)| id.to_string() == live["entry"].as_str().unwrap());
        found.next().unwrap().1.clone()
    };
    let labels = |revision: usize| {
        let entry = entry(revision);
        let version = |labelled: Option<strongroom_core::commit::Labelled>| labelled.map(|l| l.version.0);
        let marks = entry.marks.as_ref();
        (
            entry.version.0,
            marks.and_then(|marks| version(marks.pending)),
            marks.and_then(|marks| version(marks.previous)),
            entry.rotation().is_some(),
        )
    };
    assert_eq!(labels(5), (2, None, None, false));
    assert_eq!(labels(6), (2, Some(3), None, true));
    assert_eq!(labels(7), (3, None, Some(2), true));
    assert_eq!(labels(8), (3, None, None, false));
    assert_eq!(labels(9), (3, Some(4), None, false));
    assert_eq!(labels(10), (3, None, None, false));
    let last = entry(10);
    assert_eq!(u64::from(last.last.0), live["last"].as_u64().unwrap());
    assert_eq!(last.next_version(), Some(Version(5)));
    assert_eq!(last.revision.0, live["revision"].as_u64().unwrap());
    assert_eq!(last.value.to_string(), live["value"].as_str().unwrap());
}

#[test]
fn every_commit_is_encoded_and_signed_to_the_same_bytes() {
    for each in chain().iter().skip(5) {
        let (commit, ..) = decode(&each.bytes).unwrap();
        assert_eq!(commit.sign(&alice()), each.bytes);
    }
}

#[test]
fn each_commit_has_one_format() {
    for (at, each) in chain().iter().enumerate() {
        let mut bytes = each.bytes.clone();
        bytes[9] = if at < 5 { 2 } else { 1 };
        assert_eq!(decode(&bytes).unwrap_err(), Break::DamagedCommit);
        bytes[9] = 3;
        assert_eq!(decode(&bytes).unwrap_err(), Break::NewerFormat);
    }
}

#[test]
fn the_checkpoints_verify_and_are_made_again() {
    let states = states();
    let chain = chain();
    let authority = [chain[0].clone(), chain[1].clone(), chain[4].clone()];
    for each in vectors(2)["checkpoints"].as_array().unwrap() {
        let revision = usize::try_from(each["revision"].as_u64().unwrap()).unwrap();
        let walked = &states[revision - 1];
        let stored = bytes(&each["bytes"]);
        let checkpoint = Checkpoint::decode(&stored).unwrap().unwrap();
        let signer = checkpoint.signer();
        let state = checkpoint
            .verify(&Authority::verify(&authority).unwrap())
            .unwrap();
        assert!(state.same_entries(walked));
        assert_eq!(encode_checkpoint(walked, signer, &alice()), stored);
        let mut older = stored.clone();
        older[9] = 1;
        assert!(Checkpoint::decode(&older).is_err());
        older[9] = 3;
        assert!(Checkpoint::decode(&older).unwrap().is_none());
    }
}
