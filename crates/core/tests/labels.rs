//! Labels of versions through the vault: where they point, who may move them, and what no commit
//! may do to them.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod forge;
mod vault_kit;

use proptest::prelude::*;
use strongroom_core::Vault;
use strongroom_core::commit::{EntryChange, Labels, decode};
use strongroom_core::config::Format;
use strongroom_core::crypto::seal::{Context, Purpose};
use strongroom_core::id::{Hash, Version};
use strongroom_core::secret::Secret;
use strongroom_core::snapshot::{Action, Kind, Label, ReadError, Role};
use strongroom_core::vault::{Break, Change, CommitError, Edit, Expect, LabelEdit, Receipt, Relabel, Scope};
use vault_kit::{World, change, env, expose, path};

const AT: &str = "web/password";

fn relabel(to: Relabel) -> Change {
    change(vec![Edit::Label(LabelEdit {
        environment: env("prod"),
        path: path(AT),
        to,
        expect: Expect::Any,
    })])
}

fn pending(value: &[u8]) -> Relabel {
    Relabel::Pending(Secret::new(value.to_vec()))
}

/// Version and value behind a label.
fn at(vault: &Vault, label: Label) -> Option<(u32, Vec<u8>)> {
    match vault.snapshot().labelled(&env("prod"), &path(AT), label) {
        Ok(reading) => Some((reading.entry.version.0, expose(&reading.value))),
        Err(ReadError::NoLabel { .. }) => None,
        Err(other) => panic!("{other}"),
    }
}

fn labels(vault: &Vault) -> [Option<(u32, Vec<u8>)>; 3] {
    [Label::Current, Label::Pending, Label::Previous].map(|label| at(vault, label))
}

fn some(version: u32, value: &[u8]) -> Option<(u32, Vec<u8>)> {
    Some((version, value.to_vec()))
}

