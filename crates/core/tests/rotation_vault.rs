//! Rotations in a store: their commits, who may make them, two at once, and programs that die
//! between any two steps.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod forge;
mod vault_kit;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};

use proptest::prelude::*;
use strongroom_core::Vault;
use strongroom_core::ambient::{Ambient, Clock, Entropy, EntropyError, Timestamp};
use strongroom_core::commit::{EntryChange, Labels, decode};
use strongroom_core::crypto::identity::Identity;
use strongroom_core::crypto::seal::{Context, Purpose};
use strongroom_core::id::PlaceId;
use strongroom_core::rotation::{Effect, Machine, Next, Outcome, Phase, Step, Strategy as Plan};
use strongroom_core::secret::Secret;
use strongroom_core::snapshot::{Label, ReadError, Role};
use strongroom_core::vault::{
    Break, CommitError, Edit, Expect, LabelEdit, MAX_LEASE, OpenOptions, Relabel, Rotate, Rotation,
    RotationEdit, SKEW,
};
use vault_kit::{World, delete, env, expose, get, name, path, secret};

const AT: &str = "web/password";
const LEASE: u64 = 60_000;
const HERE: PlaceId = PlaceId([1; 16]);
const THERE: PlaceId = PlaceId([2; 16]);
const BEGAN: u64 = 1_795_953_600_000;

/// A clock that tests move.
#[derive(Clone)]
struct Hand(Arc<AtomicU64>);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }
}

struct System;

impl Entropy for System {
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyError> {
        Ambient::system().entropy().fill(out)
    }
}

struct Scene {
    world: World,
    clock: Hand,
    identities: [Arc<Identity>; 2],
}

impl Scene {
    /// A secret and two rotators, `rot` and `tor`.
    fn new() -> Self {
        let world = World::new();
        world.put("prod", AT, b"one");
        let identities = ["rot", "tor"].map(|who| world.member(who, Role::Rotator, &["prod"]));
        Self {
            world,
            clock: Hand(Arc::new(AtomicU64::new(BEGAN))),
            identities,
        }
    }

    /// A new program of one of the rotators.
    fn program(&self, who: usize) -> Vault {
        self.of(&self.identities[who])
    }

    fn of(&self, identity: &Arc<Identity>) -> Vault {
        let options = OpenOptions {
            ambient: Ambient::new(Arc::new(self.clock.clone()), Arc::new(System)),
            ..OpenOptions::default()
        };
        Vault::open(self.world.store.clone(), identity.clone(), options).unwrap()
    }

    fn pass(&self, millis: u64) {
        self.clock.0.fetch_add(millis, Ordering::Relaxed);
    }
}

fn commit(vault: &Vault, to: Rotate) -> Result<Option<Rotation>, CommitError> {
    let edit = RotationEdit {
        environment: env("prod"),
        path: path(AT),
        to,
    };
    vault.rotate(edit, "a rotation")
}

fn begin(vault: &Vault, strategy: Plan, value: &[u8]) -> Result<Rotation, CommitError> {
    let to = Rotate::Begin {
        strategy,
        plan: b"the plan".to_vec(),
        value: Secret::new(value.to_vec()),
        place: HERE,
        lease: LEASE,
    };
    commit(vault, to).map(Option::unwrap)
}

fn advance(vault: &Vault, rotation: &Rotation, step: Step) -> Result<Option<Rotation>, CommitError> {
    let to = Rotate::Advance {
        at: rotation.at,
        step,
        lease: LEASE,
    };
    commit(vault, to)
}

fn take_over(vault: &Vault, force: bool) -> Result<Rotation, CommitError> {
    take_over_at(vault, HERE, force)
}

fn take_over_at(vault: &Vault, place: PlaceId, force: bool) -> Result<Rotation, CommitError> {
    vault.refresh().unwrap();
    let at = vault.rotation(&env("prod"), &path(AT)).unwrap().unwrap().at;
    let to = Rotate::TakeOver {
        at,
        place,
        lease: LEASE,
        force,
    };
    commit(vault, to).map(Option::unwrap)
}

