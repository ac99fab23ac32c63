//! Records that are wrapped under a newer key: what they hold and what they are known by stays, and
//! nobody but an admin may say so.
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

use proptest::prelude::*;
use strongroom_core::Vault;
use strongroom_core::commit::{Commit, EntryChange, Labels, Rewrap, decode};
use strongroom_core::config::Format;
use strongroom_core::crypto::seal::{Context, Purpose, term_of};
use strongroom_core::id::{Hash, PlaceId, Revision, Version};
use strongroom_core::rotation::Strategy as How;
use strongroom_core::secret::Secret;
use strongroom_core::snapshot::{Kind, Label, ReadError, Role};
use strongroom_core::store::{Fault, Store, StoredObject};
use strongroom_core::vault::{
    Break, CommitError, Edit, Event, Expect, LabelEdit, OpenError, Relabel, Rewrapped, Rotate, RotationEdit,
    Scope,
};
use vault_kit::*;

const POLICY: &[u8] = b"permit (principal, action, resource);";

fn new_key(world: &World, of: &str) {
    let edit = Edit::NewKey {
        compartment: compartment(of),
    };
    world.commit(vec![edit]).unwrap();
}

fn rewrap(vault: &Vault, of: &str) -> Rewrapped {
    vault.rewrap(&compartment(of), "wrap", &mut |_, _| {}).unwrap()
}

fn label(at: &str, to: Relabel) -> Edit {
    Edit::Label(LabelEdit {
        environment: env("prod"),
        path: path(at),
        to,
        expect: Expect::Any,
    })
}

/// Every kind of entry, labels wherever they may be, and a rotation that runs.
fn full() -> World {
    let world = World::new();
    world.put("prod", "plain", b"one");
    world.put("prod", "plain", b"two");
    for (at, kind, format, value) in [
        ("web", Kind::Config, Format::Toml, &b"a = 1"[..]),
        (
            "flag",
            Kind::Flag,
            Format::Text,
            b"{\"state\":\"ENABLED\",\"variants\":{\"on\":true},\"defaultVariant\":\"on\"}",
        ),
        ("policy", Kind::Policy, Format::Text, POLICY),
    ] {
        world.commit(vec![put("prod", at, kind, format, value)]).unwrap();
    }
    for at in ["pending", "previous", "rotating"] {
        world.put("prod", at, b"one");
        let to = Relabel::Pending(Secret::new(b"two".to_vec()));
        if at != "rotating" {
            world.commit(vec![label(at, to)]).unwrap();
        }
    }
    world.commit(vec![label("previous", Relabel::Promote)]).unwrap();
    let to = Rotate::Begin {
        strategy: How::Overlap,
        plan: b"plan@1".to_vec(),
        place: PlaceId([1; 16]),
        value: Secret::new(b"two".to_vec()),
        lease: 60_000,
    };
    let begun = RotationEdit {
        environment: env("prod"),
        path: path("rotating"),
        to,
    };
    world.vault.rotate(begun, "begin").unwrap();
    world
}

/// What every entry is and says, by all its labels.
fn contents(vault: &Vault) -> BTreeSet<String> {
    let snapshot = vault.snapshot();
    let mut all = BTreeSet::new();
    for entry in snapshot.all_entries() {
        for label in [Label::Current, Label::Pending, Label::Previous] {
            match snapshot.labelled(&entry.environment, &entry.path, label) {
                Ok(reading) => drop(all.insert(format!(
                    "{} {label} {} {} {} {:?} {:?} {:?}",
                    entry.path,
                    reading.entry.version,
                    reading.entry.revision,
                    entry.changed_at(),
                    entry.labels,
                    entry.format,
                    expose(&reading.value)
                ))),
                Err(ReadError::NoLabel { .. }) => {}
                Err(other) => panic!("{other}"),
            }
        }
    }
    for rotation in vault.rotations() {
        all.insert(format!("{:?}", rotation.unwrap().running));
    }
    all
}

fn decoded(store: &dyn Store) -> Vec<Commit> {
    let all = forge::commits(store);
    all.iter().map(|each| decode(&each.bytes).unwrap().0).collect()
}

fn term(store: &dyn Store, hash: Hash) -> u32 {
    let mut term = None;
    let mut take = |_, bytes: &[u8]| {
        term = Some(term_of(bytes).unwrap().0);
        true
    };
    store.objects(&[hash], &mut take).unwrap();
    term.unwrap()
}

