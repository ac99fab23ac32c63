//! Evaluating flags for who asks: owns that policy permits it first, and what is counted and noted of it. It must
//! not know protocols.

use std::sync::Arc;

use hyper::Uri;
use serde_json::Value;
use strongroom_core::audit::RequestId;
use strongroom_core::flag::{Context, Evaluation, Failure, Joined, MAX_WORK};
use strongroom_core::policy::Action;
use strongroom_core::snapshot::{Entry, FlagEntry};

use super::answer::Refusal;
use super::later::Known;
use super::selector::Selector;
use super::service::Service;
use super::taken::Given;
use crate::asker::Asker;
use crate::caller::Caller;
use crate::flags;
use crate::grant::{Grant, Item, Question, Refused, Verdict};
use crate::read::{self, Form};
use crate::state::Current;

/// Most operations of all evaluations of one request.
const MOST_WORK: u32 = 10 * MAX_WORK;

/// Operations after which others of the same thread get their turn,
const WORK_OF_A_TURN: u32 = MAX_WORK / 10;
/// and what a flag takes of them besides its rule.
const WORK_OF_ONE: u32 = 100;

/// Evaluates the flags of one revision for one caller.
pub(super) struct Evaluator<'a> {
    service: &'a Service,
    pub(super) current: Arc<Current>,
    asker: Arc<Asker>,
    /// Who it is, for rules.
    peer: Arc<Value>,
    request: RequestId,
}

impl Service {
    /// What evaluates flags for who asks, once it is known who that is.
    pub(super) async fn evaluator(&self, uri: &Uri, known: &Known) -> Result<Evaluator<'_>, Refusal> {
        let asker = self.attested(uri, known).await?;
        let peer = self.described().await?;
        let current = Arc::clone(&self.state.current());
        Ok(Evaluator {
            service: self,
            current,
            asker,
            peer,
            request: known.seen.request,
        })
    }

    /// What rules know of who asks; kept for the connection when nothing of it is missing.
    async fn described(&self) -> Result<Arc<Value>, Refusal> {
        if let Some(described) = self.own.described.get() {
            return Ok(Arc::clone(described));
        }
        let peer = match &self.caller {
            Caller::Process(peer) => peer,
            Caller::Guest(guest) => return Ok(Arc::clone(guest.described())),
        };
        let workload = peer.workload().await?;
        let described = Arc::new(flags::peer(&workload, self.state.host()));
        if peer.workload_now().is_some() {
            let _ = self.own.described.set(Arc::clone(&described));
        }
        Ok(described)
    }
}

