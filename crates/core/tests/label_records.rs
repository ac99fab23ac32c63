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
use strongroom_core::config::Format;
use strongroom_core::crypto::seal::{Context, Purpose};
use strongroom_core::id::{Hash, Version};
use strongroom_core::rotation::Strategy;
use strongroom_core::secret::Secret;
use strongroom_core::snapshot::{Kind, ReadError, Role};
use strongroom_core::vault::{Break, Edit, Expect, LabelEdit, OpenError, Relabel, Rotate, RotationEdit};
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

/// A document, whose labels are moved by somebody's own program, and how it was put.
fn document(world: &World) -> EntryChange {
    let edit = vault_kit::put("prod", "app", Kind::Config, Format::Text, b"one");
    world.commit(vec![edit]).unwrap();
    last(world)
}

#[test]
fn what_is_no_secret_never_had_labels_whatever_follows() {
    let dropped: fn(EntryChange) -> EntryChange = |put| EntryChange {
        value: None,
        labels: Some(NONE),
        ..put
    };
    let deleted = |put| EntryChange { value: None, ..put };
    for (tried, follows) in [("dropped", dropped), ("deleted", deleted)] {
        let world = World::new();
        let put = document(&world);
        let labels = Labels {
            pending: Some(Version(2)),
            ..NONE
        };
        let context = context(&world, &put, Purpose::Value, 2, Kind::Config as u8);
        let value = forge::plant(&world.store, &world.identity, &context, b"two");
        let labelled = EntryChange {
            value: Some(value),
            labels: Some(labels),
            ..put
        };
        append(&world, vec![labelled]);
        append(&world, vec![follows(put)]);
        assert_eq!(end(&world), Some(Break::Contradiction), "{tried}");
        let verified = what(world.vault.verify(&mut |_, _| {}));
        assert_eq!(verified, Some(Break::Contradiction), "{tried}");
    }
}

#[test]
fn what_a_rotator_changed_was_a_secret_whatever_follows() {
    let world = World::new();
    let put = document(&world);
    let rotator = world.member("rot", Role::Rotator, &["prod"]);
    let id = forge::newest_member(&*world.store);
    world.vault.refresh().unwrap();
    for (version, signer, author) in [(2, &rotator, Some(id)), (3, &world.identity, None)] {
        let context = context(&world, &put, Purpose::Value, version, Kind::Config as u8);
        let value = forge::plant(&world.store, &world.identity, &context, b"two");
        let admin = decode(&forge::commits(&*world.store)[0].bytes).unwrap().0.author;
        forge::append(&*world.store, signer, |commit| {
            commit.author = author.unwrap_or(admin);
            commit.entries = vec![EntryChange {
                version: Version(version),
                value: Some(value),
                ..put
            }];
        });
    }
    assert_eq!(end(&world), Some(Break::Unauthorised));
}

#[test]
fn a_secret_that_had_labels_may_become_something_else() {
    let world = World::new();
    let rotator = world.member("rot", Role::Rotator, &["prod"]);
    let follower = world.open(&world.identity).unwrap();
    world.put("prod", "app", b"one");
    let edit = Edit::Label(LabelEdit {
        environment: env("prod"),
        path: path("app"),
        to: Relabel::Pending(Secret::new(b"two".to_vec())),
        expect: Expect::Any,
    });
    let rotator = world.open(&rotator).unwrap();
    rotator.commit(&vault_kit::change(vec![edit])).unwrap();
    world.commit(vec![vault_kit::delete("prod", "app")]).unwrap();
    let edit = vault_kit::put("prod", "app", Kind::Config, Format::Text, b"three");
    world.commit(vec![edit]).unwrap();
    assert_eq!(end(&world), None);
    follower.refresh().unwrap();
    follower.verify(&mut |_, _| {}).unwrap();
}

#[test]
fn the_record_of_a_rotation_opens_or_its_commit_is_refused() {
    for dropped in [false, true] {
        let (world, [a, b]) = two();
        let reader = world.member("web", Role::Reader, &[]);
        let labels = Labels {
            rotation: b.value,
            ..NONE
        };
        let change = EntryChange { value: None, ..a };
        let begun = EntryChange {
            labels: Some(labels),
            ..change
        };
        let ended = EntryChange {
            labels: Some(NONE),
            ..change
        };
        append_by_admin(&world, begun);
        if dropped {
            append_by_admin(&world, ended);
        }
        assert_eq!(end(&world), Some(Break::Record), "dropped: {dropped}");
        world.open(&reader).unwrap();
    }
    let (world, [a, _]) = two();
    let context = context(&world, &a, Purpose::Rotation, 0, 0);
    let record = forge::plant(&world.store, &world.identity, &context, b"of another format");
    let labels = Labels {
        rotation: Some(record),
        ..NONE
    };
    let change = EntryChange { value: None, ..a };
    append_by_admin(
        &world,
        EntryChange {
            labels: Some(labels),
            ..change
        },
    );
    assert_eq!(
        end(&world),
        None,
        "it opens: what it says is not for everyone to know"
    );
}

fn append_by_admin(world: &World, change: EntryChange) {
    let admin = decode(&forge::commits(&*world.store)[0].bytes).unwrap().0.author;
    forge::append(&*world.store, &world.identity, |commit| {
        commit.author = admin;
        commit.entries = vec![change];
    });
}

#[test]
fn a_break_is_said_of_the_revision_that_moved_the_labels() {
    let (world, [a, _]) = two();
    let labels = Labels {
        pending: Some(Version(2)),
        ..NONE
    };
    append(
        &world,
        vec![EntryChange {
            value: Some(Hash::of(b"nothing")),
            labels: Some(labels),
            ..a
        }],
    );
    let at = forge::commits(&*world.store).last().unwrap().head.revision;
    let Err(OpenError::Integrity(error)) = world.open(&world.identity).map(|_| ()) else {
        panic!("not refused")
    };
    assert_eq!((error.what, error.revision), (Break::MissingObject, at));
}

#[test]
fn a_rotation_that_nobody_can_read_hides_no_other() {
    let (world, [a, _]) = two();
    let context = context(&world, &a, Purpose::Rotation, 0, 0);
    let record = forge::plant(&world.store, &world.identity, &context, b"of another format");
    let labels = Labels {
        rotation: Some(record),
        ..NONE
    };
    append_by_admin(
        &world,
        EntryChange {
            value: None,
            labels: Some(labels),
            ..a
        },
    );
    world.vault.refresh().unwrap();
    let to = Rotate::Begin {
        strategy: Strategy::Overlap,
        plan: Vec::new(),
        place: strongroom_core::id::PlaceId([1; 16]),
        value: Secret::new(b"two".to_vec()),
        lease: 0,
    };
    let begun = RotationEdit {
        environment: env("prod"),
        path: path("b"),
        to,
    };
    world.vault.rotate(begun, "a rotation").unwrap();
    let all = world.vault.rotations();
    let [Err(ReadError::Rotation { path: at, .. }), Ok(rotation)] = &all[..] else {
        panic!("{all:?}")
    };
    assert_eq!((at, &rotation.path), (&path("a"), &path("b")));
}