#[test]
fn nothing_but_the_wraps_is_another() {
    let world = full();
    let follower = Arc::new(world.open(&world.member("web", Role::Reader, &["prod"])).unwrap());
    world.vault.refresh().unwrap();
    let before = contents(&world.vault);
    assert_eq!(world.vault.under_older_keys(&compartment("prod")).unwrap(), 0);
    assert_eq!(rewrap(&world.vault, "prod").commits, 0, "there is one key alone");
    new_key(&world, "prod");
    new_key(&world, "common");
    follower.refresh().unwrap();
    let mut watch = follower.watch();
    let head = world.vault.snapshot().revision();
    assert_eq!(world.vault.under_older_keys(&compartment("prod")).unwrap(), 6);
    let done = rewrap(&world.vault, "prod");
    // Six descriptions and current values; two pending, one previous, one record of a rotation.
    assert_eq!((done.entries, done.records, done.commits), (6, 16, 1));
    let policies = rewrap(&world.vault, "common");
    assert_eq!((policies.entries, policies.records), (1, 2));
    assert_eq!(policies.revision, Revision(head.0 + 2));
    for commit in decoded(&*world.store).iter().rev().take(2) {
        for hash in commit.rewraps.iter().flat_map(Rewrap::objects) {
            assert_eq!(term(&*world.store, hash), 2);
        }
    }
    // By the one who did it, one who follows, and those who open it: from the commits, and from a checkpoint.
    assert_eq!(contents(&world.vault), before);
    follower.refresh().unwrap();
    assert_eq!(
        contents(&follower),
        contents(&world.open(&world.identity).unwrap())
    );
    assert_eq!(contents(&follower), before);
    while let Some(event) = watch.try_next() {
        if let Event::Revised(revised) = event {
            assert!(revised.changes.is_empty(), "nothing is delivered: {revised:?}");
        }
    }
    world.vault.verify(&mut |_, _| {}).unwrap();
    follower.verify(&mut |_, _| {}).unwrap();
    world.vault.checkpoint().unwrap();
    let again = world.open(&world.identity).unwrap();
    assert_eq!(contents(&again), before);
    again.verify(&mut |_, _| {}).unwrap();
    // The past is as it was, and what comes goes on from it.
    let then = again.at(head).unwrap();
    let plain = then.read(&env("prod"), &path("plain")).unwrap();
    assert_eq!(expose(&plain.value), b"two");
    let receipt = world.put("prod", "plain", b"three");
    assert_eq!(receipt.changes[0].version.0, 3);
    assert_eq!(rewrap(&world.vault, "prod").commits, 0, "nothing is left");
    let history = world
        .vault
        .history(Some((&env("prod"), &path("plain"))), 10)
        .unwrap();
    let changes: Vec<_> = history.iter().map(|past| past.changes.len()).collect();
    assert_eq!(changes, [1, 0, 1, 1], "three times it was put, and wrapped once");
}

#[test]
fn the_rotation_that_runs_goes_on() {
    let world = full();
    new_key(&world, "prod");
    let running = || world.vault.rotation(&env("prod"), &path("rotating")).unwrap();
    let before = running();
    assert_eq!(rewrap(&world.vault, "prod").commits, 1);
    assert_eq!(running(), before);
    let edit = RotationEdit {
        environment: env("prod"),
        path: path("rotating"),
        to: Rotate::GiveUp { force: true },
    };
    world.vault.rotate(edit, "give up").unwrap();
    assert_eq!(running(), None);
    world.vault.verify(&mut |_, _| {}).unwrap();
}

