//! Whether policy allows a member's commit: owns what is asked for each of its changes, by the one
//! who makes the commit and by everyone who reads it. It must not know roles' own rules, which
//! hold besides.

use std::collections::BTreeMap;

use super::check::{denied, invalid};
use super::error::CommitError;
use super::known::Known;
use crate::ambient::Timestamp;
use crate::commit::Role;
use crate::kind::Kind;
use crate::name::{EntryPath, EnvironmentName, MemberName};
use crate::policy::{Action, Decision, Policies, PolicyError, Prepared, Principal, Resource};
use crate::snapshot::{Changed, Snapshot};

/// The author of one commit before the policies of the revision it is made on.
pub(super) struct Guard<'a> {
    known: &'a Known,
    author: Prepared,
    now: Timestamp,
}

/// One change of an entry.
pub(super) struct Asked<'a> {
    /// Its environment and those that one inherits from, nearest first.
    pub(super) layers: Vec<EnvironmentName>,
    /// The entry as it was; `None` when it is new.
    pub(super) before: Option<Resource<'a>>,
    /// The entry as it will be; `None` when it goes.
    pub(super) after: Option<Resource<'a>>,
    /// True when nothing but its value changes.
    pub(super) only_value: bool,
}

impl<'a> Guard<'a> {
    pub(super) fn new(
        known: &'a Known,
        name: &MemberName,
        role: Role,
        now: Timestamp,
    ) -> Result<Self, PolicyError> {
        Ok(Self {
            known,
            author: Prepared::new(Principal::Member { name, role })?,
            now,
        })
    }

    /// What the policies of `base` say of a change; `None` when they allow it. An entry that
    /// changes its labels must be open to the author as it was and as it will be.
    pub(super) fn refusal(
        &self,
        base: &Snapshot,
        asked: &Asked<'_>,
    ) -> Result<Option<(Action, Decision)>, PolicyError> {
        let Some(policies) = self.known.of(base, &asked.layers)? else {
            return Ok(None);
        };
        let before = asked
            .before
            .filter(|_| !asked.only_value || asked.after.is_none());
        for resource in before.into_iter().chain(asked.after) {
            let action = Action::change_of(resource.kind, asked.only_value);
            let decision = policies.decide(&self.author, action, resource, self.now);
            if !decision.allowed {
                return Ok(Some((action, decision)));
            }
        }
        Ok(None)
    }

    /// Whether the commit leaves whole policies behind, and its author in charge of them: nobody
    /// shuts themselves out by mistake.
    pub(super) fn aftermath(&self, next: &Snapshot, changes: &[Changed]) -> Result<(), CommitError> {
        let changed: Vec<_> = changes
            .iter()
            .filter(|change| change.kind == Kind::Policy)
            .collect();
        let (Some(first), Some(common)) = (changed.first(), next.common()) else {
            return Ok(());
        };
        let entry = Resource {
            path: &first.path,
            kind: Kind::Policy,
            compartment: common,
            labels: &BTreeMap::new(),
        };
        for environment in next.environments() {
            let layers = next.layers(&environment.name)?;
            if !changed.iter().any(|change| layers.contains(&change.environment)) {
                continue;
            }
            let policies = Policies::of(next, &environment.name)?;
            if !policies
                .decide(&self.author, Action::Administer, entry, self.now)
                .allowed
            {
                return Err(invalid(format!(
                    "after this its author could not administer {:?} in {:?}: leave a way back",
                    first.path, environment.name
                )));
            }
        }
        Ok(())
    }

    /// Refuses a change that the policies of `base` do not allow.
    pub(super) fn check(
        &self,
        base: &Snapshot,
        path: &EntryPath,
        asked: &Asked<'_>,
    ) -> Result<(), CommitError> {
        let Some((action, decision)) = self.refusal(base, asked)? else {
            return Ok(());
        };
        let why = match decision.policies.as_slice() {
            [] => "no policy permits it".to_owned(),
            some => format!("policy {:?} forbids it", some.join(", ")),
        };
        let environment = asked.layers.first().map_or("", EnvironmentName::as_str);
        Err(denied(format!("{action} {path:?} in {environment:?}: {why}")))
    }
}
