//! The rotation machine against a model of the world: a store that keeps labels and phase, a target
//! that accepts credentials, and consumers that take them up. Everything fails and dies at any
//! moment; what must hold holds at every moment.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::collections::BTreeSet;

use proptest::prelude::*;
use strongroom_core::rotation::{Effect, Machine, Move, Next, Outcome, Phase, Step, Strategy as Plan};

type Version = u32;

/// What is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stored {
    current: Version,
    pending: Option<Version>,
    previous: Option<Version>,
    phase: Option<Phase>,
}

#[derive(Debug)]
struct World {
    plan: Plan,
    stored: Stored,
    last: Version,
    /// Valid credentials by account; only `Alternate` has two.
    accounts: [BTreeSet<Version>; 2],
    /// The account of each version.
    account_of: Vec<usize>,
    /// What each consumer connects with.
    consumers: [Version; 3],
    /// Whether consumers were left behind on purpose.
    forced: bool,
}

impl World {
    fn new(plan: Plan) -> Self {
        Self {
            plan,
            stored: Stored {
                current: 1,
                pending: None,
                previous: None,
                phase: None,
            },
            last: 1,
            accounts: [BTreeSet::from([1]), BTreeSet::new()],
            account_of: vec![0, 0],
            consumers: [1; 3],
            forced: false,
        }
    }

    fn valid(&self) -> BTreeSet<Version> {
        self.accounts.iter().flatten().copied().collect()
    }

    fn perform(&mut self, effect: Effect) -> bool {
        let Stored {
            current,
            pending,
            previous,
            ..
        } = self.stored;
        match effect {
            Effect::ProbePending => self.valid().contains(&pending.unwrap()),
            Effect::ProbeCurrent => self.valid().contains(&current),
            Effect::Apply => {
                let pending = pending.unwrap();
                let account = self.account_of[pending as usize];
                if self.plan != Plan::Overlap {
                    self.accounts[account].clear();
                }
                self.accounts[account].insert(pending);
                true
            }
            Effect::Undo => {
                let pending = pending.unwrap();
                self.accounts[self.account_of[pending as usize]].remove(&pending);
                self.accounts[self.account_of[current as usize]].insert(current);
                true
            }
            Effect::Retire => {
                let previous = previous.unwrap();
                self.accounts[self.account_of[previous as usize]].remove(&previous);
                true
            }
        }
    }

    fn commit(&mut self, step: Step) {
        let (phase, moves) = step.from(self.plan, self.stored.phase).unwrap();
        let Stored {
            current,
            pending,
            previous,
            ..
        } = self.stored.clone();
        let stored = &mut self.stored;
        stored.phase = phase;
        match moves {
            Move::Stay => {}
            Move::Pending => {
                assert_eq!((pending, previous), (None, None));
                self.last += 1;
                stored.pending = Some(self.last);
                let account = self.account_of[current as usize];
                self.account_of.push(if self.plan == Plan::Alternate {
                    1 - account
                } else {
                    account
                });
            }
            Move::Promote => {
                assert_eq!(previous, None);
                (stored.current, stored.pending, stored.previous) = (pending.unwrap(), None, Some(current));
            }
            Move::TakeBack => {
                assert_eq!(pending, None);
                (stored.current, stored.pending, stored.previous) = (previous.unwrap(), Some(current), None);
            }
            Move::Drop => stored.pending = pending.and(None),
            Move::Retire => stored.previous = previous.and(None),
        }
        if let Step::Retire { forced } | Step::Undo { forced } = step {
            self.forced |= forced;
        }
    }

    /// What holds at every moment, whoever has died.
    fn check(&self) {
        let Stored {
            current,
            pending,
            previous,
            ..
        } = self.stored;
        let valid = self.valid();
        let intended: BTreeSet<_> = [Some(current), pending, previous].into_iter().flatten().collect();
        assert!(valid.is_subset(&intended), "{self:?}");
        assert!(intended.len() <= 2, "{self:?}");
        if self.plan.keeps_previous() {
            assert!(valid.contains(&current), "what is delivered works: {self:?}");
            let in_use = self.consumers.iter().all(|version| valid.contains(version));
            assert!(in_use || self.forced, "an outage: {self:?}");
        }
    }

    /// What holds when no rotation runs.
    fn check_rest(&self) {
        self.check();
        assert_eq!(
            (self.stored.pending, self.stored.previous),
            (None, None),
            "{self:?}"
        );
        assert_eq!(self.valid(), BTreeSet::from([self.stored.current]), "{self:?}");
    }
}

#[derive(Clone, Copy, Debug)]
enum Fate {
    Works,
    FailsUndone,
    FailsDone,
    DiesBefore,
    DiesAfter,
}

#[derive(Clone, Copy, Debug)]
enum Human {
    Resume,
    Abort,
}

#[derive(Clone, Copy, Debug)]
enum Wait {
    One(usize),
    All,
    Dies,
    Force,
    Abort,
}

#[derive(Clone, Copy, Debug)]
struct Moment {
    fate: Fate,
    human: Human,
    wait: Wait,
}

fn moment() -> impl Strategy<Value = Moment> {
    let fate = prop_oneof![
        4 => Just(Fate::Works),
        1 => Just(Fate::FailsUndone),
        1 => Just(Fate::FailsDone),
        1 => Just(Fate::DiesBefore),
        1 => Just(Fate::DiesAfter),
    ];
    let human = prop_oneof![2 => Just(Human::Resume), 1 => Just(Human::Abort)];
    let wait = prop_oneof![
        3 => (0..3usize).prop_map(Wait::One),
        3 => Just(Wait::All),
        1 => Just(Wait::Dies),
        1 => Just(Wait::Force),
        1 => Just(Wait::Abort),
    ];
    (fate, human, wait).prop_map(|(fate, human, wait)| Moment { fate, human, wait })
}

