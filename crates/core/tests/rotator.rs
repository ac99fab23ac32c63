//! Rotations as a driver runs them: what consumers and targets do to them, and that whatever fails
//! wherever, what is current works.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod forge;
mod vault_kit;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use strongroom_core::Vault;
use strongroom_core::ambient::Ambient;
use strongroom_core::commit::{EntryChange, Labels, decode};
use strongroom_core::config::Format;
use strongroom_core::crypto::identity::Identity;
use strongroom_core::crypto::seal::{Context, Purpose};
use strongroom_core::id::{PlaceId, Revision, Version};
use strongroom_core::rotation::{Effect, Outcome, Phase, Running, Step, Strategy as Way};
use strongroom_core::rotator::{
    AccountError, Action, Call, Delivered, DriveError, Driver, End, How, LABEL, Named, PlanTrouble, Reports,
    Target, Told, Trouble, Uptake, Waiting, Witness,
};
use strongroom_core::secret::Secret;
use strongroom_core::snapshot::{Entry, Kind, Label, Role};
use strongroom_core::uptake::{Consumer, ConsumerKind, Presence, Reaction, Seen, Use};
use strongroom_core::vault::{CommitError, Edit, Expect, Put, Rotate, Rotation, RotationEdit};
use vault_kit::{World, env, expose, get, path};

const AT: &str = "web/password";
const WAYS: [Way; 2] = [Way::Replace, Way::Overlap];

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Works,
    /// It does nothing and says so.
    Fails,
    /// It does all and says that it failed.
    FailsDone,
    /// It cannot now.
    Later,
}

/// A target that takes passwords, and what is to become of the next calls.
#[derive(Debug)]
struct Server {
    valid: BTreeSet<Vec<u8>>,
    fates: VecDeque<Fate>,
    asked: Vec<Action>,
}

impl Target for Server {
    fn perform(&mut self, call: &Call<'_>, _: Duration) -> Result<(), Trouble> {
        let fate = self.fates.pop_front().unwrap_or(Fate::Works);
        self.asked.push(call.action);
        let failed = || Err(Trouble::Failed("it says no".into()));
        match fate {
            Fate::Fails => return failed(),
            Fate::Later => return Err(Trouble::Later("it says not now".into())),
            Fate::Works | Fate::FailsDone => {}
        }
        let (new, old) = (expose(call.new.value), expose(call.old.value));
        let valid = &mut self.valid;
        let done = match (call.action, call.strategy) {
            (Action::Apply, Way::Replace) => {
                valid.remove(&old);
                valid.insert(new);
                true
            }
            (Action::Apply, _) => {
                valid.insert(new);
                true
            }
            (Action::Undo, _) => {
                valid.remove(&new);
                valid.insert(old);
                true
            }
            (Action::Retire, _) => {
                valid.remove(&old);
                true
            }
            (Action::ProbeNew, _) => valid.contains(&new),
            (Action::ProbeOld, _) => valid.contains(&old),
        };
        if done && fate == Fate::Works {
            Ok(())
        } else {
            failed()
        }
    }
}

/// Consumers that lag as often as is said.
#[derive(Default)]
struct Consumers {
    lags: VecDeque<bool>,
    name: String,
    is_unreadable: bool,
}

impl Uptake for Consumers {
    fn waiting(&mut self, delivered: &Delivered<'_>) -> Result<Vec<Waiting>, String> {
        if self.is_unreadable {
            return Err("the file is damaged".into());
        }
        let lags = self.lags.pop_front().unwrap_or(false);
        let waiting = Waiting {
            consumer: self.name.clone(),
            since: delivered.since,
        };
        Ok(if lags { vec![waiting] } else { Vec::new() })
    }
}

/// Who looks on, and may refuse to record.
#[derive(Default)]
struct Log {
    told: Vec<String>,
    opened: usize,
    refuses: bool,
    /// What happens when a rotation began.
    begun: Option<Box<dyn FnOnce()>>,
}