#[test]
fn whatever_stops_it_is_gone_on_with() {
    let world = World::new();
    for chunk in 0..6 {
        let edits = (0..1000).map(|n| secret("prod", &format!("s{chunk}/{n}"), &[n as u8; 20]));
        world.commit(edits.collect()).unwrap();
    }
    new_key(&world, "prod");
    let mut seen = Vec::new();
    let store = Arc::clone(&world.store);
    let stopped = world
        .vault
        .rewrap(&compartment("prod"), "wrap", &mut |done, total| {
            seen.push((done, total));
            store.arm(Fault::AppendLost);
        });
    assert!(matches!(stopped, Err(CommitError::Store(_))), "{stopped:?}");
    assert_eq!(seen, [(4096, 6000)]);
    assert_eq!(world.vault.under_older_keys(&compartment("prod")).unwrap(), 1904);
    world
        .open(&world.identity)
        .unwrap()
        .verify(&mut |_, _| {})
        .unwrap();
    let done = rewrap(&world.open(&world.identity).unwrap(), "prod");
    assert_eq!((done.entries, done.commits), (1904, 1));
    world.vault.refresh().unwrap();
    assert_eq!(world.vault.under_older_keys(&compartment("prod")).unwrap(), 0);
    assert_eq!(world.get("prod", "s2/7").unwrap(), [7; 20]);
    world.vault.verify(&mut |_, _| {}).unwrap();
}

#[test]
fn what_others_change_meanwhile_is_theirs() {
    let world = World::new();
    let edits = (0..5000).map(|n| secret("prod", &format!("s/{n}"), b"one"));
    world.commit(edits.collect()).unwrap();
    let other = world.open(&world.member("w", Role::Writer, &["prod"])).unwrap();
    new_key(&world, "prod");
    other.refresh().unwrap();
    let mut first = true;
    let done = world.vault.rewrap(&compartment("prod"), "wrap", &mut |_, _| {
        if std::mem::take(&mut first) {
            // Ids are in no order: some of these are in the first commit, some are to come.
            let mut edits: Vec<_> = (0..20)
                .map(|n| secret("prod", &format!("s/{n}"), b"two"))
                .collect();
            edits.extend((20..40).map(|n| delete("prod", &format!("s/{n}"))));
            edits.extend((40..60).map(|n| {
                let mut again = put("prod", &format!("s/{n}"), Kind::Secret, Format::Text, b"three");
                if let Edit::Put(put) = &mut again {
                    put.labels = Some([("owner".to_owned(), "web".to_owned())].into());
                }
                again
            }));
            other.commit(&change(edits)).unwrap();
        }
    });
    let done = done.unwrap();
    assert!(done.commits >= 2, "{done:?}");
    assert_eq!(world.vault.under_older_keys(&compartment("prod")).unwrap(), 0);
    for (n, value) in [
        (0, Some("two")),
        (20, None),
        (40, Some("three")),
        (60, Some("one")),
    ] {
        let read = world.get("prod", &format!("s/{n}")).ok();
        assert_eq!(read.as_deref(), value.map(str::as_bytes), "{n}");
    }
    world.vault.verify(&mut |_, _| {}).unwrap();
}

#[test]
fn it_takes_an_admin() {
    let world = full();
    new_key(&world, "prod");
    let outside = world.member("out", Role::Reader, &[]);
    let writer = world.member("w", Role::Writer, &["prod"]);
    let vault = world.open(&writer).unwrap();
    let refused = vault.rewrap(&compartment("prod"), "wrap", &mut |_, _| {});
    assert!(matches!(refused, Err(CommitError::Denied { .. })), "{refused:?}");
    let refused = world
        .open(&outside)
        .unwrap()
        .under_older_keys(&compartment("prod"));
    assert!(matches!(refused, Err(CommitError::Denied { .. })), "{refused:?}");
    let nowhere = world.vault.rewrap(&compartment("nope"), "wrap", &mut |_, _| {});
    assert!(matches!(nowhere, Err(CommitError::Invalid { .. })), "{nowhere:?}");
    // Around the vault's own check.
    world.vault.refresh().unwrap();
    rewrap(&world.vault, "prod");
    new_key(&world, "prod");
    let made = decoded(&*world.store)
        .iter()
        .rev()
        .find_map(|each| each.rewraps.first().copied())
        .unwrap();
    let member = forge::newest_member(&*world.store);
    let forged = Rewrap {
        value: made.meta,
        ..made
    };
    forge::append(&*world.store, &writer, |commit| {
        commit.author = member;
        commit.rewraps = vec![forged];
    });
    assert_eq!(forge::refused(world.open(&world.identity)), Break::Unauthorised);
}

