//! The tamper matrix: whatever a hostile storage does to what it holds is refused, with an error
//! that names what broke.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod forge;
mod vault_kit;

use std::collections::BTreeSet;
use std::sync::Arc;

use forge::{append, commits, newest_member, refused};
use strongroom_core::Vault;
use strongroom_core::ambient::Ambient;
use strongroom_core::commit::{Commit, EntryChange, Link, decode};
use strongroom_core::crypto::keyring;
use strongroom_core::crypto::seal::Kek;
use strongroom_core::id::{CompartmentId, EntryId, Hash, MemberId, Revision, Version};
use strongroom_core::snapshot::Role;
use strongroom_core::store::{MemoryStore, StoredObject};
use strongroom_core::vault::{Break, Edit, OpenError, OpenOptions, Trust};
use vault_kit::*;

/// A world with two versions of one secret, a second one, a second compartment and a reader.
fn world() -> World {
    let world = World::new();
    world.put("prod", "a", b"first");
    world.put("prod", "a", b"second");
    world.environment("dev");
    world.put("dev", "b", b"other");
    world.member("web", Role::Reader, &["prod"]);
    world
}

fn open_with(world: &World, trust: Option<Trust>) -> Result<Vault, OpenError> {
    let options = OpenOptions {
        trust,
        ..OpenOptions::default()
    };
    Vault::open(world.store.clone(), world.identity.clone(), options)
}

/// What opening says, or else what verifying everything says.
fn broken(world: &World, trust: Option<Trust>) -> Break {
    refused(open_with(world, trust).and_then(|vault| vault.verify(&mut |_, _| {})))
}

#[test]
fn any_flipped_byte_of_a_commit_is_refused() {
    let world = world();
    let mut seen = BTreeSet::new();
    for (at, original) in commits(&*world.store).iter().enumerate() {
        for byte in 0..original.bytes.len() {
            for follow_the_hash in [false, true] {
                let mut changed = original.clone();
                changed.bytes[byte] ^= 1 << (byte % 8);
                if follow_the_hash {
                    changed.head.hash = Hash::of(&changed.bytes);
                }
                world.store.tamper(|commits, _, _| commits[at] = changed);
                let what = broken(&world, Some(world.vault.trust()));
                seen.insert(format!("{what:?}"));
                world.store.tamper(|commits, _, _| commits[at] = original.clone());
            }
        }
    }
    // Each layer of the proof caught something.
    for each in ["DamagedCommit", "Signature", "BrokenChain", "NewerFormat"] {
        assert!(seen.contains(each), "{seen:?}");
    }
    assert!(open_with(&world, Some(world.vault.trust())).is_ok());
}

#[test]
fn any_flipped_byte_of_an_object_is_refused() {
    let world = world();
    let mut count = 0;
    world.store.tamper(|_, objects, _| count = objects.len());
    for at in 0..count {
        let mut original = None;
        world
            .store
            .tamper(|_, objects, _| original = Some(objects[at].clone()));
        let original: StoredObject = original.unwrap();
        for byte in 0..original.bytes.len() {
            world
                .store
                .tamper(|_, objects, _| objects[at].bytes[byte] ^= 0x10);
            assert_eq!(broken(&world, None), Break::ForeignObject);
            world.store.tamper(|_, objects, _| objects[at] = original.clone());
        }
        world.store.tamper(|_, objects, _| {
            objects[at].bytes[0] ^= 1;
            objects[at].hash = Hash::of(&objects[at].bytes);
        });
        assert_eq!(broken(&world, None), Break::MissingObject);
        world.store.tamper(|_, objects, _| objects[at] = original.clone());
    }
    assert!(count > 10);
}

#[test]
fn swapped_replayed_and_planted_objects_are_refused() {
    let world = world();
    let mut originals = Vec::new();
    world.store.tamper(|_, objects, _| originals = objects.clone());
    for one in 0..originals.len() {
        for other in 0..one {
            // Every pair: names, metadata, an old version for a new one, key files.
            world.store.tamper(|_, objects, _| {
                objects[one].bytes = originals[other].bytes.clone();
                objects[other].bytes = originals[one].bytes.clone();
            });
            assert_eq!(broken(&world, None), Break::ForeignObject);
            world.store.tamper(|_, objects, _| *objects = originals.clone());
        }
    }
    // A key file of an attacker who knows the public keys.
    let kek = Kek::generate(Ambient::system().entropy()).unwrap();
    let planted = keyring::wrap(&kek, &[&world.identity.public()]).unwrap();
    let files: Vec<_> = originals
        .iter()
        .enumerate()
        .filter(|(_, object)| object.bytes.starts_with(b"age-encryption.org"))
        .map(|(at, _)| at)
        .collect();
    assert!(files.len() >= 3);
    for at in files {
        world
            .store
            .tamper(|_, objects, _| objects[at].bytes = planted.clone());
        assert_eq!(broken(&world, None), Break::ForeignObject);
        world.store.tamper(|_, objects, _| *objects = originals.clone());
    }
}

