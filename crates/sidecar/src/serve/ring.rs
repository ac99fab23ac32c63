//! The last updates: owns what a watcher at some place gets next, and from where a resume goes
//! on. It must not know who watches.

use std::cell::OnceCell;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use strongroom_core::ambient::Timestamp;
use strongroom_core::id::Hash;
use strongroom_core::kind::Kind;
use strongroom_core::name::EntryPath;
use strongroom_core::policy::{Action, Decisions, Prepared};
use strongroom_core::snapshot::{Entry, is_flag_set};

use super::event::{self, Event};
use crate::asker::Asker;
use crate::change::Change;

/// Updates kept for watchers that resume or are behind.
const KEPT: usize = 256;

/// One step from a revision to another; its events are written once and shared by the watchers that
/// see the same of it.
#[derive(Debug)]
pub struct Update {
    /// The revision that is served since.
    pub revision: u64,
    /// The revision that was served before.
    pub from: u64,
    /// What changed; `None` when it is too much to list or not known.
    pub changes: Option<Vec<Change>>,
    decisions: Arc<Decisions>,
    at: Timestamp,
    parts: Mutex<HashMap<Part, Option<Event>>>,
}

/// What some watchers see of a step: what lies under a prefix, and who they are to policies.
type Part = (Form, Option<EntryPath>, Option<Hash>);

/// Events kept with one update for watchers that see a part. Services ask for few; each one more
/// is written again for each watcher, so that clients decide about nothing that stays.
const MOST_PARTS: usize = 16;

/// A list of changes longer than this is not sent: reading everything again is cheaper.
const MOST_CHANGES: usize = 1000;

impl Update {
    /// A step to a revision whose policies make `decisions`, served from `at` on.
    #[must_use]
    pub fn new(
        revision: u64,
        from: u64,
        changes: Vec<Change>,
        decisions: Arc<Decisions>,
        at: Timestamp,
    ) -> Self {
        Self {
            revision,
            from,
            changes: (changes.len() <= MOST_CHANGES).then_some(changes),
            decisions,
            at,
            parts: Mutex::default(),
        }
    }

    /// Whom policies judge; nobody where what is built in lets everybody see everything.
    fn viewer<'a>(&self, view: &'a View) -> Option<&'a Prepared> {
        let viewer = view.asker.principal();
        viewer.filter(|_| view.asker.is_bounded() || !self.decisions.policies().is_default())
    }

    /// Whether keys are named, to those who may read all of a document.
    fn names_keys(&self) -> bool {
        let mut changes = self.changes.iter().flatten();
        changes.any(|change| change.keys.is_some())
    }

    fn made(
        &self,
        form: Form,
        sees: impl Fn(&Change) -> bool,
        reads: impl Fn(&Change) -> bool,
    ) -> Option<Event> {
        match form {
            Form::Changes => Some(event::step(self, sees, reads)),
            Form::Refetch => {
                // what flags share, and what decides who may have them, is told of to all: whose flags it changes is
                // not known here. What hides a flag or a set that is inherited is of any kind.
                let touches = |change: &Change| {
                    is_flag_set(&change.path)
                        || change.concerns(Kind::Policy)
                        || (change.concerns(Kind::Flag) && sees(change))
                };
                let is_due = self.changes.as_ref().is_none_or(|all| all.iter().any(touches));
                is_due.then(|| event::refetch(self.revision))
            }
        }
    }

    /// What a watcher is told of it; nothing where that is nothing to it.
    fn event(&self, view: &View) -> Option<Event> {
        let viewer = self.viewer(view);
        let may = |action, entry: &Entry| {
            viewer.is_none_or(|viewer| self.decisions.decide(viewer, action, entry, self.at).allowed)
        };
        // not remembered: that is what is decided of the entry as it is now
        let might_evaluate = |flag: &Entry| {
            let policies = self.decisions.policies();
            let decide = |viewer| policies.decide(viewer, Action::EvaluateFlag, flag.into(), self.at);
            flag.kind == Kind::Flag && viewer.is_none_or(|viewer| decide(viewer).allowed)
        };
        let evaluates = |change: &Change| {
            change.kind == Kind::Flag && may(Action::EvaluateFlag, &change.entry)
                || change
                    .before
                    .as_ref()
                    .is_some_and(|before| might_evaluate(before))
        };
        let reads = |change: &Change| {
            let mut parts = std::iter::once(&change.entry).chain(&change.secrets);
            parts.all(|entry| may(Action::read_of(entry.kind), entry))
        };
        let sees = |change: &Change| {
            let prefix = view.prefix.as_ref();
            let is_seen = || match view.form {
                Form::Changes => may(Action::Watch, &change.entry),
                // who might evaluate what was there before has what it was
                Form::Refetch => evaluates(change),
            };
            let is_wanted = prefix.is_none_or(|prefix| change.path.is_under(prefix));
            is_wanted && view.asker.reaches(&change.entry) && is_seen()
        };
        let part = (view.form, view.prefix.clone(), viewer.map(Prepared::identity));
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = parts.get(&part) {
            return made.clone();
        }
        let made = self.made(view.form, sees, reads);
        if parts.len() < MOST_PARTS {
            parts.insert(part, made.clone());
        }
        made
    }
}

/// What a watcher wants to see, and who it is.
#[derive(Clone, Debug)]
pub struct View {
    /// Only changes at or under this path.
    pub prefix: Option<EntryPath>,
    /// Whom policies judge.
    pub asker: Arc<Asker>,
    /// What it is told.
    pub form: Form,
}

/// What a watcher is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// Each revision, with what changed.
    Changes,
    /// Only that flags are to be evaluated anew.
    Refetch,
}

