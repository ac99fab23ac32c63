//! Records that labels list and that are not what they should be: whoever follows a store and
//! whoever opens it later come to the same end, and `verify` finds what is lazily opened.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod forge;
mod vault_kit;

use strongroom_core::Vault;
use strongroom_core::commit::{EntryChange, Labels, decode};
use strongroom_core::crypto::seal::{Context, Purpose};
use strongroom_core::id::{Hash, Version};
use strongroom_core::snapshot::{Kind, ReadError};
use strongroom_core::vault::{Break, OpenError};
use vault_kit::{World, env, path, secret};

const NONE: Labels = Labels {
    moves: false,
    pending: None,
    previous: None,
    rotation: None,
};

fn last(world: &World) -> EntryChange {
    let all = forge::commits(&*world.store);
    decode(&all.last().unwrap().bytes).unwrap().0.entries[0]
}

/// Two secrets, and how they were put.
fn two() -> (World, [EntryChange; 2]) {
    let world = World::new();
    let changes = ["a", "b"].map(|at| {
        world.put("prod", at, b"one");
        last(&world)
    });
    (world, changes)
}

fn append(world: &World, changes: Vec<EntryChange>) {
    forge::append(&*world.store, &world.identity, |commit| commit.entries = changes);
}

fn context(world: &World, of: &EntryChange, purpose: Purpose, version: u32, kind: u8) -> Context {
    let all = forge::commits(&*world.store);
    Context {
        store: decode(&all[0].bytes).unwrap().0.store,
        purpose,
        compartment: of.compartment,
        subject: of.id.0,
        version,
        kind,
    }
}

fn value(world: &World, of: &EntryChange, version: u32) -> Hash {
    let context = context(world, of, Purpose::Value, version, Kind::Secret as u8);
    forge::plant(&world.store, &world.identity, &context, b"two")
}

fn what<T: std::fmt::Debug>(result: Result<T, OpenError>) -> Option<Break> {
    match result {
        Ok(_) => None,
        refused => Some(forge::refused(refused)),
    }
}

/// What all come to: who follows, and who opens the store afterwards.
fn end(world: &World) -> Option<Break> {
    let follows = what(world.vault.refresh().map(|_| ()));
    let opens = what(world.open(&world.identity).map(|_| ()));
    assert_eq!(follows, opens, "who follows and who opens disagree");
    opens
}

#[test]
fn a_record_that_is_listed_twice_is_the_same_to_who_follows_and_who_opens() {
    type Make = fn(EntryChange, EntryChange) -> EntryChange;
    let next: Make = |a, b| EntryChange {
        version: Version(2),
        value: b.value,
        ..a
    };
    let tries: [(&str, Make, bool); 4] = [
        ("the value of another entry", next, true),
        (
            "the value of another entry as a pending one",
            |a, b| EntryChange {
                value: b.value,
                labels: Some(Labels {
                    pending: Some(Version(2)),
                    ..NONE
                }),
                ..a
            },
            true,
        ),
        (
            "its own description as a value",
            |a, _| EntryChange {
                version: Version(2),
                value: Some(a.meta),
                ..a
            },
            true,
        ),
        (
            "the description of another entry",
            |a, b| EntryChange {
                version: Version(2),
                meta: b.meta,
                ..a
            },
            false,
        ),
    ];
    for (tried, make, taken) in tries {
        let (world, [a, b]) = two();
        append(&world, vec![make(a, b)]);
        assert_eq!(end(&world), (!taken).then_some(Break::Record), "{tried}");
        if taken {
            let opened = world.open(&world.identity).unwrap();
            assert_eq!(vault_kit::get(&opened, "prod", "b").unwrap(), b"one", "{tried}");
            assert_eq!(
                what(opened.verify(&mut |_, _| {})),
                Some(Break::Record),
                "{tried}"
            );
        }
    }
    let (world, [a, b]) = two();
    append(&world, vec![next(a, b)]);
    let opened = world.open(&world.identity).unwrap();
    let read = |vault: &Vault| vault_kit::get(vault, "prod", "a");
    assert!(matches!(read(&opened), Err(ReadError::Damaged { .. })));
    // Whoever may write mends it.
    world.commit(vec![secret("prod", "a", b"three")]).unwrap();
    opened.refresh().unwrap();
    assert_eq!(read(&opened).unwrap(), b"three");
}

#[test]
fn a_record_listed_for_a_rotation_and_as_a_value_is_the_same_to_all() {
    let (world, [a, b]) = two();
    let labels = Labels {
        rotation: b.value,
        ..NONE
    };
    append(
        &world,
        vec![EntryChange {
            value: None,
            labels: Some(labels),
            ..a
        }],
    );
    end(&world);
}

#[test]
fn verify_checks_a_record_as_all_it_is_listed_for() {
    // Of two that list it in one commit, it is right for one.
    for right in 0..2 {
        let (world, both) = two();
        let record = value(&world, &both[right], 2);
        let mut changes = both.map(|each| EntryChange {
            version: Version(2),
            value: Some(record),
            ..each
        });
        changes.sort_by_key(|each| each.id);
        append(&world, changes.to_vec());
        assert_eq!(end(&world), None);
        let verified = what(world.vault.verify(&mut |_, _| {}));
        assert_eq!(verified, Some(Break::Record), "right for {right}");
    }
    let (world, [a, _]) = two();
    let fine = EntryChange {
        version: Version(2),
        value: Some(value(&world, &a, 2)),
        ..a
    };
    append(&world, vec![fine]);
    assert_eq!(end(&world), None);
    world.vault.verify(&mut |_, _| {}).unwrap();
    assert_eq!(world.get("prod", "a").unwrap(), b"two");
    let entry = world.vault.snapshot().entry(&env("prod"), &path("a")).unwrap();
    assert_eq!(entry.version, Version(2));
}