/// A new process goes on, or takes it back; where there is no way back it goes on.
fn anew(world: &World, human: Human) -> Option<Machine> {
    let mut machine = Machine::resume(world.plan, world.stored.phase?);
    if matches!(human, Human::Abort) {
        let _ = machine.abort();
    }
    Some(machine)
}

/// One rotation under `moments`, after which everything works.
fn rotate(world: &mut World, mut moments: impl Iterator<Item = Moment>) {
    let calm = Moment {
        fate: Fate::Works,
        human: Human::Resume,
        wait: Wait::All,
    };
    let mut machine = Machine::begin(world.plan);
    for _ in 0..10_000 {
        world.check();
        assert_eq!(machine.phase(), world.stored.phase);
        let now = moments.next().unwrap_or(calm);
        let alive = match machine.next() {
            Next::Perform(effect) => match now.fate {
                Fate::DiesBefore => false,
                Fate::DiesAfter => {
                    world.perform(effect);
                    false
                }
                Fate::FailsUndone => {
                    machine.failed(effect);
                    true
                }
                Fate::FailsDone => {
                    world.perform(effect);
                    machine.failed(effect);
                    true
                }
                Fate::Works => {
                    if world.perform(effect) {
                        machine.done(effect);
                    } else {
                        machine.failed(effect);
                    }
                    true
                }
            },
            Next::Commit(step) => match now.fate {
                Fate::DiesBefore | Fate::FailsUndone => false,
                Fate::DiesAfter | Fate::FailsDone => {
                    world.commit(step);
                    false
                }
                Fate::Works => {
                    world.commit(step);
                    machine.committed();
                    true
                }
            },
            Next::Await => {
                match now.wait {
                    Wait::One(consumer) => world.consumers[consumer] = world.stored.current,
                    Wait::All => world.consumers = [world.stored.current; 3],
                    Wait::Force => machine.force().unwrap(),
                    Wait::Abort => drop(machine.abort()),
                    Wait::Dies => {}
                }
                if world.consumers == [world.stored.current; 3] {
                    machine.taken_up();
                }
                !matches!(now.wait, Wait::Dies)
            }
            Next::Stop(_) => false,
            Next::Ended(outcome) => {
                assert_eq!(world.stored.phase, None);
                let rotated = world.stored.current == world.last && world.last > 1;
                assert_eq!(outcome == Outcome::Rotated, rotated, "{world:?}");
                return;
            }
        };
        if !alive {
            match anew(world, now.human) {
                Some(again) => machine = again,
                // It had ended, or had not begun.
                None => return,
            }
        }
    }
    panic!("it never ends: {world:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whoever_dies_when_the_store_has_what_the_target_takes(
        plan in prop::sample::select(vec![Plan::Replace, Plan::Overlap, Plan::Alternate]),
        rotations in prop::collection::vec(prop::collection::vec(moment(), 0..30), 1..4),
    ) {
        let mut world = World::new(plan);
        for moments in rotations {
            rotate(&mut world, moments.into_iter());
            world.check_rest();
            // What was left behind on purpose comes back with what is delivered now.
            world.consumers = [world.stored.current; 3];
            world.forced = false;
        }
    }
}

#[test]
fn without_trouble_it_takes_four_commits_and_the_old_credential_ends_last() {
    for plan in [Plan::Overlap, Plan::Alternate] {
        let mut machine = Machine::begin(plan);
        let mut seen = Vec::new();
        loop {
            seen.push(machine.next());
            match machine.next() {
                Next::Perform(effect) => machine.done(effect),
                Next::Commit(_) => machine.committed(),
                Next::Await => machine.taken_up(),
                Next::Stop(_) | Next::Ended(_) => break,
            }
        }
        assert_eq!(
            seen,
            [
                Next::Commit(Step::Begin),
                Next::Perform(Effect::Apply),
                Next::Perform(Effect::ProbePending),
                Next::Commit(Step::Deliver),
                Next::Await,
                Next::Commit(Step::Retire { forced: false }),
                Next::Perform(Effect::Retire),
                Next::Commit(Step::End(Outcome::Rotated)),
                Next::Ended(Outcome::Rotated),
            ]
        );
    }
}

#[test]
fn there_is_no_way_back_where_the_old_credential_may_be_gone() {
    for (plan, phase, may) in [
        (Plan::Replace, Phase::Applying, true),
        (Plan::Replace, Phase::Delivering, false),
        (Plan::Overlap, Phase::Applying, true),
        (Plan::Overlap, Phase::Delivering, true),
        (Plan::Overlap, Phase::Retiring, false),
        (Plan::Alternate, Phase::Returning, true),
        (Plan::Alternate, Phase::Undoing, true),
    ] {
        let mut machine = Machine::resume(plan, phase);
        let before = machine.next();
        assert_eq!(machine.abort().is_ok(), may, "{plan} {phase}");
        assert!(
            may || machine.next() == before,
            "{plan} {phase}: a refusal changes nothing"
        );
    }
}

#[test]
fn only_who_waits_can_be_forced_and_a_late_report_changes_nothing() {
    let mut machine = Machine::resume(Plan::Overlap, Phase::Retiring);
    assert!(machine.force().is_err());
    machine.done(Effect::Apply);
    machine.failed(Effect::Undo);
    machine.taken_up();
    machine.committed();
    assert_eq!(machine.next(), Next::Perform(Effect::Retire));
    let mut machine = Machine::resume(Plan::Overlap, Phase::Delivering);
    machine.force().unwrap();
    assert_eq!(machine.next(), Next::Commit(Step::Retire { forced: true }));
}
