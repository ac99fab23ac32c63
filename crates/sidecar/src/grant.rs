//! The gate before every value: owns the order in which the right to one comes about. Who asks is
//! attested, policy decides, the decision is in the audit log, and only then there is a [`Grant`],
//! without which nothing is opened. A document that refers to secrets is granted with all of them. It must
//! not know HTTP, and opens nothing itself.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use strongroom_core::ambient::Timestamp;
use strongroom_core::audit::{Decision, Name, Record, RequestId};
use strongroom_core::id::Revision;
use strongroom_core::name::{EntryPath, EnvironmentName};
use strongroom_core::policy::{self, Action, Decisions};
use strongroom_core::snapshot::{Entry, Label};

use crate::asker::Asker;
use crate::audit::{Attempt, AuditError, Pending, Sink, Written};
use crate::state::Current;

/// The policy that records name when the settings themselves want a value delivered.
static SETTINGS: LazyLock<[Arc<str>; 1]> = LazyLock::new(|| [Arc::from("settings")]);

/// What is asked at the gate, but for the entries.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// What the policies of now decide about the entries of the revision.
    pub decisions: &'a Decisions,
    /// What is served now, where the revision is a past one: whoever may not read an entry as it is
    /// described today does not read what it was before.
    pub today: Option<&'a Current>,
    /// The environment that is served.
    pub environment: &'a EnvironmentName,
    /// The revision the values are of.
    pub revision: Revision,
    /// Who asks.
    pub asker: &'a Asker,
    /// The request.
    pub request: Option<RequestId>,
    /// When.
    pub now: Timestamp,
}

/// What is asked for: an entry with the secrets that become part of it, where it is a document that
/// refers to some.
#[derive(Debug)]
pub struct Item {
    /// The entry.
    pub entry: Arc<Entry>,
    /// Those secrets: nothing is granted without all of them.
    pub secrets: Vec<Arc<Entry>>,
}

/// The right to open one entry, with the secrets that become part of it, once. Only the gate makes one.
#[derive(Debug)]
#[must_use]
pub struct Grant {
    item: Item,
}

impl Grant {
    fn of(item: Item) -> Self {
        Self { item }
    }

    /// The secrets that may be opened to become part of it.
    #[must_use]
    pub fn secrets(&self) -> &[Arc<Entry>] {
        &self.item.secrets
    }

    /// The entry that may be opened.
    #[must_use]
    pub fn entry(&self) -> &Arc<Entry> {
        &self.item.entry
    }
}

/// What policy allows, kept back while the record of it is being written.
#[derive(Debug)]
pub struct Waiting<T> {
    granted: T,
    record: Pending,
}

impl<T> Waiting<T> {
    /// What is granted, once the record is in the log.
    ///
    /// # Errors
    /// [`Refused::Unrecorded`]: nothing is granted.
    pub async fn granted(self) -> Result<T, Refused> {
        let written = self.record.await?;
        Ok(released(self.granted, &written))
    }
}

/// What the gate answers: a [`Grant`], or those of many entries.
#[derive(Debug)]
#[must_use]
pub enum Verdict<T> {
    /// Open what is granted.
    Granted(T),
    /// The log is busy: it will be known soon.
    Waiting(Waiting<T>),
}

impl<T> Verdict<T> {
    /// What is granted, waited for without holding up the thread.
    ///
    /// # Errors
    /// [`Refused::Unrecorded`]: nothing is granted.
    pub async fn granted(self) -> Result<T, Refused> {
        match self {
            Self::Granted(granted) => Ok(granted),
            Self::Waiting(waiting) => waiting.granted().await,
        }
    }

    /// What is granted, waited for in this thread.
    ///
    /// # Errors
    /// [`Refused::Unrecorded`]: nothing is granted.
    pub fn wait(self) -> Result<T, Refused> {
        match self {
            Self::Granted(granted) => Ok(granted),
            Self::Waiting(waiting) => {
                let written = waiting.record.wait()?;
                Ok(released(waiting.granted, &written))
            }
        }
    }
}

/// What became of the records that have to be in the log first.
enum Recorded {
    /// There are none to write.
    Nothing,
    /// They are written.
    Done(Written),
    /// They are being written.
    Soon(Pending),
}

impl Recorded {
    /// Releases `granted`, at once or when they are written.
    fn release<T>(self, granted: T) -> Verdict<T> {
        match self {
            Self::Nothing => Verdict::Granted(granted),
            Self::Done(written) => Verdict::Granted(released(granted, &written)),
            Self::Soon(record) => Verdict::Waiting(Waiting { granted, record }),
        }
    }
}