#[test]
fn dropped_commits_and_a_cut_tail_are_refused() {
    let world = world();
    let trust = world.vault.trust();
    let all = commits(&*world.store);
    for drop in 0..all.len() {
        world.store.tamper(|commits, _, _| {
            commits.remove(drop);
        });
        let what = broken(&world, Some(trust));
        if drop + 1 == all.len() {
            assert_eq!(what, Break::RolledBack);
        } else {
            assert_eq!(what, Break::MissingCommit);
        }
        // Renumbered, so that no gap shows.
        world.store.tamper(|commits, _, _| {
            for (at, commit) in commits.iter_mut().enumerate() {
                commit.head.revision = Revision(at as u64 + 1);
            }
        });
        broken(&world, Some(trust));
        world.store.tamper(|commits, _, _| *commits = all.clone());
    }
    for keep in 1..all.len() {
        world.store.tamper(|commits, _, _| commits.truncate(keep));
        assert_eq!(broken(&world, Some(trust)), Break::RolledBack);
        world.store.tamper(|commits, _, _| *commits = all.clone());
    }
}

#[test]
fn yesterdays_store_and_another_store_are_refused() {
    let world = world();
    let mut yesterday = None;
    world.store.tamper(|commits, objects, checkpoint| {
        yesterday = Some((commits.clone(), objects.clone(), checkpoint.clone()));
    });
    world.put("prod", "a", b"third");
    let trust = world.vault.trust();
    let (commits, objects, checkpoint) = yesterday.unwrap();
    world
        .store
        .tamper(|c, o, p| (*c, *o, *p) = (commits, objects, checkpoint));
    assert_eq!(broken(&world, Some(trust)), Break::RolledBack);
    // A running vault notices too, and keeps the last good state.
    assert!(matches!(world.vault.refresh(), Err(OpenError::Integrity(_))));
    assert_eq!(world.get("prod", "a").unwrap(), b"third");
    assert!(world.vault.freshness().refused.is_some());

    let other = World::new();
    assert_eq!(broken(&other, Some(trust)), Break::Fingerprint);
    let options = OpenOptions {
        fingerprint: Some(trust.fingerprint),
        ..OpenOptions::default()
    };
    let pinned = Vault::open(other.store.clone(), other.identity.clone(), options);
    assert!(matches!(pinned, Err(OpenError::Integrity(error)) if error.what == Break::Fingerprint));
}

#[test]
fn a_fork_of_the_same_admin_is_told_from_what_was_verified() {
    let world = world();
    let all = commits(&*world.store);
    world.put("prod", "a", b"the truth");
    let trust = world.vault.trust();
    // Someone with the admin's key makes another history of the same length.
    let fork = World {
        store: Arc::new(MemoryStore::new()),
        identity: world.identity.clone(),
        vault: open_with(&world, None).unwrap(),
    };
    let mut objects = Vec::new();
    world.store.tamper(|_, o, _| objects = o.clone());
    fork.store.tamper(|c, o, _| (*c, *o) = (all, objects));
    let forked = open_with(&fork, None).unwrap();
    forked
        .commit(&change(vec![secret("prod", "a", b"a lie")]))
        .unwrap();
    assert_eq!(broken(&fork, Some(trust)), Break::Replaced);
}

#[test]
fn checkpoints_are_proved_like_commits() {
    let world = World::new();
    for n in 0..300_u32 {
        world.put("prod", "a", &n.to_be_bytes());
    }
    let trust = world.vault.trust();
    let mut checkpoint = Vec::new();
    world
        .store
        .tamper(|_, _, bytes| checkpoint = bytes.clone().unwrap());
    for byte in 0..checkpoint.len() {
        world
            .store
            .tamper(|_, _, bytes| bytes.as_mut().unwrap()[byte] ^= 1);
        // A newer format's checkpoint is passed over; the commits say it all.
        let newer = byte == 8;
        assert_eq!(open_with(&world, Some(trust)).is_err(), !newer, "byte {byte}");
        world
            .store
            .tamper(|_, _, bytes| *bytes = Some(checkpoint.clone()));
    }
    // Signed by a member who is no admin.
    let member = world.member("writer", Role::Writer, &["prod"]);
    let vault = world.open(&member).unwrap();
    let id = newest_member(&*world.store);
    let state = strongroom_core::commit::State::genesis(&commits(&*world.store)[0]).unwrap();
    let forged = strongroom_core::commit::encode_checkpoint(&state, id, member.signing_key());
    world.store.tamper(|_, _, bytes| *bytes = Some(forged));
    assert_eq!(broken(&world, None), Break::Checkpoint);
    world
        .store
        .tamper(|_, _, bytes| *bytes = Some(checkpoint.clone()));
    // With a checkpoint even a reader without memory sees a tail cut behind it.
    drop(vault);
    world.store.tamper(|commits, _, _| commits.truncate(200));
    assert_eq!(broken(&world, None), Break::RolledBack);
}