/// A secret with a pending version, its put, and what would wrap nothing anew.
fn scene() -> (World, EntryChange, Rewrap) {
    let world = World::new();
    world.put("prod", "other", b"one");
    world.put("prod", "at", b"one");
    let put = decoded(&*world.store).last().unwrap().entries[0];
    let to = Relabel::Pending(Secret::new(b"two".to_vec()));
    world.commit(vec![label("at", to)]).unwrap();
    let pending = decoded(&*world.store).last().unwrap().entries[0].value;
    let same = Rewrap {
        id: put.id,
        meta: put.meta,
        value: put.value.unwrap(),
        pending,
        previous: None,
        rotation: None,
    };
    (world, put, same)
}

fn context(world: &World, put: &EntryChange, purpose: Purpose, version: u32) -> Context {
    Context {
        store: decoded(&*world.store)[0].store,
        purpose,
        compartment: put.compartment,
        subject: put.id.0,
        version,
        kind: if purpose == Purpose::Value {
            Kind::Secret as u8
        } else {
            0
        },
    }
}

/// What readers say: one who was there before, one who opens it now, and `verify` where they take it.
fn outcome(world: &World, rewraps: Vec<Rewrap>, entries: Vec<EntryChange>) -> Option<Break> {
    forge::append(&*world.store, &world.identity, |commit| {
        commit.author = decoded(&*world.store)[0].author;
        commit.rewraps = rewraps;
        commit.entries = entries;
    });
    let broke = |result: Result<(), OpenError>| match result {
        Ok(()) => None,
        Err(OpenError::Integrity(error)) => {
            assert_eq!(
                error.revision,
                forge::commits(&*world.store).last().unwrap().head.revision
            );
            Some(error.what)
        }
        Err(other) => panic!("{other}"),
    };
    let followed = broke(world.vault.refresh().map(|_| ()));
    assert_eq!(followed, broke(world.open(&world.identity).map(|_| ())));
    followed.or_else(|| broke(world.vault.verify(&mut |_, _| {}).map(|_| ())))
}

#[test]
fn no_reader_takes_one_that_does_not_fit() {
    type Make = fn(&World, &EntryChange, Rewrap) -> (Vec<Rewrap>, Vec<EntryChange>);
    let cases: [(&str, Make); 8] = [
        ("nothing is another", |_, _, same| (vec![same], vec![])),
        ("an entry that is not there", |_, _, same| {
            let id = strongroom_core::id::EntryId([7; 16]);
            (vec![Rewrap { id, ..same }], vec![])
        }),
        ("a label is left out", |world, put, same| {
            let value = planted(world, put, 1, b"one");
            (
                vec![Rewrap {
                    value,
                    pending: None,
                    ..same
                }],
                vec![],
            )
        }),
        ("a label is new", |world, put, same| {
            let previous = Some(planted(world, put, 1, b"one"));
            (vec![Rewrap { previous, ..same }], vec![])
        }),
        ("a rotation is new", |world, put, same| {
            let rotation = Some(planted(world, put, 1, b"one"));
            (vec![Rewrap { rotation, ..same }], vec![])
        }),
        ("it is changed too", |world, put, same| {
            let value = planted(world, put, 1, b"one");
            let next = EntryChange {
                version: strongroom_core::id::Version(3),
                value: Some(planted(world, put, 3, b"three")),
                ..*put
            };
            (vec![Rewrap { value, ..same }], vec![next])
        }),
        ("it goes", |world, put, same| {
            let value = planted(world, put, 1, b"one");
            (
                vec![Rewrap { value, ..same }],
                vec![EntryChange { value: None, ..*put }],
            )
        }),
        ("another secret, as verification finds", |world, put, same| {
            (
                vec![Rewrap {
                    value: planted(world, put, 1, b"two"),
                    ..same
                }],
                vec![],
            )
        }),
    ];
    for (what, make) in cases {
        let (world, put, same) = scene();
        let (rewraps, entries) = make(&world, &put, same);
        assert_eq!(
            outcome(&world, rewraps, entries),
            Some(Break::Contradiction),
            "{what}"
        );
    }
}

fn planted(world: &World, put: &EntryChange, version: u32, plain: &[u8]) -> Hash {
    let context = context(world, put, Purpose::Value, version);
    forge::plant(&world.store, &world.identity, &context, plain)
}