/// Takes the proof that the decision is recorded.
fn released<T>(granted: T, _written: &Written) -> T {
    granted
}

/// Why nothing is granted.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// Policy does not allow it.
    #[error("{action} {path:?} in {environment:?} is denied: {why}")]
    Denied {
        /// What was asked.
        action: Action,
        /// The environment.
        environment: EnvironmentName,
        /// The entry.
        path: EntryPath,
        /// The policies that forbid it, or that none permits it.
        why: String,
    },
    /// The decision could not be recorded.
    #[error("nothing is released that is not recorded, and {0}")]
    Unrecorded(#[from] AuditError),
}

impl Refused {
    fn denied(
        action: Action,
        question: &Question<'_>,
        entry: &Entry,
        decision: Option<&policy::Decision>,
    ) -> Self {
        Self::Denied {
            action,
            environment: question.environment.clone(),
            path: entry.path.clone(),
            why: why(decision),
        }
    }

    /// A document with a secret in it that who asks may not know of: neither it nor its policies are named.
    fn hidden_part(question: &Question<'_>, document: &Entry) -> Self {
        Self::Denied {
            action: Action::read_of(document.kind),
            environment: question.environment.clone(),
            path: document.path.clone(),
            why: HIDDEN_PART.to_owned(),
        }
    }
}

/// What is said of a secret in a document to who may not know of it.
const HIDDEN_PART: &str = "it has a part that may not be read";

/// An entry, and what policy says of reading it.
type Part<'a> = (&'a Entry, Option<Arc<policy::Decision>>);

/// The gate.
#[derive(Debug, Default)]
pub struct Gate {
    sink: Option<Arc<Sink>>,
    /// Whether evaluations of flags that are allowed are recorded too.
    records_evaluations: bool,
    strangers: Strangers,
    denied: AtomicU64,
}

/// Records of strangers in one second.
const STRANGERS: u32 = 64;

/// How many there were in this second.
#[derive(Debug, Default)]
struct Strangers {
    lately: Mutex<Option<(Instant, u32)>>,
    all: AtomicU64,
}

impl Strangers {
    fn has_room(&self) -> bool {
        let mut counted = self.lately.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, count) = match *counted {
            Some((since, count)) if since.elapsed() < Duration::from_secs(1) => (since, count),
            _ => (Instant::now(), 0),
        };
        *counted = Some((since, count.saturating_add(1)));
        count < STRANGERS
    }
}

impl Gate {
    /// Records in `sink`; without one, decisions are not recorded. Evaluations of flags are there when they are
    /// denied, and with `records_evaluations` when they are allowed.
    #[must_use]
    pub fn new(sink: Option<Arc<Sink>>, records_evaluations: bool) -> Self {
        Self {
            sink,
            records_evaluations,
            strangers: Strangers::default(),
            denied: AtomicU64::new(0),
        }
    }

    /// Where decisions are recorded.
    #[must_use]
    pub fn sink(&self) -> Option<&Arc<Sink>> {
        self.sink.as_ref()
    }

    /// Asks for one entry.
    ///
    /// # Errors
    /// [`Refused`]. A denial is recorded too, and told whether or not that is over.
    pub fn ask(&self, question: &Question<'_>, item: Item) -> Result<Verdict<Grant>, Refused> {
        if !item.secrets.is_empty() {
            return self.ask_with_secrets(question, item);
        }
        let action = Action::read_of(item.entry.kind);
        let decision = question.decide(action, &item.entry);
        let decision = decision.as_deref();
        let record = question.record(action, &item.entry, decision);
        if is_allowed(decision) {
            let recorded = self.record(std::slice::from_ref(&record))?;
            return Ok(recorded.release(Grant::of(item)));
        }
        self.deny(&record);
        Err(Refused::denied(action, question, &item.entry, decision))
    }

    /// The same for a document that refers to secrets: all of it is allowed, or nothing.
    fn ask_with_secrets(&self, question: &Question<'_>, item: Item) -> Result<Verdict<Grant>, Refused> {
        let parts = question.parts(&item);
        let denied = parts
            .iter()
            .find(|(_, decision)| !is_allowed(decision.as_deref()));
        if let Some((entry, decision)) = denied {
            let action = Action::read_of(entry.kind);
            self.deny(&question.record(action, entry, decision.as_deref()));
            let is_secret = entry.id != item.entry.id;
            if is_secret && !question.allows(Action::Describe, entry) {
                return Err(Refused::hidden_part(question, &item.entry));
            }
            return Err(Refused::denied(action, question, entry, decision.as_deref()));
        }
        let records: Vec<_> = parts.iter().map(|part| question.part(part)).collect();
        let recorded = self.record(&records)?;
        Ok(recorded.release(Grant::of(item)))
    }