fn labelled(vault: &Vault, label: Label) -> Option<Vec<u8>> {
    let reading = vault.snapshot().labelled(&env("prod"), &path(AT), label);
    reading.ok().map(|reading| expose(&reading.value))
}

/// Who runs it, as the refusal says.
fn runner<T: std::fmt::Debug>(result: Result<T, CommitError>) -> (String, u64, Phase) {
    match result {
        Err(CommitError::Rotating { by, since, phase, .. }) => (by, since.0, phase),
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn a_rotator_takes_a_secret_from_one_value_to_the_next() {
    let scene = Scene::new();
    let vault = scene.program(0);
    let rotation = begin(&vault, Plan::Overlap, b"two").unwrap();
    assert_eq!(rotation.running.plan, b"the plan");
    assert_eq!((rotation.runner.as_str(), rotation.is_own), ("rot", true));
    assert_eq!(rotation.since(), Timestamp(BEGAN));
    assert_eq!(labelled(&vault, Label::Pending).unwrap(), b"two");
    assert_eq!(get(&vault, "prod", AT).unwrap(), b"one");
    let rotation = advance(&vault, &rotation, Step::Deliver).unwrap().unwrap();
    assert_eq!(get(&vault, "prod", AT).unwrap(), b"two");
    assert_eq!(labelled(&vault, Label::Previous).unwrap(), b"one");
    let rotation = advance(&vault, &rotation, Step::Retire { forced: true })
        .unwrap()
        .unwrap();
    assert!(rotation.running.forced, "it is kept that somebody did not wait");
    assert_eq!(rotation.phase(), Phase::Retiring);
    let ended = advance(&vault, &rotation, Step::End(Outcome::Rotated)).unwrap();
    assert_eq!(ended, None);
    assert!(vault.rotations().is_empty());
    assert_eq!(labelled(&vault, Label::Previous), None);
    // Everybody agrees, also who looks at all of it.
    scene.world.vault.refresh().unwrap();
    scene.world.vault.verify(&mut |_, _| {}).unwrap();
    assert_eq!(scene.world.get("prod", AT).unwrap(), b"two");
    let gone = advance(&vault, &rotation, Step::End(Outcome::Rotated));
    assert!(matches!(gone, Err(CommitError::NotRotating { .. })), "{gone:?}");
}

#[test]
fn of_two_that_begin_at_once_one_is_told_who_was_first() {
    for _ in 0..20 {
        let scene = Scene::new();
        let barrier = Barrier::new(2);
        let vaults = [scene.program(0), scene.program(1)];
        let results: Vec<_> = std::thread::scope(|scope| {
            let race = |vault| {
                let barrier = &barrier;
                scope.spawn(move || {
                    barrier.wait();
                    begin(vault, Plan::Alternate, b"two")
                })
            };
            let both: Vec<_> = vaults.iter().map(race).collect();
            both.into_iter().map(|each| each.join().unwrap()).collect()
        });
        let first = results.iter().position(Result::is_ok).unwrap();
        let who = ["rot", "tor"][first];
        let second = results.into_iter().nth(1 - first).unwrap();
        assert_eq!(runner(second), (who.to_owned(), BEGAN, Phase::Applying));
        let again = begin(&vaults[first], Plan::Alternate, b"three");
        assert_eq!(runner(again).0, who, "nor twice by one");
    }
}

#[test]
fn of_two_that_go_on_with_one_only_the_first_does() {
    let scene = Scene::new();
    let first = scene.program(0);
    let rotation = begin(&first, Plan::Overlap, b"two").unwrap();
    // The same member, started anew: the first program does not know.
    let second = scene.program(0);
    let taken = take_over(&second, false).unwrap();
    assert_eq!(runner(advance(&first, &rotation, Step::Deliver)).0, "rot");
    let delivered = advance(&second, &taken, Step::Deliver).unwrap().unwrap();
    assert_eq!(delivered.phase(), Phase::Delivering);
    // Nor does the first one take it back from what it knew.
    let stale = commit(
        &first,
        Rotate::TakeOver {
            at: rotation.at,
            place: HERE,
            lease: LEASE,
            force: true,
        },
    );
    assert_eq!(runner(stale).2, Phase::Delivering);
}

#[test]
fn another_member_goes_on_when_the_lease_has_ended_or_by_force() {
    let scene = Scene::new();
    let (rot, tor) = (scene.program(0), scene.program(1));
    let rotation = begin(&rot, Plan::Overlap, b"two").unwrap();
    // Clocks may be apart: the end of the lease is not enough.
    scene.pass(LEASE + SKEW - 1);
    assert_eq!(
        runner(take_over(&tor, false)),
        ("rot".to_owned(), BEGAN, Phase::Applying)
    );
    scene.pass(1);
    let taken = take_over(&tor, false).unwrap();
    assert_eq!((taken.runner.as_str(), taken.since().0), ("tor", BEGAN));
    assert_eq!(taken.running.until.0, BEGAN + 2 * LEASE + SKEW);
    assert_eq!(runner(advance(&rot, &rotation, Step::Deliver)).0, "tor");
    let forced = take_over(&rot, true).unwrap();
    assert_eq!(forced.runner, "rot");
}

#[test]
fn a_member_that_is_removed_in_the_middle_is_succeeded() {
    let scene = Scene::new();
    let rotation = begin(&scene.program(0), Plan::Overlap, b"two").unwrap();
    scene
        .world
        .commit(vec![Edit::RemoveMember { name: name("rot") }])
        .unwrap();
    let tor = scene.program(1);
    let id = rotation.running.runner.to_string();
    assert_eq!(runner(take_over(&tor, false)).0, id, "its name is gone");
    scene.pass(LEASE + SKEW);
    let taken = take_over(&tor, false).unwrap();
    let undoing = advance(&tor, &taken, Step::Undo { forced: false })
        .unwrap()
        .unwrap();
    assert_eq!(advance(&tor, &undoing, Step::End(Outcome::Undone)).unwrap(), None);
    assert_eq!(get(&tor, "prod", AT).unwrap(), b"one");
}

#[test]
fn nobody_else_changes_what_is_being_rotated() {
    let scene = Scene::new();
    let vault = scene.program(0);
    let rotation = begin(&vault, Plan::Overlap, b"two").unwrap();
    let expected = ("rot".to_owned(), BEGAN, Phase::Applying);
    let label = |to| {
        vec![Edit::Label(LabelEdit {
            environment: env("prod"),
            path: path(AT),
            to,
            expect: Expect::Any,
        })]
    };
    for edits in [
        vec![secret("prod", AT, b"three")],
        vec![delete("prod", AT)],
        label(Relabel::Promote),
        label(Relabel::Drop),
    ] {
        assert_eq!(runner(scene.world.commit(edits)), expected);
    }
    let wrong = advance(&vault, &rotation, Step::End(Outcome::Rotated));
    assert!(matches!(wrong, Err(CommitError::Invalid { .. })), "{wrong:?}");
    // Nor around the vault's own check.
    let all = forge::commits(&*scene.world.store);
    let last = decode(&all.last().unwrap().bytes).unwrap().0.entries[0];
    let alice = decode(&all[0].bytes).unwrap().0.author;
    for value in [Some(last.meta), None] {
        forge::append(&*scene.world.store, &scene.world.identity, |commit| {
            commit.author = alice;
            commit.entries = vec![EntryChange {
                version: if value.is_some() {
                    last.version.next().next()
                } else {
                    last.version
                },
                value,
                labels: None,
                ..last
            }];
        });
        assert_eq!(forge::refused(vault.refresh()), Break::Contradiction);
        scene.world.store.tamper(|commits, _, _| drop(commits.pop()));
    }
    vault.refresh().unwrap();
}

#[test]
fn it_does_not_begin_where_labels_are_in_the_way() {
    let scene = Scene::new();
    let vault = scene.program(0);
    let label = |to| {
        let edit = LabelEdit {
            environment: env("prod"),
            path: path(AT),
            to,
            expect: Expect::Any,
        };
        vault.commit(&vault_kit::change(vec![Edit::Label(edit)])).unwrap();
    };
    label(Relabel::Pending(Secret::new(b"two".to_vec())));
    let pending = begin(&vault, Plan::Overlap, b"three");
    assert!(matches!(pending, Err(CommitError::Invalid { .. })), "{pending:?}");
    label(Relabel::Promote);
    let previous = begin(&vault, Plan::Overlap, b"three");
    assert!(
        matches!(previous, Err(CommitError::Invalid { .. })),
        "{previous:?}"
    );
    label(Relabel::Retire);
    begin(&vault, Plan::Overlap, b"three").unwrap();
}

#[test]
fn readers_see_a_rotation_and_cannot_touch_it() {
    let scene = Scene::new();
    begin(&scene.program(0), Plan::Overlap, b"two").unwrap();
    let identity = scene.world.member("web", Role::Reader, &["prod"]);
    let reader = scene.world.open(&identity).unwrap();
    let seen = reader.rotations();
    let first = seen[0].as_ref().unwrap();
    assert_eq!(
        (seen.len(), first.runner.as_str(), first.is_own),
        (1, "rot", false)
    );
    let refused = take_over(&reader, true);
    assert!(matches!(refused, Err(CommitError::Denied { .. })), "{refused:?}");
}

fn give_up(vault: &Vault, force: bool) -> Result<Option<Rotation>, CommitError> {
    vault.refresh().unwrap();
    commit(vault, Rotate::GiveUp { force })
}

#[test]
fn an_admin_gives_up_a_rotation_whose_record_nobody_can_read() {
    let scene = Scene::new();
    let (rot, tor) = (scene.program(0), scene.program(1));
    begin(&rot, Plan::Overlap, b"two").unwrap();
    // Around the vault: the record opens and says nothing.
    let all = forge::commits(&*scene.world.store);
    let last = decode(&all.last().unwrap().bytes).unwrap().0.entries[0];
    let context = Context {
        store: decode(&all[0].bytes).unwrap().0.store,
        purpose: Purpose::Rotation,
        compartment: last.compartment,
        subject: last.id.0,
        version: 0,
        kind: 0,
    };
    let record = forge::plant(&scene.world.store, &scene.world.identity, &context, b"later");
    forge::append(&*scene.world.store, &scene.identities[0], |commit| {
        let labels = last.labels.map(|labels| Labels {
            rotation: Some(record),
            ..labels
        });
        commit.entries = vec![EntryChange {
            value: None,
            labels,
            ..last
        }];
    });
    let admin = &scene.world.vault;
    for vault in [&rot, &tor, admin] {
        vault.refresh().unwrap();
        let unreadable = vault.rotation(&env("prod"), &path(AT));
        assert!(
            matches!(unreadable, Err(ReadError::Rotation { .. })),
            "{unreadable:?}"
        );
    }
    let put = scene.world.commit(vec![secret("prod", AT, b"three")]);
    assert!(put.unwrap_err().to_string().contains("an admin gives it up"));
    let own = give_up(&tor, true);
    assert!(matches!(own, Err(CommitError::Denied { .. })), "{own:?}");
    assert_eq!(give_up(admin, false).unwrap(), None);
    // What has a label keeps it: the admin looks at the target, then drops or promotes.
    assert_eq!(labelled(admin, Label::Pending).unwrap(), b"two");
    let edit = LabelEdit {
        environment: env("prod"),
        path: path(AT),
        to: Relabel::Drop,
        expect: Expect::Any,
    };
    scene.world.commit(vec![Edit::Label(edit)]).unwrap();
    scene.world.put("prod", AT, b"three");
    admin.verify(&mut |_, _| {}).unwrap();
}

#[test]
fn an_admin_gives_up_a_rotation_that_cannot_end_when_its_runner_has() {
    let scene = Scene::new();
    let admin = &scene.of(&scene.world.identity);
    let none = give_up(admin, true);
    assert!(matches!(none, Err(CommitError::NotRotating { .. })), "{none:?}");
    let rotation = begin(&scene.program(0), Plan::Overlap, b"two").unwrap();
    assert_eq!(runner(give_up(admin, false)).0, "rot");
    let gone = give_up(admin, true).unwrap();
    assert_eq!(gone, None);
    // Who ran it is told, and begins nothing before the labels are in order.
    let vault = scene.program(0);
    let late = advance(&vault, &rotation, Step::Deliver);
    assert!(matches!(late, Err(CommitError::NotRotating { .. })), "{late:?}");
    assert!(begin(&vault, Plan::Overlap, b"three").is_err());
    assert_eq!(labelled(&vault, Label::Pending).unwrap(), b"two");
}

#[test]
fn a_program_of_the_same_member_at_another_place_waits_for_the_lease() {
    let scene = Scene::new();
    begin(&scene.program(0), Plan::Overlap, b"two").unwrap();
    let other = scene.program(0);
    assert_eq!(runner(take_over_at(&other, THERE, false)).0, "rot");
    let here = take_over(&other, false).unwrap();
    assert_eq!(here.running.place, HERE);
    scene.pass(LEASE + SKEW - 1);
    assert_eq!(runner(take_over_at(&other, THERE, false)).0, "rot");
    scene.pass(1);
    assert_eq!(take_over_at(&other, THERE, false).unwrap().running.place, THERE);
}

#[test]
fn nobody_says_that_they_are_at_work_for_ever() {
    let scene = Scene::new();
    let vault = scene.program(0);
    let begin = |lease| {
        let to = Rotate::Begin {
            strategy: Plan::Overlap,
            plan: Vec::new(),
            value: Secret::new(b"two".to_vec()),
            place: HERE,
            lease,
        };
        commit(&vault, to)
    };
    let long = begin(MAX_LEASE + 1);
    assert!(matches!(long, Err(CommitError::Invalid { .. })), "{long:?}");
    let rotation = begin(MAX_LEASE).unwrap().unwrap();
    let until = rotation.running.until.0;
    assert!(!rotation.is_left(Timestamp(BEGAN)) && !rotation.is_left(Timestamp(until)));
    assert!(rotation.is_left(Timestamp(until + SKEW)));
    // What nobody may say, a record says all the same: it hides nothing.
    assert!(rotation.is_left(Timestamp(until - MAX_LEASE - SKEW - 1)));
}

#[test]
fn who_moves_labels_by_what_was_seen_is_told_when_somebody_moved_them() {
    let scene = Scene::new();
    let vault = scene.program(0);
    let seen = || {
        vault
            .snapshot()
            .entry(&env("prod"), &path(AT))
            .unwrap()
            .changed_at()
    };
    let label = |to, expect| {
        let edit = LabelEdit {
            environment: env("prod"),
            path: path(AT),
            to,
            expect,
        };
        vault.commit(&vault_kit::change(vec![Edit::Label(edit)]))
    };
    let pending = || Relabel::Pending(Secret::new(b"two".to_vec()));
    let before = seen();
    label(pending(), Expect::Revision(before)).unwrap();
    let late = label(Relabel::Promote, Expect::Revision(before));
    assert!(matches!(late, Err(CommitError::Stale { .. })), "{late:?}");
    label(Relabel::Promote, Expect::Revision(seen())).unwrap();
}

#[derive(Clone, Copy, Debug)]
enum Fate {
    Works,
    Fails,
    DiesBefore,
    DiesAfter,
}

fn fate() -> impl Strategy<Value = (Fate, bool)> {
    let fate = prop_oneof![
        3 => Just(Fate::Works),
        1 => Just(Fate::Fails),
        1 => Just(Fate::DiesBefore),
        1 => Just(Fate::DiesAfter),
    ];
    (fate, any::<bool>())
}

/// A target of the given strategy, which for two accounts behaves like one that takes two at once.
fn perform(target: &mut BTreeSet<Vec<u8>>, plan: Plan, vault: &Vault, effect: Effect) -> bool {
    let value = |label| labelled(vault, label).unwrap();
    match effect {
        Effect::Apply => {
            if plan == Plan::Replace {
                target.clear();
            }
            target.insert(value(Label::Pending));
        }
        Effect::ProbePending => return target.contains(&value(Label::Pending)),
        Effect::ProbeCurrent => return target.contains(&value(Label::Current)),
        Effect::Undo => {
            target.remove(&value(Label::Pending));
            target.insert(value(Label::Current));
        }
        Effect::Retire => drop(target.remove(&value(Label::Previous))),
    }
    true
}

/// Runs what is stored, or begins; a program that dies is followed by another one.
fn run(scene: &Scene, target: &mut BTreeSet<Vec<u8>>, plan: Plan, fates: &[(Fate, bool)]) {
    let mut fates = fates.iter().copied();
    let mut vault = scene.program(0);
    let mut rotation = None;
    let mut machine = Machine::begin(plan);
    for _ in 0..200 {
        let (fate, aborts) = fates.next().unwrap_or((Fate::Works, false));
        let lives = !matches!(fate, Fate::DiesBefore | Fate::DiesAfter);
        match machine.next() {
            Next::Perform(effect) => {
                let done = !matches!(fate, Fate::DiesBefore) && perform(target, plan, &vault, effect);
                match fate {
                    Fate::Works if done => machine.done(effect),
                    Fate::Works | Fate::Fails => machine.failed(effect),
                    Fate::DiesBefore | Fate::DiesAfter => {}
                }
            }
            Next::Commit(step) if !matches!(fate, Fate::DiesBefore) => {
                rotation = match &rotation {
                    None => Some(begin(&vault, plan, b"two").unwrap()),
                    Some(rotation) => advance(&vault, rotation, step).unwrap(),
                };
                machine.committed();
            }
            Next::Commit(_) => {}
            Next::Await => machine.taken_up(),
            Next::Stop(_) => {}
            Next::Ended(_) => return,
        }
        assert!(target.len() <= 2);
        if !lives || matches!(machine.next(), Next::Stop(_)) {
            vault = scene.program(0);
            let Some(found) = vault.rotation(&env("prod"), &path(AT)).unwrap() else {
                return;
            };
            machine = found.machine();
            rotation = Some(take_over(&vault, false).unwrap());
            if aborts {
                let _ = machine.abort();
            }
        }
    }
    panic!("it never ends");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_dies_when_what_is_stored_works_at_the_target(
        plan in prop::sample::select(vec![Plan::Replace, Plan::Overlap, Plan::Alternate]),
        fates in prop::collection::vec(fate(), 0..14),
    ) {
        let scene = Scene::new();
        let mut target = BTreeSet::from([b"one".to_vec()]);
        run(&scene, &mut target, plan, &fates);
        let vault = scene.program(1);
        let current = labelled(&vault, Label::Current).unwrap();
        prop_assert_eq!(target, BTreeSet::from([current]));
        prop_assert_eq!(labelled(&vault, Label::Pending), None);
        prop_assert_eq!(labelled(&vault, Label::Previous), None);
        vault.verify(&mut |_, _| {}).unwrap();
    }
}