#[test]
fn a_record_that_does_not_open_is_found() {
    let (world, _, same) = scene();
    let missing = Rewrap {
        meta: Hash::of(b"nothing"),
        ..same
    };
    assert_eq!(outcome(&world, vec![missing], vec![]), Some(Break::MissingObject));
    let (world, put, same) = scene();
    let elsewhere = context(&world, &put, Purpose::Meta, 1);
    let meta = forge::plant(&world.store, &world.identity, &elsewhere, b"of a version");
    assert_eq!(
        outcome(&world, vec![Rewrap { meta, ..same }], vec![]),
        Some(Break::Record)
    );
    // A value is opened when it is read, and by `verify`.
    let (world, put, same) = scene();
    let value = planted(&world, &put, 9, b"one");
    assert_eq!(
        outcome(&world, vec![Rewrap { value, ..same }], vec![]),
        Some(Break::Record)
    );
    let (world, put, same) = scene();
    let pending = Some(planted(&world, &put, 1, b"two"));
    assert_eq!(
        outcome(&world, vec![Rewrap { pending, ..same }], vec![]),
        Some(Break::Record)
    );
}

#[test]
fn what_does_not_open_is_left_and_named() {
    for bad in ["another place", "another term", "cut"] {
        let (world, put, _) = scene();
        let member = world.member("w", Role::Writer, &["prod"]);
        let mut value = planted(&world, &put, 9, b"elsewhere");
        if bad != "another place" {
            let mut object = Vec::new();
            let mut take = |_, bytes: &[u8]| {
                object = bytes.to_vec();
                true
            };
            world.store.objects(&[value], &mut take).unwrap();
            match bad {
                "cut" => object.truncate(70),
                _ => object[1..5].fill(0),
            }
            value = Hash::of(&object);
            let object = StoredObject {
                hash: value,
                bytes: object,
            };
            world.store.tamper(|_, objects, _| objects.push(object));
        }
        let author = forge::newest_member(&*world.store);
        forge::append(&*world.store, &member, |commit| {
            commit.author = author;
            commit.entries = vec![EntryChange {
                version: Version(3),
                value: Some(value),
                ..put
            }];
        });
        world.vault.refresh().unwrap();
        new_key(&world, "prod");
        for _ in 0..2 {
            let done = rewrap(&world.vault, "prod");
            assert_eq!(done.broken, [(env("prod"), path("at"))], "{bad}");
        }
        assert_eq!(world.vault.under_older_keys(&compartment("prod")).unwrap(), 1);
        assert_eq!(world.get("prod", "other").unwrap(), b"one");
        // A new value takes its place, also one that is as long.
        world.put("prod", "at", b"elsewhere");
        let done = rewrap(&world.vault, "prod");
        assert!(done.broken.is_empty(), "{bad}: {done:?}");
        assert_eq!(world.vault.under_older_keys(&compartment("prod")).unwrap(), 0);
    }
}

#[test]
fn a_rollback_undoes_one_that_holds_something_else() {
    for (version, plain) in [(1, &b"two"[..]), (9, b"one")] {
        let (world, put, same) = scene();
        world.commit(vec![label("at", Relabel::Drop)]).unwrap();
        let before = world.vault.snapshot().revision();
        let value = planted(&world, &put, version, plain);
        forge::append(&*world.store, &world.identity, |commit| {
            commit.author = decoded(&*world.store)[0].author;
            commit.rewraps = vec![Rewrap {
                value,
                pending: None,
                ..same
            }];
        });
        world.vault.refresh().unwrap();
        assert_ne!(world.get("prod", "at").ok().as_deref(), Some(&b"one"[..]));
        let back = world.vault.rollback(&Scope::default(), before).unwrap();
        assert_eq!(back.edits.len(), 1, "the other one is as it was");
        world.vault.commit(&back).unwrap();
        assert_eq!(world.get("prod", "at").unwrap(), b"one");
    }
    // One that holds the same is none to undo.
    let world = full();
    let before = world.vault.snapshot().revision();
    new_key(&world, "prod");
    rewrap(&world.vault, "prod");
    assert!(
        world
            .vault
            .rollback(&Scope::default(), before)
            .unwrap()
            .edits
            .is_empty()
    );
}

