//! The frozen bytes of commits and checkpoints: verified as they stand, and signed again.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::sync::Mutex;

use serde_json::Value;
use strongroom_core::ambient::{Entropy, EntropyError};
use strongroom_core::commit::{
    Authority, Checkpoint, Link, State, authority_of, decode, encode_checkpoint, referenced_objects,
};
use strongroom_core::crypto::index::IndexKey;
use strongroom_core::crypto::sign::SigningKey;
use strongroom_core::id::{Hash, Revision};
use strongroom_core::secret::Secret;
use strongroom_core::store::{Head, StoredCommit};

fn vectors() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/commit-v1.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
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

fn signing_key(seed: &Value) -> SigningKey {
    SigningKey::generate(&Fixed(Mutex::new(bytes(seed)))).unwrap()
}

fn stored(vectors: &Value) -> Vec<StoredCommit> {
    let commits = vectors["commits"].as_array().unwrap();
    let commit = |each: &Value| StoredCommit {
        head: Head {
            revision: Revision(each["revision"].as_u64().unwrap()),
            hash: each["hash"].as_str().unwrap().parse().unwrap(),
        },
        bytes: bytes(&each["bytes"]),
    };
    commits.iter().map(commit).collect()
}

fn walk(chain: &[StoredCommit]) -> State {
    let mut state = State::genesis(&chain[0]).unwrap();
    for each in &chain[1..] {
        state = state.advance(each).unwrap().0;
    }
    state
}

#[test]
fn the_chain_verifies_to_what_it_lists() {
    let vectors = vectors();
    let state = walk(&stored(&vectors));
    assert_eq!(state.store().to_string(), vectors["store"].as_str().unwrap());
    let live = vectors["live"].as_array().unwrap();
    assert_eq!(state.entries().len(), live.len());
    for (expected, (id, entry)) in live.iter().zip(state.entries()) {
        let text = |field: &str| expected[field].as_str().unwrap().to_owned();
        assert_eq!(id.to_string(), text("entry"));
        assert_eq!(entry.compartment.to_string(), text("compartment"));
        assert_eq!(u64::from(entry.version.0), expected["version"].as_u64().unwrap());
        assert_eq!(entry.revision.0, expected["revision"].as_u64().unwrap());
        assert_eq!(entry.meta.to_string(), text("metadata"));
        assert_eq!(entry.value.to_string(), text("value"));
    }
    assert_eq!(state.admin().members().len(), 1, "one of two has left");
}

#[test]
fn every_commit_is_encoded_and_signed_to_the_same_bytes() {
    let vectors = vectors();
    let keys = ["alice", "web"].map(|name| signing_key(&vectors["signing_seeds"][name]));
    for each in stored(&vectors) {
        let (commit, body, signature) = decode(&each.bytes).unwrap();
        let author = keys
            .iter()
            .find(|key| key.verify_key().verify(body, signature).is_ok())
            .unwrap();
        assert_eq!(commit.sign(author), each.bytes);
        assert_eq!(Hash::of(&each.bytes), each.head.hash);
        let listed = commit.admin.len() + 2 * commit.entries.len();
        assert!(referenced_objects(&each.bytes).unwrap().len() <= listed);
    }
}

#[test]
fn the_checkpoint_verifies_through_the_authority_chain_and_is_made_again() {
    let vectors = vectors();
    let chain = stored(&vectors);
    let bytes = bytes(&vectors["checkpoint"]);
    let checkpoint = Checkpoint::decode(&bytes).unwrap().unwrap();
    let mut authority = Vec::new();
    let mut at = checkpoint.authority();
    while at != Link::NONE {
        let commit = chain
            .iter()
            .find(|each| each.head.revision == at.revision)
            .unwrap();
        at = authority_of(commit, at).unwrap();
        authority.insert(0, commit.clone());
    }
    let passed: Vec<_> = authority.iter().map(|each| each.head.revision.0).collect();
    assert_eq!(passed, [1, 2, 5]);
    let state = checkpoint
        .verify(&Authority::verify(&authority).unwrap())
        .unwrap();
    assert!(state.same_entries(&walk(&chain)));
    let signer = *state.admin().members().keys().next().unwrap();
    let again = encode_checkpoint(
        &walk(&chain),
        signer,
        &signing_key(&vectors["signing_seeds"]["alice"]),
    );
    assert_eq!(again, bytes);
}

#[test]
fn entry_ids_are_made_from_environment_and_path() {
    for each in vectors()["entry_ids"].as_array().unwrap() {
        let key = IndexKey::new(&Secret::new(bytes(&each["index_key"]))).unwrap();
        let environment = bytes(&each["environment"]).try_into().unwrap();
        let id = key.entry_id(&environment, each["path"].as_str().unwrap().as_bytes());
        assert_eq!(id.to_vec(), bytes(&each["id"]));
    }
}
