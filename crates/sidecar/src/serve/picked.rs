//! From a route to what of a snapshot is read: owns which revision, label and kind are meant, and asking the gate for it.
//! It must not open values.

use std::sync::Arc;

use strongroom_core::id::Revision;
use strongroom_core::kind::Kind;
use strongroom_core::policy::Action;
use strongroom_core::snapshot::{Entry, Label, ReadError, Snapshot};

use super::answer::Refusal;
use super::later::{Answered, Known, Recording, Wanted};
use super::route::{Query, Route};
use super::service::{Asked, Service, hidden};
use super::{list, value};
use crate::asker::Asker;
use crate::grant::{Question, Verdict};
use crate::read;

impl Service {
    /// Answers a route that reads a snapshot.
    pub(super) fn read(
        &self,
        asked: &Asked<'_>,
        route: Route<'_>,
        query: &Query,
        asker: &Asker,
        known: &Known,
    ) -> Result<Answered, Refusal> {
        let current = asked.current;
        let then = query.at.filter(|at| *at != current.snapshot.revision());
        let then = match (then, &known.then) {
            (None, _) => None,
            (Some(at), Some(then)) if at == then.snapshot.revision() => Some(then),
            (Some(at), _) => return self.past(at, &current.snapshot),
        };
        let snapshot = then.map_or(&current.snapshot, |then| &then.snapshot);
        let decisions = then.map(|then| then.decisions(current.decisions.policies()));
        let mut question = Question {
            request: Some(known.seen.request),
            ..self.state.question(current, asker, snapshot)
        };
        if let Some(decisions) = &decisions {
            question.decisions = decisions;
            question.today = Some(current);
        }
        // what was, and what is not current, is nobody's uptake
        let is_taken =
            then.is_none() && !known.seen.is_head && query.label.is_none_or(|label| label == Label::Current);
        let gate = self.state.gate();
        let wanted = match route {
            Route::Entry(kind, path) => {
                let mut entry = value::found(asked, snapshot, path)?;
                if entry.kind != kind {
                    return Err(self.mistaken(&question, entry, kind));
                }
                let labelled;
                if let Some(label) = query.label {
                    labelled = self.labelled(&question, snapshot, entry, label)?;
                    entry = &labelled;
                }
                let item = read::item(&question, snapshot, entry)?;
                let verdict = gate.ask(&question, item);
                match verdict.map_err(|error| hidden(error, &question, entry))? {
                    Verdict::Granted(grant) => {
                        let part = query.part.as_ref();
                        return self
                            .one(asked, snapshot, grant, part, is_taken)
                            .map(Answered::Now);
                    }
                    Verdict::Waiting(waiting) => Wanted::One(waiting),
                }
            }
            Route::Values => {
                let entries = list::matching(asked, snapshot, query)?;
                let items = read::listable(&question, snapshot, &entries);
                match gate.ask_all(&question, items)? {
                    Verdict::Granted(grants) => {
                        return self.values(asked, snapshot, grants, is_taken).map(Answered::Now);
                    }
                    Verdict::Waiting(waiting) => Wanted::Many(waiting),
                }
            }
            _ => {
                gate.note(&question, Action::Describe, query.prefix.as_ref());
                return list::entries(asked, snapshot, query, &question).map(Answered::Now);
            }
        };
        Ok(Answered::Record(Recording {
            current: Arc::clone(current),
            snapshot: Arc::clone(snapshot),
            wanted,
            part: query.part.clone(),
            is_taken,
        }))
    }

    /// The version of an entry that a label points at; that there is none is told to those who may
    /// know of the entry.
    fn labelled(
        &self,
        question: &Question<'_>,
        snapshot: &Snapshot,
        entry: &Entry,
        label: Label,
    ) -> Result<Arc<Entry>, Refusal> {
        let found = snapshot.labelled_entry(&entry.environment, &entry.path, label);
        found.map_err(|error| {
            if question.allows(Action::Describe, entry) {
                error.into()
            } else {
                hidden(self.state.gate().refuse(question, entry), question, entry)
            }
        })
    }

    /// What is told when an entry is asked for as something else.
    fn mistaken(&self, question: &Question<'_>, entry: &Entry, wanted: Kind) -> Refusal {
        if !question.allows(Action::Describe, entry) {
            return hidden(self.state.gate().refuse(question, entry), question, entry);
        }
        let error = ReadError::Kind {
            environment: question.environment.clone(),
            path: entry.path.clone(),
            found: entry.kind,
            wanted,
        };
        error.into()
    }

    fn past(&self, at: Revision, served: &Snapshot) -> Result<Answered, Refusal> {
        if at > served.revision() {
            let message = format!("revision {at} is not there yet; {} is served", served.revision());
            return Err(Refusal::not_found(message));
        }
        Ok(Answered::Past(at))
    }
}