impl Witness for Log {
    fn opens(&mut self, entries: &[&Entry], _: Revision) -> Result<(), String> {
        if self.refuses {
            return Err("the log is full".into());
        }
        self.opened += entries.len();
        Ok(())
    }

    fn told(&mut self, told: &Told<'_>) {
        self.told.push(format!("{told:?}"));
        if matches!(told, Told::Committed(Step::Begin, _))
            && let Some(begun) = self.begun.take()
        {
            begun();
        }
    }
}

struct Scene {
    world: World,
    rotator: Arc<Identity>,
    server: Server,
    consumers: Consumers,
    log: Log,
    /// Whether consumers are those that sidecars report.
    is_reported: bool,
}

impl Scene {
    fn new(way: Way) -> Self {
        Self::within(way, "0s")
    }

    /// With consumers that are waited for so long.
    fn within(way: Way, deadline: &str) -> Self {
        let world = World::new();
        let plan = format!(
            "strategy = \"{way}\"\ngenerator = \"password\"\nsettle = \"0s\"\ndeadline = \"{deadline}\"\n\
             [target]\nexec = [\"/bin/true\"]\nretry = \"0s\"\n"
        );
        let document = vault_kit::put(
            "prod",
            "rotation/web",
            Kind::Config,
            Format::Toml,
            plan.as_bytes(),
        );
        let secret = Edit::Put(Put {
            environment: env("prod"),
            path: path(AT),
            kind: Kind::Secret,
            value: Secret::new(b"first".to_vec()),
            format: Format::Text,
            labels: Some(BTreeMap::from([(LABEL.to_owned(), "rotation/web".to_owned())])),
            compartment: None,
            expect: Expect::Absent,
        });
        world.commit(vec![document, secret]).unwrap();
        let rotator = world.member("rot", Role::Rotator, &["prod"]);
        Self {
            world,
            rotator,
            server: Server {
                valid: BTreeSet::from([b"first".to_vec()]),
                fates: VecDeque::new(),
                asked: Vec::new(),
            },
            consumers: Consumers {
                name: "web at host1".into(),
                ..Consumers::default()
            },
            log: Log::default(),
            is_reported: false,
        }
    }

    /// A program of the rotator begins a rotation, or goes on with the one that runs.
    fn run(&mut self, how: How) -> Result<End, DriveError> {
        let vault = self.world.open(&self.rotator).unwrap();
        let (environment, path) = (env("prod"), path(AT));
        let running = vault.rotation(&environment, &path).unwrap();
        let named = match &running {
            Some(rotation) => Named::by_record(&vault, rotation).unwrap(),
            None => Named::of(&vault.snapshot(), &environment, &path).unwrap(),
        };
        let ambient = Ambient::system();
        let mut reports = Reports::new(&vault, &ambient, named.plan.settle, named.plan.within);
        let driver = Driver {
            vault: &vault,
            environment: &environment,
            path: &path,
            named: &named,
            message: "quarterly",
            place: PlaceId([1; 16]),
            ambient: &ambient,
            target: &mut self.server,
            uptake: if self.is_reported {
                &mut reports
            } else {
                &mut self.consumers
            },
            witness: &mut self.log,
        };
        match running {
            Some(rotation) => driver.go_on(&rotation, how),
            None => driver.begin(how.force),
        }
    }

    fn vault(&self) -> Vault {
        self.world.open(&self.rotator).unwrap()
    }

    fn current(&self) -> Vec<u8> {
        get(&self.vault(), "prod", AT).unwrap()
    }

    fn is_running(&self) -> bool {
        self.vault().rotation(&env("prod"), &path(AT)).unwrap().is_some()
    }

    /// Messages of the commits, oldest first.
    fn messages(&self) -> Vec<String> {
        let past = self
            .vault()
            .history(Some((&env("prod"), &path(AT))), 100)
            .unwrap();
        past.into_iter().rev().map(|past| past.message).collect()
    }

