//! The gate before every value: owns the order in which the right to one comes about. Who asks is
//! attested, policy decides, the decision is in the audit log, and only then there is a [`Grant`],
//! without which nothing is opened. It must not know HTTP, and opens nothing itself.

use std::sync::Arc;

use strongroom_core::ambient::Timestamp;
use strongroom_core::audit::{Decision, Name, Record, RequestId, Subject};
use strongroom_core::name::{EntryPath, EnvironmentName};
use strongroom_core::policy::{self, Action, PolicyError, Prepared, Principal};
use strongroom_core::snapshot::Entry;
use strongroom_core::workload::Workload;

use crate::audit::{Attempt, AuditError, Pending, Sink, Written};
use crate::state::Current;

/// The policy that records name when the settings themselves want a value delivered.
const SETTINGS: &str = "settings";

/// Who asks, ready to be asked about often.
#[derive(Debug)]
pub struct Asker {
    subject: Subject,
    /// Whom policies judge; nobody where the settings have decided.
    principal: Option<Prepared>,
    settings: [Arc<str>; 1],
}

impl Asker {
    /// An attested process at the socket.
    ///
    /// # Errors
    /// [`PolicyError`] when it cannot be described to policies.
    pub fn workload(workload: &Workload) -> Result<Self, PolicyError> {
        Ok(Self {
            subject: Subject::workload(workload),
            principal: Some(Prepared::new(Principal::Workload(workload))?),
            settings: [Arc::from(SETTINGS)],
        })
    }

    /// A directory or process of the settings: whoever writes those decides what it gets.
    #[must_use]
    pub fn injection(target: &str) -> Self {
        Self {
            subject: Subject::injection(target),
            principal: None,
            settings: [Arc::from(SETTINGS)],
        }
    }

    /// What policies see; nothing where the settings have decided.
    #[must_use]
    pub fn principal(&self) -> Option<&Prepared> {
        self.principal.as_ref()
    }
}

/// What is asked at the gate, but for the entries.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The policies of now decide, also about values of the past.
    pub current: &'a Current,
    /// The environment that is served.
    pub environment: &'a EnvironmentName,
    /// The revision the values are of.
    pub revision: strongroom_core::id::Revision,
    /// Who asks.
    pub asker: &'a Asker,
    /// The request.
    pub request: Option<RequestId>,
    /// When.
    pub now: Timestamp,
}

/// The right to open one entry, once. Only the gate makes one.
#[derive(Debug)]
#[must_use]
pub struct Grant {
    entry: Arc<Entry>,
}

impl Grant {
    /// The entry that may be opened.
    #[must_use]
    pub fn entry(&self) -> &Arc<Entry> {
        &self.entry
    }
}

/// Entries that policy allows, while the record of it is being written.
#[derive(Debug)]
pub struct Waiting {
    entries: Vec<Arc<Entry>>,
    record: Pending,
}

impl Waiting {
    /// The grants, once the record is in the log.
    ///
    /// # Errors
    /// [`AuditError`]: nothing is granted.
    pub async fn granted(self) -> Result<Vec<Grant>, AuditError> {
        let written = self.record.await?;
        Ok(grants(self.entries, &written))
    }
}

/// What the gate answers.
#[derive(Debug)]
#[must_use]
pub enum Verdict {
    /// Open them.
    Granted(Vec<Grant>),
    /// The log is busy: it will be known soon.
    Waiting(Waiting),
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

/// The gate.
#[derive(Debug, Default)]
pub struct Gate {
    sink: Option<Arc<Sink>>,
}

impl Gate {
    /// Records in `sink`; without one, decisions are not recorded.
    #[must_use]
    pub fn new(sink: Option<Arc<Sink>>) -> Self {
        Self { sink }
    }

    /// Where decisions are recorded.
    #[must_use]
    pub fn sink(&self) -> Option<&Arc<Sink>> {
        self.sink.as_ref()
    }

    /// Asks for one entry.
    ///
    /// # Errors
    /// [`Refused`]; a denial is recorded before it is told.
    pub fn ask(&self, question: &Question<'_>, entry: Arc<Entry>) -> Result<Verdict, Refused> {
        let action = Action::read_of(entry.kind);
        let decision = question.decide(action, &entry);
        let record = question.record(action, &entry, decision.as_deref());
        if decision.as_ref().is_none_or(|decision| decision.allowed) {
            return self.grant(vec![Arc::clone(&entry)], std::slice::from_ref(&record));
        }
        if let Some(sink) = &self.sink {
            // the denial holds whether or not it could be recorded; trouble is told by the sink
            let _ = sink.try_write(&record);
        }
        Err(Refused::Denied {
            action,
            environment: question.environment.clone(),
            path: entry.path.clone(),
            why: why(decision.as_deref()),
        })
    }