/// An update, and the event of those who see all of it, in memory of one worker's own: thousands
/// of watchers count its users.
#[derive(Debug)]
struct Kept {
    update: Arc<Update>,
    whole: [OnceCell<Option<Event>>; 2],
}

impl Kept {
    fn event(&self, view: &View) -> Option<Event> {
        if view.prefix.is_some() || self.update.viewer(view).is_some() {
            return self.update.event(view);
        }
        let [changes, refetch] = &self.whole;
        let whole = match view.form {
            Form::Changes => changes,
            Form::Refetch => refetch,
        };
        let make = || self.update.made(view.form, |_| true, |_| true);
        whole.get_or_init(make).clone()
    }
}

/// How a watcher begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begin {
    /// With the updates since what it saw.
    Resumed,
    /// It has seen everything.
    Unchanged,
    /// Nothing is known of what it saw.
    Resync,
}

/// The last updates.
#[derive(Debug)]
pub(super) struct Ring {
    /// The newest revision.
    revision: u64,
    /// The last revision of which this machine may have said something else before, which no update here
    /// tells: the one this began with, or one of an update that was dropped.
    doubtful: Option<u64>,
    /// Oldest first.
    updates: VecDeque<Kept>,
    /// The number of the update after the last one.
    next: u64,
    /// How many signs of life there were.
    beats: u64,
    closed: bool,
}

/// Where one watcher is.
#[derive(Debug)]
pub(super) struct Place {
    view: View,
    next: u64,
    beats: u64,
}

impl Ring {
    /// The updates from `revision` on, of which this machine says something if `is_overridden`.
    pub(super) fn new(revision: u64, is_overridden: bool) -> Self {
        Self {
            revision,
            doubtful: is_overridden.then_some(revision),
            updates: VecDeque::new(),
            next: 0,
            beats: 0,
            closed: false,
        }
    }

    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    pub(super) fn push(&mut self, update: Arc<Update>) {
        if self.updates.len() >= KEPT
            && let Some(Kept { update: gone, .. }) = self.updates.pop_front()
            && gone.from == gone.revision
        {
            self.doubtful = Some(gone.revision);
        }
        self.revision = update.revision;
        self.updates.push_back(Kept {
            update,
            whole: Default::default(),
        });
        self.next = self.next.wrapping_add(1);
    }

    pub(super) fn beat(&mut self) {
        self.beats = self.beats.wrapping_add(1);
    }

    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    /// The place of a watcher that saw `last` before, and how it begins.
    pub(super) fn place(&self, view: View, last: Option<u64>) -> (Place, Begin) {
        let oldest = self.next.wrapping_sub(self.updates.len() as u64);
        let last = last.filter(|last| !self.is_ambiguous(*last));
        // the update that leads away from what was seen; one that covers it lists a little more
        let missed = last.and_then(|last| {
            self.updates
                .iter()
                .position(|Kept { update, .. }| update.from <= last && last < update.revision)
        });
        // what was decided by other policies, or at another time, does not hold for who comes now
        let missed = missed.filter(|position| self.still_holds(*position, view.form));
        let begin = match missed {
            Some(_) => Begin::Resumed,
            None if last == Some(self.revision) => Begin::Unchanged,
            None => Begin::Resync,
        };
        let place = Place {
            view,
            next: missed.map_or(self.next, |position| oldest.wrapping_add(position as u64)),
            beats: self.beats,
        };
        (place, begin)
    }

    /// True when a revision was served with one thing and another that this machine said: who saw it may
    /// have seen either.
    fn is_ambiguous(&self, revision: u64) -> bool {
        let is_within = |kept: &Kept| (kept.update.from, kept.update.revision) == (revision, revision);
        self.doubtful == Some(revision) || self.updates.iter().any(is_within)
    }

    /// True when what a watcher is told in this form of the updates from `position` on was decided as it would be now.
    fn still_holds(&self, position: usize, form: Form) -> bool {
        let Some(newest) = self.updates.back().map(|kept| kept.update.decisions.policies()) else {
            return true;
        };
        let since = || self.updates.iter().skip(position);
        let is_same = since().all(|kept| Arc::ptr_eq(kept.update.decisions.policies(), newest));
        let names_keys = || since().any(|kept| kept.update.names_keys());
        let reads = [Action::ReadConfig, Action::ReadSecret];
        let is_timed = match form {
            Form::Changes => {
                newest.is_timed(Action::Watch)
                    || (reads.iter().any(|read| newest.is_timed(*read)) && names_keys())
            }
            Form::Refetch => newest.is_timed(Action::EvaluateFlag),
        };
        is_same && !is_timed
    }

    /// What a watcher gets next, which takes it a place further; `None` when the stream has ended.
    pub(super) fn next(&self, place: &mut Place) -> Poll<Option<Event>> {
        let behind = self.next.wrapping_sub(place.next);
        let kept = self.updates.len() as u64;
        if behind > kept {
            // too slow: what was dropped is told, then where things stand
            place.next = self.next;
            return Poll::Ready(Some(match place.view.form {
                Form::Changes => event::lagged(behind, self.revision),
                Form::Refetch => event::refetch(self.revision),
            }));
        }
        let position = usize::try_from(kept.wrapping_sub(behind)).unwrap_or(usize::MAX);
        for kept in self.updates.iter().skip(position) {
            place.next = place.next.wrapping_add(1);
            if let Some(event) = kept.event(&place.view) {
                place.beats = self.beats;
                return Poll::Ready(Some(event));
            }
        }
        if self.closed {
            return Poll::Ready(None);
        }
        if place.beats != self.beats {
            place.beats = self.beats;
            return Poll::Ready(Some(event::KEEP_ALIVE));
        }
        Poll::Pending
    }
}