    /// The current one alone is valid, and no version besides it is kept.
    fn at_rest(&self) -> Vec<u8> {
        let current = self.current();
        assert_eq!(self.server.valid, BTreeSet::from([current.clone()]));
        let entry = self.vault().snapshot().entry(&env("prod"), &path(AT)).unwrap();
        assert_eq!(
            [entry.labelled(Label::Pending), entry.labelled(Label::Previous)],
            [None, None]
        );
        current
    }
}

#[test]
fn it_goes_from_one_value_to_the_next_and_history_tells_how() {
    for (way, asked) in [
        (Way::Replace, vec![Action::Apply, Action::ProbeNew]),
        (
            Way::Overlap,
            vec![Action::Apply, Action::ProbeNew, Action::Retire],
        ),
    ] {
        let mut scene = Scene::new(way);
        assert_eq!(scene.run(How::default()).unwrap(), End::Rotated);
        assert_ne!(scene.at_rest(), b"first");
        assert_eq!(scene.server.asked, asked);
        assert_eq!(
            scene.log.opened,
            2 * asked.len(),
            "a record for each value opened"
        );
        let messages = scene.messages();
        assert_eq!(messages[1], "quarterly: begin");
        assert_eq!(messages.last().unwrap(), "quarterly: done");
    }
}

#[test]
fn consumers_that_lag_keep_the_old_value_until_they_have_it_or_are_left_behind() {
    for (way, force) in [(Way::Overlap, false), (Way::Overlap, true), (Way::Replace, true)] {
        let mut scene = Scene::new(way);
        scene.consumers.lags = VecDeque::from([true, true, true]);
        let End::Lagging(waiting) = scene.run(How::default()).unwrap() else {
            panic!("it did not wait");
        };
        assert_eq!(waiting[0].consumer, "web at host1");
        assert_eq!(scene.server.valid.contains(&b"first"[..]), way == Way::Overlap);
        assert!(scene.server.valid.contains(&scene.current()));
        assert!(matches!(scene.run(How::default()).unwrap(), End::Lagging(_)));
        if !force {
            scene.consumers.lags.clear();
        }
        let how = How {
            force,
            ..How::default()
        };
        assert_eq!(scene.run(how).unwrap(), End::Rotated);
        assert_ne!(scene.at_rest(), b"first");
        let told = scene.messages().join("\n");
        let without = told.contains("by force, without web at host1");
        assert_eq!(without, force, "{told}");
    }
}

#[test]
fn after_delivery_it_is_taken_back_where_the_old_value_is_kept() {
    let mut scene = Scene::new(Way::Overlap);
    scene.consumers.lags = VecDeque::from([true]);
    assert!(matches!(scene.run(How::default()).unwrap(), End::Lagging(_)));
    let abort = How {
        abort: true,
        ..How::default()
    };
    assert_eq!(scene.run(abort).unwrap(), End::Undone(None));
    assert_eq!(scene.at_rest(), b"first");
    let mut scene = Scene::new(Way::Replace);
    scene.consumers.lags = VecDeque::from([true]);
    assert!(matches!(scene.run(How::default()).unwrap(), End::Lagging(_)));
    assert!(matches!(scene.run(abort), Err(DriveError::Refused(_))));
    assert_eq!(scene.run(How::default()).unwrap(), End::Rotated);
}

#[test]
fn no_value_is_opened_that_could_not_be_recorded() {
    let mut scene = Scene::new(Way::Overlap);
    scene.log.refuses = true;
    assert!(matches!(scene.run(How::default()), Err(DriveError::Outside(_))));
    assert!(scene.server.asked.is_empty());
    scene.log.refuses = false;
    assert_eq!(scene.run(How::default()).unwrap(), End::Rotated);
}