    /// Asks for all of `entries`: those that policy does not allow are left out, as from a list.
    ///
    /// # Errors
    /// [`Refused::Unrecorded`].
    pub fn ask_all(
        &self,
        question: &Question<'_>,
        entries: impl Iterator<Item = Arc<Entry>>,
    ) -> Result<Verdict, Refused> {
        let mut decisions = Vec::new();
        let mut allowed = Vec::new();
        for entry in entries {
            let decision = question.decide(Action::read_of(entry.kind), &entry);
            if decision.as_ref().is_none_or(|decision| decision.allowed) {
                allowed.push(entry);
                decisions.push(decision);
            }
        }
        let pairs = allowed.iter().zip(&decisions);
        let records: Vec<_> = pairs
            .map(|(entry, decision)| question.record(Action::read_of(entry.kind), entry, decision.as_deref()))
            .collect();
        let verdict = if records.is_empty() {
            Verdict::Granted(Vec::new())
        } else {
            self.grant(allowed.clone(), &records)?
        };
        Ok(verdict)
    }

    fn grant(&self, entries: Vec<Arc<Entry>>, records: &[Record<'_>]) -> Result<Verdict, Refused> {
        let Some(sink) = &self.sink else {
            return Ok(Verdict::Granted(
                entries.into_iter().map(|entry| Grant { entry }).collect(),
            ));
        };
        match sink.try_write_all(records) {
            Attempt::Done(written) => Ok(Verdict::Granted(grants(entries, &written))),
            Attempt::Pending(record) => Ok(Verdict::Waiting(Waiting { entries, record })),
            Attempt::Failed(error) => Err(error.into()),
        }
    }

    /// Records what policy decided about something that releases no value.
    pub fn note(
        &self,
        question: &Question<'_>,
        action: Action,
        path: Option<&EntryPath>,
        decision: Decision,
    ) {
        let Some(sink) = &self.sink else { return };
        let _ = sink.try_write(&Record {
            revision: question.revision,
            subject: &question.asker.subject,
            action: action.as_str(),
            entry: None,
            name: Some(Name {
                environment: question.environment,
                path,
            }),
            decision,
            reason: None,
            policies: &[],
            request: question.request,
        });
    }
}

impl Verdict {
    /// The grants, waited for in this thread.
    ///
    /// # Errors
    /// [`AuditError`].
    pub fn wait(self) -> Result<Vec<Grant>, AuditError> {
        match self {
            Self::Granted(grants) => Ok(grants),
            Self::Waiting(waiting) => {
                let written = waiting.record.wait()?;
                Ok(grants(waiting.entries, &written))
            }
        }
    }
}

/// `_written` is the proof that the decision is recorded.
fn grants(entries: Vec<Arc<Entry>>, _written: &Written) -> Vec<Grant> {
    entries.into_iter().map(|entry| Grant { entry }).collect()
}

impl Question<'_> {
    /// What policy says; nothing where the settings have decided.
    #[must_use]
    pub fn decide(&self, action: Action, entry: &Entry) -> Option<Arc<policy::Decision>> {
        let principal = self.asker.principal.as_ref()?;
        Some(self.current.decisions.decide(principal, action, entry, self.now))
    }

    /// Whether policy allows it.
    #[must_use]
    pub fn allows(&self, action: Action, entry: &Entry) -> bool {
        self.decide(action, entry).is_none_or(|decision| decision.allowed)
    }

    fn record<'b>(
        &'b self,
        action: Action,
        entry: &'b Entry,
        decision: Option<&'b policy::Decision>,
    ) -> Record<'b> {
        Record {
            revision: self.revision,
            subject: &self.asker.subject,
            action: action.as_str(),
            entry: Some(entry.id),
            name: Some(Name {
                environment: self.environment,
                path: Some(&entry.path),
            }),
            decision: match decision {
                Some(decision) if !decision.allowed => Decision::Deny,
                _ => Decision::Allow,
            },
            reason: None,
            policies: decision.map_or(&self.asker.settings, |decision| &decision.policies),
            request: self.request,
        }
    }
}

fn why(decision: Option<&policy::Decision>) -> String {
    match decision.map(|decision| decision.policies.as_slice()) {
        None | Some([]) => "no policy permits it".to_owned(),
        Some(forbid) => format!("policy {:?} forbids it", forbid.join(", ")),
    }
}
