//! A store so large that its records are filled in beside reading them: the same answers and the
//! same refusals as for a small one.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod vault_kit;

use strongroom_core::commit::{Break, decode};
use strongroom_core::id::{Hash, Revision};
use strongroom_core::store::{MemoryStore, Store as _};
use strongroom_core::vault::{Edit, OpenError};
use vault_kit::{World, get, secret};

/// Over twice as many records as are read on one thread.
const ENTRIES: usize = 5_000;
const COMMIT: usize = 1_000;

fn world() -> World {
    let world = World::new();
    for chunk in (0..ENTRIES).collect::<Vec<_>>().chunks(COMMIT) {
        let edits: Vec<Edit> = chunk
            .iter()
            .map(|n| secret("prod", &format!("service/key-{n}"), &n.to_be_bytes()))
            .collect();
        world.commit(edits).unwrap();
    }
    world
}

/// The records of one entry: its revision, metadata and value. Not one of the last, so that many
/// follow a refused one.
fn records(store: &MemoryStore) -> (Revision, Hash, Hash) {
    let stored = store.commits(Revision(4), 1).unwrap().remove(0);
    let commit = decode(&stored.bytes).unwrap().0;
    let entry = &commit.entries[7];
    (commit.revision, entry.meta, entry.value.unwrap())
}

fn refusal(world: &World) -> (Revision, Break) {
    match world.open(&world.identity) {
        Err(OpenError::Integrity(error)) => (error.revision, error.what),
        other => panic!("opened, or failed otherwise: {:?}", other.map(|_| ())),
    }
}

#[test]
fn every_entry_of_a_large_store_is_there_and_opens() {
    let world = world();
    world.put("prod", "service/key-3", b"changed");
    let vault = world.open(&world.identity).unwrap();
    assert_eq!(vault.snapshot().len(), ENTRIES);
    for n in 0..ENTRIES {
        let value = get(&vault, "prod", &format!("service/key-{n}")).unwrap();
        let expected = if n == 3 {
            b"changed".to_vec()
        } else {
            n.to_be_bytes().to_vec()
        };
        assert_eq!(value, expected, "entry {n}");
    }
}

#[test]
fn a_missing_or_changed_record_of_a_large_store_is_refused_with_its_revision() {
    let world = world();
    let (revision, meta, value) = records(&world.store);
    let mut whole = Vec::new();
    world.store.tamper(|_, objects, _| whole = objects.clone());
    for hash in [meta, value] {
        world
            .store
            .tamper(|_, objects, _| objects.retain(|object| object.hash != hash));
        assert_eq!(refusal(&world), (revision, Break::MissingObject));
        world.store.tamper(|_, objects, _| {
            *objects = whole.clone();
            let object = objects.iter_mut().find(|object| object.hash == hash).unwrap();
            object.bytes[20] ^= 1;
        });
        assert_eq!(refusal(&world), (revision, Break::ForeignObject));
        world.store.tamper(|_, objects, _| *objects = whole.clone());
        world.open(&world.identity).unwrap();
    }
}