#[test]
fn trust_older_than_the_checkpoint_is_checked_by_hashes() {
    let world = World::new();
    world.put("prod", "a", b"early");
    let trust = world.vault.trust();
    for n in 0..300_u32 {
        world.put("prod", "a", &n.to_be_bytes());
    }
    assert!(open_with(&world, Some(trust)).is_ok());
    let lie = Trust {
        hash: Hash::of(b"another commit"),
        ..trust
    };
    assert_eq!(broken(&world, Some(lie)), Break::Replaced);
    world.store.tamper(|commits, _, _| commits[100].bytes[80] ^= 1);
    assert_eq!(broken(&world, Some(trust)), Break::BrokenChain);
}

#[test]
fn commits_beyond_a_members_role_are_refused_by_every_reader() {
    let live_entry = |world: &World| -> EntryChange {
        let changes = commits(&*world.store)
            .into_iter()
            .flat_map(|stored| decode(&stored.bytes).unwrap().0.entries);
        changes.last().unwrap()
    };
    // (role, compartments, what it tries, what it is told)
    type Try = fn(&mut Commit, EntryChange, MemberId);
    let update: Try = |commit, entry, author| {
        commit.author = author;
        commit.entries.push(EntryChange {
            version: entry.version.next(),
            ..entry
        });
    };
    let rename: Try = |commit, entry, author| {
        commit.author = author;
        commit.entries.push(EntryChange {
            version: entry.version.next(),
            meta: Hash::of(b"another name"),
            ..entry
        });
    };
    let promote: Try = |commit, _, author| {
        commit.author = author;
        commit
            .admin
            .push(strongroom_core::commit::AdminChange::CompartmentAdd {
                id: CompartmentId([1; 16]),
                name: Hash::ZERO,
            });
    };
    let replay: Try = |commit, entry, author| {
        commit.author = author;
        commit.entries.push(entry);
    };
    let invent: Try = |commit, entry, author| {
        commit.author = author;
        commit.entries.push(EntryChange {
            id: EntryId([7; 16]),
            version: Version(2),
            ..entry
        });
    };
    for (role, compartments, attempt, expected) in [
        (Role::Reader, &["prod"][..], update, Break::Unauthorised),
        (Role::Writer, &["dev"], update, Break::Unauthorised),
        (Role::Rotator, &["prod"], rename, Break::Unauthorised),
        (Role::Writer, &["prod"], promote, Break::Unauthorised),
        (Role::Writer, &["prod"], replay, Break::Contradiction),
        (Role::Writer, &["prod"], invent, Break::Contradiction),
    ] {
        let world = World::new();
        world.environment("dev");
        let identity = world.member("m", role, compartments);
        let id = newest_member(&*world.store);
        world.put("prod", "a", b"1");
        let entry = live_entry(&world);
        append(&*world.store, &identity, |commit| attempt(commit, entry, id));
        assert_eq!(broken(&world, None), expected, "{role:?}");
        assert!(matches!(world.vault.refresh(), Err(OpenError::Integrity(_))));
        assert_eq!(world.get("prod", "a").unwrap(), b"1", "the last good one stays");
    }
}

#[test]
fn strangers_and_removed_members_cannot_commit() {
    let world = World::new();
    let stranger = identity();
    append(&*world.store, &stranger, |commit| {
        commit.author = MemberId([9; 16])
    });
    assert_eq!(broken(&world, None), Break::Unauthorised);

    let world = World::new();
    append(&*world.store, &stranger, |_| {});
    assert_eq!(broken(&world, None), Break::Signature);

    let world = World::new();
    let writer = world.member("w", Role::Writer, &["prod"]);
    let id = newest_member(&*world.store);
    world
        .commit(vec![Edit::RemoveMember { name: name("w") }])
        .unwrap();
    append(&*world.store, &writer, |commit| commit.author = id);
    assert_eq!(broken(&world, None), Break::Unauthorised);
}

#[test]
fn a_removal_without_new_keys_and_a_hidden_member_are_refused() {
    let world = World::new();
    world.member("w", Role::Writer, &["prod"]);
    let id = newest_member(&*world.store);
    let remove = strongroom_core::commit::AdminChange::MemberRemove { id };
    append(&*world.store, &world.identity, |commit| {
        commit.author = decode(&commits(&*world.store)[0].bytes).unwrap().0.author;
        commit.admin.push(remove);
    });
    assert_eq!(broken(&world, None), Break::Contradiction);

    // An administrative commit that the authority chain does not name.
    let world = World::new();
    let genesis = decode(&commits(&*world.store)[0].bytes).unwrap().0;
    append(&*world.store, &world.identity, |commit| {
        commit.author = genesis.author;
        commit.authority = Link::NONE;
    });
    assert_eq!(broken(&world, None), Break::BrokenChain);
}