    /// Asks whether `action`, which opens nothing, may be done with an entry.
    ///
    /// # Errors
    /// [`Refused`]. A denial is recorded too, and told whether or not that is over.
    pub fn permit(
        &self,
        question: &Question<'_>,
        action: Action,
        entry: &Entry,
    ) -> Result<Verdict<()>, Refused> {
        let decision = question.decide(action, entry);
        let decision = decision.as_deref();
        let record = question.record(action, entry, decision);
        if is_allowed(decision) {
            return Ok(self.record(std::slice::from_ref(&record))?.release(()));
        }
        self.deny(&record);
        Err(Refused::denied(action, question, entry, decision))
    }

    /// Asks whether a flag may be evaluated, which opens nothing for who asks but what it is for him.
    ///
    /// # Errors
    /// [`Refused`]. A denial is recorded too, and told whether or not that is over.
    pub fn evaluate(&self, question: &Question<'_>, flag: &Entry) -> Result<Verdict<()>, Refused> {
        if self.records_evaluations {
            return self.permit(question, Action::EvaluateFlag, flag);
        }
        let decision = question.decide(Action::EvaluateFlag, flag);
        let decision = decision.as_deref();
        if is_allowed(decision) {
            return Ok(Verdict::Granted(()));
        }
        self.deny(&question.record(Action::EvaluateFlag, flag, decision));
        Err(Refused::denied(Action::EvaluateFlag, question, flag, decision))
    }

    /// Asks for each of `flags` whether it may be evaluated and is wanted, which is asked of what may be evaluated
    /// alone. The others are left out, as from a list.
    ///
    /// # Errors
    /// [`Refused::Unrecorded`].
    pub fn evaluate_all(
        &self,
        question: &Question<'_>,
        flags: &[&Entry],
        is_wanted: impl Fn(&Entry) -> bool,
    ) -> Result<Verdict<Vec<bool>>, Refused> {
        let decide = |flag: &&Entry| question.decide(Action::EvaluateFlag, flag);
        let decisions: Vec<_> = flags.iter().map(decide).collect();
        let both = flags.iter().zip(&decisions);
        let permitted: Vec<_> = both
            .map(|(flag, decision)| is_allowed(decision.as_deref()) && is_wanted(flag))
            .collect();
        if !self.records_evaluations {
            return Ok(Verdict::Granted(permitted));
        }
        let all = flags.iter().zip(&decisions).zip(&permitted);
        let records: Vec<_> = all
            .filter(|(_, is_permitted)| **is_permitted)
            .map(|((flag, decision), _)| question.record(Action::EvaluateFlag, flag, decision.as_deref()))
            .collect();
        Ok(self.record(&records)?.release(permitted))
    }

    /// Refuses what is asked for as something that it is not, and records that it was: whoever
    /// tries what there is leaves a trace.
    pub fn refuse(&self, question: &Question<'_>, entry: &Entry) -> Refused {
        let action = Action::read_of(entry.kind);
        let denial = policy::Decision::default();
        self.deny(&question.record(action, entry, Some(&denial)));
        Refused::denied(action, question, entry, Some(&denial))
    }

    /// Asks for all of `items`: those that policy does not allow are left out, as from a list.
    ///
    /// # Errors
    /// [`Refused::Unrecorded`].
    pub fn ask_all(&self, question: &Question<'_>, items: Vec<Item>) -> Result<Verdict<Vec<Grant>>, Refused> {
        let mut parts = Vec::with_capacity(items.len());
        let mut is_granted = Vec::with_capacity(items.len());
        for item in &items {
            let of = question.parts(item);
            let is_all_allowed = of.iter().all(|(_, decision)| is_allowed(decision.as_deref()));
            is_granted.push(is_all_allowed);
            parts.extend(of.into_iter().filter(|_| is_all_allowed));
        }
        let records: Vec<_> = parts.iter().map(|part| question.part(part)).collect();
        let recorded = self.record(&records)?;
        let granted = items.into_iter().zip(is_granted).filter(|(_, is)| *is);
        Ok(recorded.release(granted.map(|(item, _)| Grant::of(item)).collect()))
    }

