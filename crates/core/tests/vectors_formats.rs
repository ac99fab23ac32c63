//! The frozen bytes of commits and checkpoints of formats 2 and 3, labels and records that were wrapped
//! anew: verified as they stand, and signed again.
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
    let all = [vectors(1), vectors(2), vectors(3)];
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
    let formats = [1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 1, 2, 3, 2];
    let chain = chain();
    assert_eq!(chain.len(), formats.len());
    for (each, format) in chain.iter().zip(formats) {
        let mut bytes = each.bytes.clone();
        assert_eq!(bytes[9], format);
        for other in (1..4).filter(|other| *other != format) {
            bytes[9] = other;
            assert_eq!(decode(&bytes).unwrap_err(), Break::DamagedCommit);
        }
        bytes[9] = 4;
        assert_eq!(decode(&bytes).unwrap_err(), Break::NewerFormat);
    }
}

#[test]
fn records_that_are_wrapped_anew_are_of_the_versions_that_were_there() {
    let live = &vectors(3)["live"];
    let states = states();
    let entry = |revision: usize, id: &Value| {
        let mut all = states[revision - 1].entries();
        let found = all.find(|(found, _)| found.to_string() == id.as_str().unwrap());
        found.unwrap().1.clone()
    };
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let (before, wrapped) = (entry(12, &live["entry"]), entry(13, &live["entry"]));
    assert_eq!(
        (wrapped.version, wrapped.revision),
        (before.version, before.revision)
    );
    let marks = |entry: &strongroom_core::commit::Live| entry.marks.as_ref().unwrap().as_ref().clone();
    assert_eq!(marks(&wrapped).revision, marks(&before).revision);
    assert_ne!(wrapped.value, before.value);
    let last = entry(14, &live["entry"]);
    assert_eq!(u64::from(last.version.0), live["version"].as_u64().unwrap());
    assert_eq!(u64::from(last.last.0), live["last"].as_u64().unwrap());
    assert_eq!(last.revision.0, live["revision"].as_u64().unwrap());
    assert_eq!(last.meta.to_string(), text(&live["metadata"]));
    assert_eq!(last.value.to_string(), text(&live["value"]));
    let previous = marks(&last).previous.unwrap();
    assert_eq!(previous.value.to_string(), text(&live["previous"]));
    let (other, then) = (&live["other"], entry(14, &live["other"]["entry"]));
    assert_eq!(u64::from(then.version.0), other["version"].as_u64().unwrap());
    assert_eq!(then.revision.0, other["revision"].as_u64().unwrap());
    assert_eq!(then.meta.to_string(), text(&other["metadata"]));
    assert_eq!(then.value.to_string(), text(&other["value"]));
}

#[test]
fn the_checkpoints_verify_and_are_made_again() {
    let states = states();
    let chain = chain();
    let mut checkpoints = vectors(2)["checkpoints"].as_array().unwrap().clone();
    checkpoints.push(vectors(3)["checkpoint"].clone());
    for each in &checkpoints {
        let revision = usize::try_from(each["revision"].as_u64().unwrap()).unwrap();
        let authority: Vec<_> = [0, 1, 4, 10].into_iter().filter(|at| *at < revision).collect();
        let authority: Vec<_> = authority.into_iter().map(|at| chain[at].clone()).collect();
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