impl Evaluator<'_> {
    fn question(&self) -> Question<'_> {
        let current = &self.current;
        Question {
            request: Some(self.request),
            ..self
                .service
                .state
                .question(current, &self.asker, &current.snapshot)
        }
    }

    /// Whether there is such a flag for who asks, and it may be evaluated.
    ///
    /// # Errors
    /// [`Refusal`], to who may know of the flag.
    pub(super) async fn permits(&self, key: &str) -> Result<bool, Refusal> {
        let Some(entry) = self.current.flags.entry(key) else {
            return Ok(false);
        };
        let question = self.question();
        let verdict = match self.service.state.gate().evaluate(&question, &entry.flag) {
            Ok(verdict) => verdict,
            Err(Refused::Denied { .. }) if !question.allows(Action::Describe, &entry.flag) => {
                return Ok(false);
            }
            Err(error) => return Err(error.into()),
        };
        self.settled(verdict).await?;
        Ok(true)
    }

    /// Those of the flags that `selector` asks for and that may be evaluated, in the order of their keys. It says
    /// nothing of what may not be.
    ///
    /// # Errors
    /// [`Refusal`] when it cannot be recorded.
    pub(super) async fn permitted(&self, selector: &Selector) -> Result<Vec<&FlagEntry>, Refusal> {
        let may_be = |entry: &&FlagEntry| selector.may_be(entry);
        let all: Vec<_> = self.current.flags.entries().filter(may_be).collect();
        let flags: Vec<_> = all.iter().map(|entry| &*entry.flag).collect();
        let is_wanted = |flag: &Entry| selector.is_of(&self.current.flags, flag.path.as_str());
        let gate = self.service.state.gate();
        let verdict = gate.evaluate_all(&self.question(), &flags, is_wanted)?;
        let permitted = self.settled(verdict).await?;
        let permitted = all.into_iter().zip(permitted).filter(|(_, is)| *is);
        Ok(permitted.map(|(entry, _)| entry).collect())
    }

    /// What a flag is that may be evaluated.
    ///
    /// # Errors
    /// [`Failure`].
    pub(super) fn evaluate<'b>(
        &'b self,
        key: &str,
        context: &'b Context,
    ) -> Result<Evaluation<'b>, Failure<'b>> {
        let mut left = MAX_WORK;
        self.evaluate_within(key, context, &mut left)
    }

    fn evaluate_within<'b>(
        &'b self,
        key: &str,
        context: &'b Context,
        left: &mut u32,
    ) -> Result<Evaluation<'b>, Failure<'b>> {
        let peer = Some(&*self.peer);
        let result = self.current.flags.evaluate_within(key, context, peer, left);
        if let Some(entry) = self.current.flags.entry(key) {
            let (variant, reason) = match &result {
                Ok(evaluation) => (
                    evaluation.chosen.map_or("", |chosen| chosen.variant),
                    evaluation.reason.as_str(),
                ),
                Err(_) => ("", "ERROR"),
            };
            self.service.tally.evaluated(&entry.flag.path, variant, reason);
            let snapshot = &self.current.snapshot;
            self.service.took(snapshot, Given::of(&entry.flag));
        }
        result
    }

    /// What flags are that may be evaluated, by key. All of them together do not take more than [`MOST_WORK`], and
    /// others get their turn meanwhile.
    pub(super) async fn evaluate_all<'b>(
        &'b self,
        entries: &[&'b FlagEntry],
        context: &'b Context,
    ) -> Vec<(&'b str, Result<Evaluation<'b>, Failure<'b>>)> {
        let mut results = Vec::with_capacity(entries.len());
        let mut left = MOST_WORK;
        let mut turn = 0;
        for entry in entries {
            let before = left;
            let key = entry.flag.path.as_str();
            results.push((key, self.evaluate_within(key, context, &mut left)));
            turn += before - left + WORK_OF_ONE;
            if turn >= WORK_OF_A_TURN {
                turn = 0;
                tokio::task::yield_now().await;
            }
        }
        results
    }

    /// A file of flagd with the definitions of the flags that are asked for and may be evaluated, read like any
    /// other value.
    ///
    /// # Errors
    /// [`Refusal`].
    pub(super) async fn document(&self, selector: &Selector) -> Result<String, Refusal> {
        let granted = self.granted(selector).await?;
        let mut joined = Joined::default();
        for grant in granted {
            let given = Given::of(grant.entry());
            let add = |entry: &Entry, bytes: &[u8]| {
                let key = entry.path.as_str();
                // one whose set cannot be read cannot be evaluated
                if let Ok(set) = self.current.flags.set(key) {
                    joined.add(key, bytes, set.map(|(path, set)| (path.as_str(), set)));
                }
            };
            let environment = self.service.state.environment();
            read::open(grant, &self.current.snapshot, environment, Form::Whole, add)?;
            self.service.took(&self.current.snapshot, given);
        }
        Ok(joined.into_json().to_string())
    }

    async fn granted(&self, selector: &Selector) -> Result<Vec<Grant>, Refusal> {
        let question = self.question();
        let may = |entry: &Entry| question.allows(Action::EvaluateFlag, entry);
        let entries = self
            .current
            .flags
            .entries()
            .filter(|entry| selector.may_be(entry));
        // which set it names is looked at only in what may be opened
        let entries = entries.filter(|entry| may(&entry.flag));
        let entries = entries.filter(|entry| selector.is_of(&self.current.flags, entry.flag.path.as_str()));
        let items = entries.map(|entry| Item {
            entry: Arc::clone(&entry.flag),
            // what its set says goes out with it
            secrets: entry.set.iter().map(Arc::clone).collect(),
        });
        let gate = self.service.state.gate();
        let verdict = gate.ask_all(&question, items.collect())?;
        self.settled(verdict).await
    }

    /// What is granted. After a wait for the log it is looked once more whether who asked is there.
    async fn settled<T>(&self, verdict: Verdict<T>) -> Result<T, Refusal> {
        match verdict {
            Verdict::Granted(granted) => Ok(granted),
            waiting @ Verdict::Waiting(_) => {
                let granted = waiting.granted().await?;
                self.service.still_there()?;
                Ok(granted)
            }
        }
    }
}