    /// Has `records` written.
    fn record(&self, records: &[Record<'_>]) -> Result<Recorded, Refused> {
        let sink = match &self.sink {
            Some(sink) if !records.is_empty() => sink,
            _ => return Ok(Recorded::Nothing),
        };
        match sink.try_write_all(records) {
            Attempt::Done(written) => Ok(Recorded::Done(written)),
            Attempt::Pending(record) => Ok(Recorded::Soon(record)),
            Attempt::Failed(error) => Err(error.into()),
        }
    }

    /// Records that a workload looks at what has no value: a list, or the stream of revisions.
    pub fn note(&self, question: &Question<'_>, action: Action, path: Option<&EntryPath>) {
        self.tell(&Record {
            revision: question.revision,
            subject: question.asker.subject(),
            action: action.as_str(),
            entry: None,
            name: Some(Name {
                environment: question.environment,
                path,
            }),
            decision: Decision::Allow,
            reason: None,
            policies: &[],
            request: question.request,
        });
    }

    /// Records that somebody was not let in; of many at a time only some, so that whoever may do
    /// nothing cannot fill the disk.
    pub fn stranger(&self, record: &Record<'_>) {
        self.strangers.all.fetch_add(1, Ordering::Relaxed);
        if self.strangers.has_room() {
            self.tell(record);
        }
    }

    /// How often policy denied what was asked for, and how often who asks was not let in.
    #[must_use]
    pub fn denials(&self) -> (u64, u64) {
        let strangers = &self.strangers.all;
        (
            self.denied.load(Ordering::Relaxed),
            strangers.load(Ordering::Relaxed),
        )
    }

    /// Counts and records a denial. All threads count in one place: it is no way to be quick.
    fn deny(&self, record: &Record<'_>) {
        self.denied.fetch_add(1, Ordering::Relaxed);
        self.tell(record);
    }

    /// Records what nothing waits for.
    pub fn tell(&self, record: &Record<'_>) {
        if let Some(sink) = &self.sink {
            sink.try_write(record).detach();
        }
    }
}

impl Question<'_> {
    /// What policy says; nothing where the settings have decided.
    #[must_use]
    pub fn decide(&self, action: Action, entry: &Entry) -> Option<Arc<policy::Decision>> {
        let principal = self.asker.principal()?;
        if !self.asker.reaches(entry) {
            return Some(Arc::default());
        }
        let decision = self.decisions.decide(principal, action, entry, self.now);
        let Some(today) = self.today.filter(|_| decision.allowed) else {
            return Some(decision);
        };
        match today.snapshot.entry(&entry.environment, &entry.path) {
            Ok(same) if same.id == entry.id => {
                Some(today.decisions.decide(principal, action, &same, self.now))
            }
            // it is not there today
            _ => Some(decision),
        }
    }

    /// Whether policy allows it.
    #[must_use]
    pub fn allows(&self, action: Action, entry: &Entry) -> bool {
        is_allowed(self.decide(action, entry).as_deref())
    }

    /// What policy says of an entry and of each secret that becomes part of it.
    fn parts<'b>(&self, item: &'b Item) -> Vec<Part<'b>> {
        let parts = std::iter::once(&item.entry).chain(&item.secrets);
        parts
            .map(|entry| (&**entry, self.decide(Action::read_of(entry.kind), entry)))
            .collect()
    }

    fn part<'b>(&'b self, (entry, decision): &'b Part<'b>) -> Record<'b> {
        self.record(Action::read_of(entry.kind), entry, decision.as_deref())
    }

    fn record<'b>(
        &'b self,
        action: Action,
        entry: &'b Entry,
        decision: Option<&'b policy::Decision>,
    ) -> Record<'b> {
        Record {
            revision: self.revision,
            subject: self.asker.subject(),
            action: action.as_str(),
            entry: Some(entry.id),
            name: Some(Name {
                environment: self.environment,
                path: Some(&entry.path),
            }),
            decision: if is_allowed(decision) {
                Decision::Allow
            } else {
                Decision::Deny
            },
            reason: match entry.label() {
                Label::Current => None,
                Label::Pending => Some("the pending version"),
                Label::Previous => Some("the previous version"),
            },
            policies: decision.map_or(&*SETTINGS, |decision| &decision.policies),
            request: self.request,
        }
    }
}

/// Where no policy judges, the settings have allowed it.
fn is_allowed(decision: Option<&policy::Decision>) -> bool {
    decision.is_none_or(|decision| decision.allowed)
}

fn why(decision: Option<&policy::Decision>) -> String {
    match decision.map(|decision| decision.policies.as_slice()) {
        None | Some([]) => "no policy permits it".to_owned(),
        Some(forbid) => format!("policy {:?} forbids it", forbid.join(", ")),
    }
}