#[test]
fn a_target_that_fails_where_there_is_no_other_way_stops_it() {
    let mut scene = Scene::new(Way::Overlap);
    scene.server.fates = VecDeque::from([Fate::Works, Fate::Works, Fate::FailsDone]);
    let stopped = scene.run(How::default()).unwrap();
    assert!(
        matches!(stopped, End::Stopped(Effect::Retire, ref why) if why == "it says no"),
        "{stopped:?}"
    );
    assert!(scene.is_running());
    assert_eq!(scene.run(How::default()).unwrap(), End::Rotated);
    scene.at_rest();
}

/// A sidecar of a member, which reports of one client at its socket.
struct Sidecar {
    vault: Vault,
    counter: u64,
}

impl Sidecar {
    /// Says that the client read what is current now.
    fn report(&mut self) -> Version {
        self.vault.refresh().unwrap();
        let snapshot = self.vault.snapshot();
        let entry = snapshot.entry(&env("prod"), &path(AT)).unwrap();
        let now = Ambient::system().now();
        let consumer = Consumer {
            kind: ConsumerKind::Socket,
            reaction: Reaction::default(),
            presence: Presence::Present,
            host: "host1".into(),
            sidecar: "/run/strongroom.sock".into(),
            name: "web".into(),
            environment: env("prod"),
            revision: Revision(0),
            since: now,
            problem: String::new(),
            is_whole: true,
            uses: vec![Use {
                entry: entry.id,
                read: Seen {
                    version: entry.version,
                    revision: snapshot.revision(),
                    at: now,
                },
                confirmed: Seen::default(),
            }],
        };
        self.counter += 1;
        self.vault.report(vec![consumer], self.counter).unwrap();
        entry.version
    }
}

/// A scene with a sidecar whose client has the first value.
fn reported(deadline: &str) -> (Scene, Sidecar) {
    let mut scene = Scene::within(Way::Overlap, deadline);
    scene.is_reported = true;
    let identity = scene.world.member("web", Role::Reader, &["prod"]);
    let mut sidecar = Sidecar {
        vault: scene.world.open(&identity).unwrap(),
        counter: 0,
    };
    assert_eq!(sidecar.report(), Version(1));
    (scene, sidecar)
}

