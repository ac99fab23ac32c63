//! What others did, in this sidecar's audit log: owns the records of members' commits as they come
//! to be served, and of what was refused. The signed history of the store says the same and more;
//! here it stands in one order with who read what. It must not decide anything.

use std::sync::Arc;

use strongroom_core::Vault;
use strongroom_core::audit::{Decision, Name, Record, Subject};
use strongroom_core::id::{EntryId, Revision};
use strongroom_core::kind::Kind;
use strongroom_core::name::{EntryPath, EnvironmentName};
use strongroom_core::policy::Action;
use strongroom_core::snapshot::{Changed, Snapshot};
use strongroom_core::vault::{Past, PastLabels};

use crate::grant::Gate;
use crate::state::State;

/// Commits that are recorded when a sidecar was away for long; of older ones the store's own
/// history tells.
const MOST: u64 = 4096;

/// Records up to which revision.
#[derive(Debug)]
pub struct Chronicle {
    state: Arc<State>,
    /// The store's location, as the settings have it.
    location: Subject,
    recorded: Revision,
}

impl Chronicle {
    /// Goes on after `known`, which was verified in an earlier life; or begins with what is served.
    #[must_use]
    pub fn new(state: Arc<State>, location: &str, known: Option<Revision>) -> Self {
        let served = state.current().snapshot.revision();
        Self {
            recorded: known.unwrap_or(served).min(served),
            location: Subject::store(location),
            state,
        }
    }

    /// Records what members did up to `now`, which is served.
    pub fn record(&mut self, vault: &Vault, now: &Snapshot) {
        let new = now.revision().0.saturating_sub(self.recorded.0);
        if new == 0 || self.state.gate().sink().is_none() {
            return;
        }
        if new > MOST {
            tracing::warn!(
                commits = new - MOST,
                "not all commits made meanwhile are in the audit log: `strongroom history` has them"
            );
        }
        // the vault may be further already: those come with their own revision
        let ahead = vault.snapshot().revision().0.saturating_sub(now.revision().0);
        let limit = usize::try_from(new.min(MOST).saturating_add(ahead)).unwrap_or(usize::MAX);
        let past = match vault.history(None, limit) {
            Ok(past) => past,
            Err(error) => {
                // the next revision tries again, from where this one began
                tracing::warn!(%error, "who made the last commits is not in the audit log yet");
                return;
            }
        };
        past.iter()
            .rev()
            .filter(|past| self.recorded < past.revision && past.revision <= now.revision())
            .for_each(|past| self.commit(past, now));
        self.recorded = now.revision();
    }

    fn commit(&self, past: &Past, now: &Snapshot) {
        let gate = self.state.gate();
        let author = Subject::member(&past.author);
        if past.changes.is_empty() && past.labels.is_empty() {
            // of members, keys, or of what this sidecar does not open
            tell(gate, past.revision, &author, Action::Commit, None, None);
        }
        for change in &past.changes {
            let action = match change.kind {
                Kind::Policy => Action::Administer,
                _ => Action::Commit,
            };
            let own = own(now, &change.environment, &change.path);
            let name = Name {
                environment: &change.environment,
                path: Some(&change.path),
            };
            tell(gate, past.revision, &author, action, own, Some(name));
        }
        // Labels that moved and delivered nothing: a step of a rotation, or one by hand.
        let delivered = |labels: &PastLabels| {
            let same =
                |change: &Changed| (&change.environment, &change.path) == (&labels.environment, &labels.path);
            past.changes.iter().any(same)
        };
        for labels in past.labels.iter().filter(|labels| !delivered(labels)) {
            let own = own(now, &labels.environment, &labels.path);
            let name = Name {
                environment: &labels.environment,
                path: Some(&labels.path),
            };
            tell(gate, past.revision, &author, Action::Rotate, own, Some(name));
        }
    }

    /// Records that the store's newest revision is not served.
    pub fn refused(&self, reason: &'static str) {
        let current = self.state.current();
        self.state.gate().tell(&Record {
            revision: current.snapshot.revision(),
            subject: &self.location,
            action: "verify",
            entry: None,
            name: None,
            decision: Decision::Deny,
            reason: Some(reason),
            policies: &[],
            request: None,
        });
    }
}

/// The id of an entry, if it still is and this sidecar opens it.
fn own(now: &Snapshot, environment: &EnvironmentName, path: &EntryPath) -> Option<EntryId> {
    let entry = now.entry(environment, path).ok()?;
    (entry.environment == *environment).then_some(entry.id)
}

fn tell(
    gate: &Gate,
    revision: Revision,
    author: &Subject,
    action: Action,
    entry: Option<EntryId>,
    name: Option<Name<'_>>,
) {
    gate.tell(&Record {
        revision,
        subject: author,
        action: action.as_str(),
        entry,
        name,
        decision: Decision::Allow,
        reason: None,
        policies: &[],
        request: None,
    });
}