#[test]
fn a_later_commit_hides_none_that_is_not_right() {
    let world = full();
    let rotating = decoded(&*world.store).last().unwrap().entries[0];
    let labels = rotating.labels.unwrap();
    let live = decoded(&*world.store)
        .iter()
        .flat_map(|commit| commit.entries.clone())
        .find(|change| change.id == rotating.id)
        .unwrap();
    let admin = decoded(&*world.store)[0].author;
    let bad = Rewrap {
        id: rotating.id,
        meta: rotating.meta,
        value: live.value.unwrap(),
        pending: rotating.value,
        previous: None,
        rotation: Some(planted(&world, &live, 1, b"no record of a rotation")),
    };
    let late = world.open(&world.identity).unwrap();
    forge::append(&*world.store, &world.identity, |commit| {
        commit.author = admin;
        commit.rewraps = vec![bad];
    });
    assert_eq!(forge::refused(world.vault.refresh()), Break::Record);
    forge::append(&*world.store, &world.identity, |commit| {
        commit.author = admin;
        commit.entries = vec![EntryChange {
            value: None,
            labels: Some(Labels {
                rotation: None,
                ..labels
            }),
            ..rotating
        }];
    });
    for refused in [
        late.refresh().map(|_| ()),
        world.open(&world.identity).map(|_| ()),
    ] {
        assert_eq!(forge::refused(refused), Break::Record);
    }
}

#[test]
fn no_older_key_comes_back() {
    let (world, _, before) = scene();
    new_key(&world, "prod");
    rewrap(&world.vault, "prod");
    world.vault.verify(&mut |_, _| {}).unwrap();
    assert_eq!(outcome(&world, vec![before], vec![]), Some(Break::Contradiction));
}

/// What is done to one of a few secrets, or to all.
#[derive(Clone, Debug)]
enum Step {
    Put(u8, u8),
    Delete(u8),
    Pending(u8, u8),
    Move(u8, u8),
    NewKey,
    Rewrap,
    Checkpoint,
}

fn step() -> impl Strategy<Value = Step> {
    let at = 0..3_u8;
    prop_oneof![
        (at.clone(), any::<u8>()).prop_map(|(at, value)| Step::Put(at, value)),
        at.clone().prop_map(Step::Delete),
        (at.clone(), any::<u8>()).prop_map(|(at, value)| Step::Pending(at, value)),
        (at, 0..4_u8).prop_map(|(at, how)| Step::Move(at, how)),
        Just(Step::NewKey),
        Just(Step::Rewrap),
        Just(Step::Checkpoint),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whoever_follows_and_whoever_opens_see_the_same(steps in prop::collection::vec(step(), 1..25)) {
        let world = World::new();
        let follower = world.open(&world.member("web", Role::Reader, &["prod"])).unwrap();
        for step in steps {
            let at = |at: u8| format!("s/{at}");
            // What is out of place is refused, and changes nothing.
            match step {
                Step::Put(n, value) => drop(world.commit(vec![secret("prod", &at(n), &[value])])),
                Step::Delete(n) => drop(world.commit(vec![delete("prod", &at(n))])),
                Step::Pending(n, value) => {
                    let to = Relabel::Pending(Secret::new(vec![value]));
                    drop(world.commit(vec![label(&at(n), to)]));
                }
                Step::Move(n, how) => {
                    let to = match how {
                        0 => Relabel::Promote,
                        1 => Relabel::TakeBack,
                        2 => Relabel::Drop,
                        _ => Relabel::Retire,
                    };
                    drop(world.commit(vec![label(&at(n), to)]));
                }
                Step::NewKey => new_key(&world, "prod"),
                Step::Rewrap => {
                    world.vault.refresh().unwrap();
                    let before = contents(&world.vault);
                    rewrap(&world.vault, "prod");
                    prop_assert_eq!(contents(&world.vault), before);
                    prop_assert_eq!(world.vault.under_older_keys(&compartment("prod")).unwrap(), 0);
                }
                Step::Checkpoint => drop(world.vault.checkpoint().unwrap()),
            }
            if world.vault.snapshot().revision().0.is_multiple_of(3) {
                follower.refresh().unwrap();
                prop_assert_eq!(contents(&follower), contents(&world.vault));
            }
        }
        follower.refresh().unwrap();
        let opened = world.open(&world.identity).unwrap();
        prop_assert_eq!(contents(&follower), contents(&world.vault));
        prop_assert_eq!(contents(&opened), contents(&world.vault));
        let verified = opened.verify(&mut |_, _| {});
        prop_assert!(verified.is_ok(), "{:?}", verified);
    }
}