#[test]
fn the_old_value_ends_when_those_who_are_reported_have_the_new_one() {
    let (mut scene, mut sidecar) = reported("5m");
    let reports = std::thread::spawn(move || {
        // Reads on, and has the new one some time after it was delivered.
        while sidecar.report() == Version(1) {
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    assert_eq!(scene.run(How::default()).unwrap(), End::Rotated);
    reports.join().unwrap();
    assert_ne!(scene.at_rest(), b"first");
    let at = |what: &str| scene.log.told.iter().position(|told| told.contains(what));
    assert!(at("Committed(Deliver").unwrap() < at("Committed(Retire").unwrap());
}

#[test]
fn one_that_is_reported_to_lag_is_named_at_the_deadline() {
    let (mut scene, mut sidecar) = reported("1s");
    let End::Lagging(waiting) = scene.run(How::default()).unwrap() else {
        panic!("it did not wait");
    };
    let who: Vec<_> = waiting.iter().map(|each| each.consumer.as_str()).collect();
    assert_eq!(who, ["socket web at host1 (read)"]);
    assert_eq!(scene.server.valid.len(), 2);
    // Taken back, it waits for whoever has the new one.
    assert_eq!(sidecar.report(), Version(2));
    let abort = How {
        abort: true,
        ..How::default()
    };
    assert!(matches!(scene.run(abort).unwrap(), End::Lagging(_)));
    assert_eq!(sidecar.report(), Version(1));
    assert_eq!(scene.run(How::default()).unwrap(), End::Undone(None));
    assert_eq!(scene.at_rest(), b"first");
    // Whoever is removed is not waited for.
    sidecar.report();
    let gone = Edit::RemoveMember {
        name: vault_kit::name("web"),
    };
    scene.world.commit(vec![gone]).unwrap();
    assert_eq!(scene.run(How::default()).unwrap(), End::Rotated);
}

#[test]
fn who_was_overtaken_does_nothing_at_the_target() {
    let mut scene = Scene::new(Way::Replace);
    let other = scene.world.open(&scene.rotator).unwrap();
    scene.log.begun = Some(Box::new(move || {
        other.refresh().unwrap();
        let rotation = other.rotation(&env("prod"), &path(AT)).unwrap().unwrap();
        let commit = |to| {
            let edit = RotationEdit {
                environment: env("prod"),
                path: path(AT),
                to,
            };
            other.rotate(edit, "another").unwrap()
        };
        let (place, lease) = (PlaceId([2; 16]), 60_000);
        let force = true;
        let at = rotation.at;
        let taken = commit(Rotate::TakeOver {
            at,
            place,
            lease,
            force,
        })
        .unwrap();
        let step = Step::Undo { forced: false };
        let at = taken.at;
        let undoing = commit(Rotate::Advance { at, step, lease }).unwrap();
        let (at, step) = (undoing.at, Step::End(Outcome::Undone));
        commit(Rotate::Advance { at, step, lease });
    }));
    let overtaken = scene.run(How::default());
    assert!(
        matches!(
            overtaken,
            Err(DriveError::Commit(CommitError::NotRotating { .. }))
        ),
        "{overtaken:?}"
    );
    assert_eq!(scene.server.asked, []);
    assert_eq!(scene.at_rest(), b"first");
}

#[test]
fn uptake_that_cannot_be_read_is_waited_for_and_forced() {
    let mut scene = Scene::new(Way::Overlap);
    scene.consumers.is_unreadable = true;
    let End::Lagging(waiting) = scene.run(How::default()).unwrap() else {
        panic!("it did not wait");
    };
    assert!(waiting[0].consumer.contains("the file is damaged"));
    let force = How {
        force: true,
        ..How::default()
    };
    assert_eq!(scene.run(force).unwrap(), End::Rotated);
    scene.at_rest();
}

#[test]
fn whatever_consumers_are_called_a_forced_step_is_committed() {
    let mut scene = Scene::new(Way::Overlap);
    scene.consumers.name = "ä".repeat(4000);
    scene.consumers.lags = VecDeque::from([true]);
    let force = How {
        force: true,
        ..How::default()
    };
    assert_eq!(scene.run(force).unwrap(), End::Rotated);
    assert!(
        scene
            .messages()
            .iter()
            .any(|message| message.contains("by force, without ä"))
    );
}

/// A scene with two accounts in turn.
fn accounts() -> Scene {
    let scene = Scene::new(Way::Overlap);
    let plan = "strategy = \"alternate\"\ngenerator = \"password\"\naccounts = [\"web_a\", \"web_b\"]\n\
                settle = \"0s\"\n[target]\nexec = [\"/bin/true\"]\n";
    let document = vault_kit::put(
        "prod",
        "rotation/web",
        Kind::Config,
        Format::Toml,
        plan.as_bytes(),
    );
    scene.world.commit(vec![document]).unwrap();
    scene
        .world
        .put("prod", AT, br#"{"username":"web_a","password":"first"}"#);
    scene
}

/// Begins a rotation by hand, with a value of somebody's own making.
fn begin(vault: &Vault, value: &[u8]) -> Rotation {
    let named = Named::of(&vault.snapshot(), &env("prod"), &path(AT)).unwrap();
    let edit = RotationEdit {
        environment: env("prod"),
        path: path(AT),
        to: Rotate::Begin {
            strategy: named.plan.strategy,
            plan: named.record(),
            value: Secret::new(value.to_vec()),
            place: PlaceId([1; 16]),
            lease: 60_000,
        },
    };
    vault.rotate(edit, "by hand").unwrap().unwrap()
}

#[test]
fn who_runs_a_rotation_does_not_choose_the_account() {
    for name in ["root", "web_a"] {
        let mut scene = accounts();
        let value = format!(r#"{{"username":"{name}","password":"known"}}"#);
        begin(&scene.vault(), value.as_bytes());
        let refused = scene.run(How::default());
        assert!(
            matches!(refused, Err(DriveError::Account(AccountError::Unknown))),
            "{refused:?}"
        );
        assert_eq!(scene.server.asked, [], "{name}");
    }
    let mut scene = accounts();
    begin(&scene.vault(), br#"{"username":"web_b","password":"new"}"#);
    let _ = scene.run(How::default());
    assert_eq!(scene.server.asked[0], Action::Apply);
}

#[test]
fn a_record_that_is_given_out_for_somebody_else_s_is_not_gone_on_with() {
    let scene = Scene::new(Way::Overlap);
    let rotation = begin(&scene.vault(), b"second");
    let other = scene.world.member("tor", Role::Rotator, &["prod"]);
    // Around the vault: `tor` writes a record of `rot`, by a plan of its choice.
    let all = forge::commits(&*scene.world.store);
    let at = all
        .iter()
        .find(|stored| stored.head.revision == rotation.at)
        .unwrap();
    let change = decode(&at.bytes).unwrap().0.entries[0];
    let tor = forge::newest_member(&*scene.world.store);
    let context = Context {
        store: decode(&all[0].bytes).unwrap().0.store,
        purpose: Purpose::Rotation,
        compartment: change.compartment,
        subject: change.id.0,
        version: 0,
        kind: 0,
    };
    let running = Running {
        phase: Phase::Applying,
        ..rotation.running
    };
    let record = forge::plant(
        &scene.world.store,
        &scene.world.identity,
        &context,
        &running.encode(),
    );
    forge::append(&*scene.world.store, &other, |commit| {
        commit.author = tor;
        let labels = change.labels.map(|labels| Labels {
            rotation: Some(record),
            ..labels
        });
        commit.entries = vec![EntryChange {
            value: None,
            labels,
            ..change
        }];
    });
    let vault = scene.vault();
    let forged = vault.rotation(&env("prod"), &path(AT)).unwrap().unwrap();
    assert!(forged.is_own, "it says that it is of `rot`");
    let refused = Named::by_record(&vault, &forged);
    assert!(matches!(refused, Err(PlanTrouble::Record)), "{refused:?}");
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        3 => Just(Fate::Works),
        1 => Just(Fate::Fails),
        1 => Just(Fate::FailsDone),
        1 => Just(Fate::Later),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_fails_what_is_current_works_and_no_third_value_does(
        way in prop::sample::select(WAYS.to_vec()),
        fates in prop::collection::vec(fate(), 0..12),
        lags in prop::collection::vec(any::<bool>(), 0..6),
        hows in prop::collection::vec((any::<bool>(), any::<bool>()), 0..8),
    ) {
        let mut scene = Scene::new(way);
        scene.server.fates = fates.into();
        scene.consumers.lags = lags.into();
        for (abort, force) in hows {
            let how = How { abort, force, take_over: false };
            match scene.run(how) {
                // With one credential it is between two values while it stands halfway.
                Ok(End::Stopped(..)) if way == Way::Replace => {}
                Ok(_) | Err(DriveError::Refused(_)) => {
                    prop_assert!(scene.server.valid.contains(&scene.current()), "{:?}", scene.log.told);
                }
                Err(other) => panic!("{other}"),
            }
            prop_assert!(scene.server.valid.len() <= 2, "{:?}", scene.log.told);
        }
        scene.server.fates.clear();
        scene.consumers.lags.clear();
        while scene.is_running() {
            scene.run(How::default()).unwrap();
        }
        scene.at_rest();
        scene.vault().verify(&mut |_, _| {}).unwrap();
    }
}
