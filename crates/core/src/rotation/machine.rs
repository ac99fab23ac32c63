//! The machine that drives a rotation: owns what comes next. It does nothing itself, keeps no
//! clock and holds no value; it can be made anew from the stored phase at any time, since whatever
//! it asks for within a phase may be done again.

use super::phase::{Outcome, Phase, Step, Strategy};

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Do this at the target, then tell [`Machine::done`] or [`Machine::failed`].
    Perform(Effect),
    /// Commit this, then tell [`Machine::committed`].
    Commit(Step),
    /// Wait until consumers have the current version, then tell [`Machine::taken_up`].
    Await,
    /// This failed at the target: it has to be mended, then the rotation resumed.
    Stop(Effect),
    /// It is over.
    Ended(Outcome),
}

/// Something to be done at the target. Each may have been done before, in whole or in part, and
/// leaves the same behind as if it had not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// The pending credential becomes valid; with [`Strategy::Replace`] in place of the current one.
    Apply,
    /// Is the pending credential valid?
    ProbePending,
    /// The pending credential is valid no more, the current one is.
    Undo,
    /// Is the current credential valid?
    ProbeCurrent,
    /// The previous credential is valid no more.
    Retire,
}

/// Why something cannot be asked of a rotation now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The old credential may have ended.
    #[error("the old credential may be gone at the target: resume the rotation, then rotate again")]
    NoWayBack,
    /// Nobody is waited for.
    #[error("nobody is waited for: resume the rotation")]
    NothingToForce,
}

/// A rotation under way.
#[derive(Clone, Debug)]
pub struct Machine {
    strategy: Strategy,
    phase: Option<Phase>,
    next: Next,
}

impl Machine {
    /// A rotation that begins.
    #[must_use]
    pub fn begin(strategy: Strategy) -> Self {
        Self {
            strategy,
            phase: None,
            next: Next::Commit(Step::Begin),
        }
    }

    /// A rotation whose stored phase is `phase`, whatever was done in it before.
    #[must_use]
    pub fn resume(strategy: Strategy, phase: Phase) -> Self {
        Self {
            strategy,
            phase: Some(phase),
            next: first(phase),
        }
    }

    /// What is to be done next.
    #[must_use]
    pub fn next(&self) -> Next {
        self.next
    }

    /// The stored phase; `None` before it began and after it ended.
    #[must_use]
    pub fn phase(&self) -> Option<Phase> {
        self.phase
    }

    /// What was to be performed was done; a report about anything else is passed over.
    pub fn done(&mut self, effect: Effect) {
        if self.next != Next::Perform(effect) {
            return;
        }
        self.next = match effect {
            Effect::Apply => Next::Perform(Effect::ProbePending),
            Effect::ProbePending => Next::Commit(Step::Deliver),
            Effect::Undo => Next::Perform(Effect::ProbeCurrent),
            Effect::ProbeCurrent => Next::Commit(Step::End(Outcome::Undone)),
            Effect::Retire => Next::Commit(Step::End(Outcome::Rotated)),
        };
    }

    /// What was to be performed failed, and may have been done nevertheless.
    pub fn failed(&mut self, effect: Effect) {
        if self.next != Next::Perform(effect) {
            return;
        }
        self.next = match effect {
            Effect::Apply | Effect::ProbePending => Next::Commit(Step::Undo { forced: false }),
            Effect::Undo | Effect::ProbeCurrent | Effect::Retire => Next::Stop(effect),
        };
    }

    /// Consumers have the current version.
    pub fn taken_up(&mut self) {
        if self.next == Next::Await {
            self.go_on(false);
        }
    }

    /// Goes on without those who do not have the current version.
    ///
    /// # Errors
    /// [`Refused::NothingToForce`].
    pub fn force(&mut self) -> Result<(), Refused> {
        if self.next != Next::Await {
            return Err(Refused::NothingToForce);
        }
        self.go_on(true);
        Ok(())
    }

    fn go_on(&mut self, forced: bool) {
        self.next = match self.phase {
            Some(Phase::Returning) => Next::Commit(Step::Undo { forced }),
            _ if self.strategy.keeps_previous() => Next::Commit(Step::Retire { forced }),
            _ => Next::Commit(Step::End(Outcome::Rotated)),
        };
    }

    /// Takes the rotation back; where that is under way already, goes on with it.
    ///
    /// # Errors
    /// [`Refused::NoWayBack`].
    pub fn abort(&mut self) -> Result<(), Refused> {
        self.next = match self.phase {
            Some(Phase::Applying) => Next::Commit(Step::Undo { forced: false }),
            Some(Phase::Delivering) if self.strategy.keeps_previous() => Next::Commit(Step::TakeBack),
            Some(Phase::Delivering | Phase::Retiring) => return Err(Refused::NoWayBack),
            Some(Phase::Undoing | Phase::Returning) => self.next,
            // Nothing was begun.
            None => Next::Ended(Outcome::Undone),
        };
        Ok(())
    }

    /// What was to be committed is in the store.
    pub fn committed(&mut self) {
        let Next::Commit(step) = self.next else {
            return;
        };
        let Some((phase, _)) = step.from(self.strategy, self.phase) else {
            return;
        };
        self.phase = phase;
        self.next = match (phase, step) {
            (Some(phase), _) => first(phase),
            (None, Step::End(outcome)) => Next::Ended(outcome),
            (None, _) => Next::Ended(Outcome::Undone),
        };
    }
}

/// What is done first in a phase.
fn first(phase: Phase) -> Next {
    match phase {
        Phase::Applying => Next::Perform(Effect::Apply),
        Phase::Delivering | Phase::Returning => Next::Await,
        Phase::Retiring => Next::Perform(Effect::Retire),
        Phase::Undoing => Next::Perform(Effect::Undo),
    }
}