fn invalid(result: Result<Receipt, CommitError>) -> String {
    match result {
        Err(CommitError::Invalid { problem }) => problem,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn a_pending_version_is_delivered_when_it_is_promoted() {
    let world = World::new();
    world.put("prod", AT, b"one");
    let vault = &world.vault;
    let receipt = vault.commit(&relabel(pending(b"two"))).unwrap();
    assert!(
        receipt.committed && receipt.changes.is_empty(),
        "nothing is delivered yet"
    );
    assert_eq!(labels(vault), [some(1, b"one"), some(2, b"two"), None]);
    let receipt = vault.commit(&relabel(Relabel::Promote)).unwrap();
    assert_eq!(receipt.changes[0].action, Action::Updated);
    assert_eq!(receipt.changes[0].version, Version(2));
    assert_eq!(labels(vault), [some(2, b"two"), None, some(1, b"one")]);
    vault.commit(&relabel(Relabel::TakeBack)).unwrap();
    assert_eq!(labels(vault), [some(1, b"one"), some(2, b"two"), None]);
    vault.commit(&relabel(Relabel::Promote)).unwrap();
    let receipt = vault.commit(&relabel(Relabel::Retire)).unwrap();
    assert!(receipt.changes.is_empty(), "the current version is what it was");
    assert_eq!(labels(vault), [some(2, b"two"), None, None]);
    vault.verify(&mut |_, _| {}).unwrap();
}

#[test]
fn a_number_is_never_given_twice() {
    let world = World::new();
    world.put("prod", AT, b"one");
    world.vault.commit(&relabel(pending(b"two"))).unwrap();
    world.vault.commit(&relabel(Relabel::Drop)).unwrap();
    world.vault.checkpoint().unwrap();
    assert_eq!(labels(&world.vault), [some(1, b"one"), None, None]);
    let again = world.open(&world.identity).unwrap();
    again.commit(&relabel(pending(b"three"))).unwrap();
    assert_eq!(at(&again, Label::Pending), some(3, b"three"));
    let receipt = world.put("prod", AT, b"four");
    assert_eq!(receipt.changes[0].version, Version(4));
    assert_eq!(labels(&world.vault), [some(4, b"four"), some(3, b"three"), None]);
    again.refresh().unwrap();
    again.verify(&mut |_, _| {}).unwrap();
}

#[test]
fn what_is_not_there_is_not_moved_and_what_is_there_not_replaced() {
    let world = World::new();
    world.put("prod", AT, b"one");
    let commit = |to| world.vault.commit(&relabel(to));
    assert!(invalid(commit(Relabel::Promote)).contains("no pending"));
    assert!(invalid(commit(Relabel::Drop)).contains("no pending"));
    assert!(invalid(commit(Relabel::Retire)).contains("no previous"));
    assert!(invalid(commit(Relabel::TakeBack)).contains("no previous"));
    commit(pending(b"two")).unwrap();
    assert!(invalid(commit(pending(b"three"))).contains("pending version already"));
    commit(Relabel::Promote).unwrap();
    commit(pending(b"three")).unwrap();
    assert!(invalid(commit(Relabel::Promote)).contains("retire it first"));
    assert!(invalid(commit(Relabel::TakeBack)).contains("drop it first"));
    let expected = change(vec![Edit::Label(LabelEdit {
        environment: env("prod"),
        path: path(AT),
        to: Relabel::Retire,
        expect: Expect::Version(Version(1)),
    })]);
    assert!(matches!(
        world.vault.commit(&expected),
        Err(CommitError::Stale {
            found: Version(2),
            ..
        })
    ));
}

#[test]
fn no_value_has_two_labels() {
    let world = World::new();
    world.put("prod", AT, b"one");
    let first = world.vault.snapshot().revision();
    let commit = |to| world.vault.commit(&relabel(to));
    assert!(invalid(commit(pending(b"one"))).contains("is the current version"));
    commit(pending(b"two")).unwrap();
    let put = |value: &[u8]| world.commit(vec![vault_kit::secret("prod", AT, value)]);
    assert!(invalid(put(b"two")).contains("promote it"));
    commit(Relabel::Promote).unwrap();
    assert!(invalid(put(b"one")).contains("take it back"));
    assert!(invalid(commit(pending(b"one"))).contains("is the previous version"));
    // Rolling back would deliver what `retire` then ends at the target.
    let back = world
        .vault
        .rollback(&Scope::entry(env("prod"), path(AT)), first)
        .unwrap();
    assert!(invalid(world.vault.commit(&back)).contains("take it back"));
    commit(Relabel::Retire).unwrap();
    put(b"one").unwrap();
}

#[test]
fn rotators_move_labels_of_their_secrets_and_readers_none() {
    let world = World::new();
    world.put("prod", AT, b"one");
    let rotator = world
        .open(&world.member("rot", Role::Rotator, &["prod"]))
        .unwrap();
    let reader = world.open(&world.member("web", Role::Reader, &["prod"])).unwrap();
    rotator.commit(&relabel(pending(b"two"))).unwrap();
    rotator.commit(&relabel(Relabel::Promote)).unwrap();
    reader.refresh().unwrap();
    assert_eq!(at(&reader, Label::Previous), some(1, b"one"));
    let refused = reader.commit(&relabel(Relabel::Retire));
    assert!(matches!(refused, Err(CommitError::Denied { .. })), "{refused:?}");
    world.vault.refresh().unwrap();
    world.vault.verify(&mut |_, _| {}).unwrap();
}

#[test]
fn a_member_who_is_removed_knew_what_is_not_delivered_too() {
    let world = World::new();
    world.put("prod", AT, b"one");
    for to in [pending(b"two"), Relabel::Promote, pending(b"three")] {
        world.vault.commit(&relabel(to)).unwrap();
    }
    world.member("web", Role::Reader, &["prod"]);
    let removed = world.commit(vec![Edit::RemoveMember {
        name: vault_kit::name("web"),
    }]);
    let exposed = removed.unwrap().exposed;
    let versions: Vec<_> = exposed.iter().map(|each| each.version.0).collect();
    assert_eq!(versions, [1, 2, 3]);
    assert!(exposed.iter().all(|each| each.path == path(AT)));
}

#[test]
fn history_tells_what_was_delivered() {
    let world = World::new();
    world.put("prod", AT, b"one");
    for to in [pending(b"two"), Relabel::Promote, Relabel::Retire] {
        world.vault.commit(&relabel(to)).unwrap();
    }
    let (environment, path) = (env("prod"), path(AT));
    let past = world.vault.history(Some((&environment, &path)), 10).unwrap();
    let versions: Vec<_> = past
        .iter()
        .map(|past| past.changes.iter().map(|each| each.version.0).collect::<Vec<_>>())
        .collect();
    assert_eq!(versions, [vec![], vec![2], vec![], vec![1]]);
    let labels: Vec<_> = past
        .iter()
        .flat_map(|past| &past.labels)
        .map(|each| [Some(each.current), each.pending, each.previous].map(|at| at.map(|at| at.0)))
        .collect();
    let expected = [
        [Some(2), None, None],
        [Some(2), None, Some(1)],
        [Some(1), Some(2), None],
    ];
    assert_eq!(labels, expected);
    let then = world.vault.at(past[2].revision).unwrap();
    assert_eq!(
        then.labelled(&environment, &path, Label::Pending)
            .unwrap()
            .entry
            .version,
        Version(2)
    );
}

/// Appends a forged change of the entry's labels; what the vault says to it.
fn forged(prepare: &[Relabel], make: impl FnOnce(&mut EntryChange, &mut Labels)) -> Option<Break> {
    let world = World::new();
    world.put("prod", AT, b"one");
    for to in prepare {
        let to = match to {
            Relabel::Pending(value) => pending(&expose(value)),
            Relabel::Promote => Relabel::Promote,
            Relabel::TakeBack => Relabel::TakeBack,
            Relabel::Drop => Relabel::Drop,
            Relabel::Retire => Relabel::Retire,
        };
        world.vault.commit(&relabel(to)).unwrap();
    }
    let all = forge::commits(&*world.store);
    let last = decode(&all.last().unwrap().bytes).unwrap().0.entries[0];
    let mut change = EntryChange { value: None, ..last };
    let mut labels = last.labels.unwrap_or(Labels {
        moves: false,
        pending: None,
        previous: None,
        rotation: None,
    });
    labels.moves = false;
    make(&mut change, &mut labels);
    change.labels = Some(labels);
    forge::append(&*world.store, &world.identity, |commit| {
        commit.entries = vec![change]
    });
    match world.open(&world.identity) {
        Ok(_) => None,
        refused => Some(forge::refused(refused)),
    }
}

#[test]
fn no_reader_takes_labels_that_point_nowhere() {
    let two = || vec![pending(b"two")];
    let promoted = || vec![pending(b"two"), Relabel::Promote];
    let object = Hash::of(b"nothing");
    type Make = Box<dyn FnOnce(&mut EntryChange, &mut Labels)>;
    let tries: Vec<(&str, Vec<Relabel>, Make)> = vec![
        ("nothing changes", two(), Box::new(|_, _| {})),
        (
            "a pending version without a value",
            vec![],
            Box::new(|_, l| l.pending = Some(Version(2))),
        ),
        (
            "a value without a pending version",
            vec![],
            Box::new(move |c, _| c.value = Some(object)),
        ),
        (
            "a pending version that is not the next",
            vec![],
            Box::new(move |c, l| {
                c.value = Some(object);
                l.pending = Some(Version(3));
            }),
        ),
        (
            "an old number with a new value",
            two(),
            Box::new(move |c, _| c.value = Some(object)),
        ),
        (
            "a previous version that had no label",
            promoted(),
            Box::new(|_, l| l.previous = Some(Version(7))),
        ),
        (
            "a current version that had no label",
            two(),
            Box::new(|c, l| {
                c.version = Version(3);
                l.moves = true;
            }),
        ),
        (
            "two labels on one version",
            two(),
            Box::new(|c, l| {
                c.version = Version(2);
                l.moves = true;
            }),
        ),
        (
            "a move that is none",
            two(),
            Box::new(|_, l| {
                l.moves = true;
                l.pending = None;
            }),
        ),
        (
            "a move that is not said",
            two(),
            Box::new(|c, l| {
                c.version = Version(2);
                l.pending = None;
            }),
        ),
        (
            "other metadata",
            two(),
            Box::new(|c, l| {
                c.meta = Hash::of(b"else");
                l.pending = None;
            }),
        ),
    ];
    for (what, prepare, make) in tries {
        assert_eq!(forged(&prepare, make), Some(Break::Contradiction), "{what}");
    }
    // A record that is not there, where everything else is right.
    let missing = forged(&[], move |change, labels| {
        change.value = Some(object);
        labels.pending = Some(Version(2));
    });
    assert_eq!(missing, Some(Break::MissingObject));
    let fine = forged(&two(), |_, labels| labels.pending = None);
    assert_eq!(fine, None, "the forge makes what is right too");
}

#[test]
fn only_secrets_have_labels() {
    let world = World::new();
    let config = vault_kit::put("prod", "web/app", Kind::Config, Format::Text, b"one");
    world.commit(vec![config]).unwrap();
    let edit = Edit::Label(LabelEdit {
        environment: env("prod"),
        path: path("web/app"),
        to: pending(b"two"),
        expect: Expect::Any,
    });
    assert!(invalid(world.commit(vec![edit])).contains("only secrets"));
    let all = forge::commits(&*world.store);
    let last = decode(&all.last().unwrap().bytes).unwrap().0;
    let put = last.entries[0];
    let context = Context {
        store: last.store,
        purpose: Purpose::Value,
        compartment: put.compartment,
        subject: put.id.0,
        version: 2,
        kind: Kind::Config as u8,
    };
    let value = forge::plant(&world.store, &world.identity, &context, b"two");
    forge::append(&*world.store, &world.identity, |commit| {
        commit.entries = vec![EntryChange {
            value: Some(value),
            labels: Some(Labels {
                moves: false,
                pending: Some(Version(2)),
                previous: None,
                rotation: None,
            }),
            ..put
        }];
    });
    assert_eq!(forge::refused(world.vault.refresh()), Break::Contradiction);
    assert_eq!(forge::refused(world.open(&world.identity)), Break::Contradiction);
    assert_eq!(
        forge::refused(world.vault.verify(&mut |_, _| {})),
        Break::Contradiction
    );
}

#[derive(Clone, Debug)]
enum Step {
    Put(u8),
    Label(u8, u8),
    Delete,
    Checkpoint,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => any::<u8>().prop_map(Step::Put),
        8 => (0..5u8, any::<u8>()).prop_map(|(to, value)| Step::Label(to, value)),
        1 => Just(Step::Delete),
        1 => Just(Step::Checkpoint),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is done, everyone sees the same: who follows, who opens from a checkpoint, and who
    /// walks from the first commit.
    #[test]
    fn every_way_to_a_revision_shows_the_same_labels(steps in prop::collection::vec(step(), 1..24)) {
        let world = World::new();
        world.put("prod", AT, b"one");
        let follower = world.open(&world.identity).unwrap();
        for each in steps {
            match each {
                Step::Put(value) => drop(world.put("prod", AT, &[value])),
                Step::Label(to, value) => {
                    let to = match to {
                        0 => pending(&[value]),
                        1 => Relabel::Promote,
                        2 => Relabel::TakeBack,
                        3 => Relabel::Drop,
                        _ => Relabel::Retire,
                    };
                    let _ = world.vault.commit(&relabel(to));
                }
                Step::Delete => {
                    world.commit(vec![vault_kit::delete("prod", AT)]).unwrap();
                    world.put("prod", AT, b"again");
                }
                Step::Checkpoint => drop(world.vault.checkpoint().unwrap()),
            }
            follower.refresh().unwrap();
            prop_assert_eq!(labels(&follower), labels(&world.vault));
        }
        let opened = world.open(&world.identity).unwrap();
        prop_assert_eq!(labels(&opened), labels(&world.vault));
        world.store.tamper(|_, _, checkpoint| *checkpoint = None);
        let walked = world.open(&world.identity).unwrap();
        prop_assert_eq!(labels(&walked), labels(&world.vault));
        walked.verify(&mut |_, _| {}).unwrap();
    }
}
