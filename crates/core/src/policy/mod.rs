//! Who may do what: owns the policies of an environment and decisions by them. It must not know
//! sockets, nor how a principal was found out to be who it is.
//!
//! Policies are Cedar, and entries like any other: signed, versioned, of the same revision as what
//! they guard. Those of an environment and of the environments it inherits from govern it, and
//! only they: what none of them permits is denied, and a `forbid` wins. An environment without any
//! is governed by what is built in. The words of policies are those of [`SCHEMA`].

mod action;
mod error;
mod memo;
mod principal;
mod resource;
mod text;
mod vocabulary;

use std::collections::HashMap;
use std::sync::Arc;

use cedar_policy::{
    ActionConstraint, AuthorizationError, Authorizer, Context, EntityUid, PolicyId, PolicySet,
    PrincipalConstraint, Request, RestrictedExpression,
};

pub use action::{Action, ActionError};
pub use error::{Fault, Place, PolicyError};
pub use memo::Decisions;
pub use principal::{Prepared, Principal};
pub use resource::Resource;
pub use text::{MAX_TEXT, check};
pub use vocabulary::{ALWAYS, DEFAULT, SCHEMA};

use crate::ambient::Timestamp;
use crate::id::{EntryId, Hash};
use crate::name::{EntryPath, EnvironmentName};
use crate::snapshot::Snapshot;
use text::{BuiltIn, Parsed};
use vocabulary::{internal, vocabulary};

/// Most policies that govern one environment.
pub const MAX_POLICIES: usize = 4096;

/// Where built-in policies are from; entries are from `ENVIRONMENT/PATH`.
const DEFAULT_NAME: &str = "default";
const ALWAYS_NAME: &str = "always";
static DEFAULT_POLICIES: BuiltIn = BuiltIn::new(DEFAULT);
static ALWAYS_POLICIES: BuiltIn = BuiltIn::new(ALWAYS);

/// The policies that govern one environment.
#[derive(Debug)]
pub struct Policies {
    /// The environment and those it inherits from, nearest first.
    layers: Vec<EnvironmentName>,
    /// The policies that can matter to an action, by [`Action::index`].
    slices: Vec<Slice>,
    rules: HashMap<PolicyId, Rule>,
    /// What they were read from.
    origins: Vec<Origin>,
    is_default: bool,
}

/// An entry of policies, by what was signed of it: its description and its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Origin {
    id: EntryId,
    meta: Hash,
    value: Hash,
}

#[derive(Debug, Default)]
struct Slice {
    set: PolicySet,
    is_timed: bool,
}

/// What is known of one policy beside its Cedar.
#[derive(Debug)]
struct Rule {
    name: Arc<str>,
    forbids: bool,
    is_built_in: bool,
}

/// One text of policies and whose it is.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The environment of the entry.
    pub environment: &'a EnvironmentName,
    /// Its path.
    pub path: &'a EntryPath,
    /// Its value.
    pub text: &'a str,
}

/// What was decided, and by what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// Whether it may be done.
    pub allowed: bool,
    /// The policies that decided, by their `@id` or as `prod/policy/web#1`, sorted: those that
    /// permit, or those that forbid, also by failing. Empty when it is denied because none permits
    /// it.
    pub policies: Vec<Arc<str>>,
    /// What went wrong in policies; one that forbids and fails denies.
    pub errors: Vec<String>,
}

impl Policies {
    /// The policies that govern `environment` in `snapshot`.
    ///
    /// # Errors
    /// [`PolicyError`]: whoever cannot read the policies must not go on without them.
    pub fn of(snapshot: &Snapshot, environment: &EnvironmentName) -> Result<Self, PolicyError> {
        Self::of_layers(snapshot, snapshot.layers(environment)?)
    }

    /// The same for an environment that the snapshot may not have yet, by what it inherits from.
    pub(crate) fn of_layers(snapshot: &Snapshot, layers: Vec<EnvironmentName>) -> Result<Self, PolicyError> {
        let mut texts = Vec::new();
        for entry in layers.iter().flat_map(|layer| snapshot.policies(layer)) {
            let text = snapshot.expose(entry, |bytes| std::str::from_utf8(bytes).map(str::to_owned));
            // Bytes that are no text are no policy either: the parser says so.
            texts.push((entry, text?.unwrap_or_else(|_| "\u{fffd}".to_owned())));
        }
        let origins = origins(snapshot, &layers).collect();
        let sources = texts.iter().map(|(entry, text)| Source {
            environment: &entry.environment,
            path: &entry.path,
            text,
        });
        let mut policies = Self::from_texts(layers, sources)?;
        policies.origins = origins;
        Ok(policies)
    }

    /// These policies, if the ones of `snapshot` are the same, or those.
    ///
    /// # Errors
    /// [`PolicyError`].
    pub fn renewed(self: &Arc<Self>, snapshot: &Snapshot) -> Result<Arc<Self>, PolicyError> {
        let environment = self.layers.first().ok_or_else(|| internal("no environment"))?;
        let layers = snapshot.layers(environment)?;
        if self.are_of(snapshot, &layers) {
            Ok(Arc::clone(self))
        } else {
            Self::of_layers(snapshot, layers).map(Arc::new)
        }
    }

    /// True when they are what the policies of `layers` in `snapshot` say.
    pub(crate) fn are_of(&self, snapshot: &Snapshot, layers: &[EnvironmentName]) -> bool {
        self.layers == layers && origins(snapshot, layers).eq(self.origins.iter().copied())
    }

    /// The policies in `sources`, as governing the first of `layers`; the others are those it
    /// inherits from.
    ///
    /// # Errors
    /// [`PolicyError`].
    pub fn from_texts<'a>(
        layers: Vec<EnvironmentName>,
        sources: impl IntoIterator<Item = Source<'a>>,
    ) -> Result<Self, PolicyError> {
        let mut policies = Self {
            slices: Action::ALL.iter().map(|_| Slice::default()).collect(),
            layers,
            rules: HashMap::new(),
            origins: Vec::new(),
            is_default: true,
        };
        for source in sources {
            policies.is_default = false;
            let parsed = text::parse(source.text).map_err(|fault| PolicyError::Text {
                environment: source.environment.clone(),
                path: source.path.clone(),
                fault,
            })?;
            policies.add(&format!("{}/{}", source.environment, source.path), &parsed)?;
        }
        if policies.is_default {
            policies.add(DEFAULT_NAME, DEFAULT_POLICIES.parsed()?)?;
        }
        policies.add(ALWAYS_NAME, ALWAYS_POLICIES.parsed()?)?;
        Ok(policies)
    }

    fn add(&mut self, whose: &str, parsed: &[Parsed]) -> Result<(), PolicyError> {
        let actions = vocabulary()?.actions();
        for (number, one) in (1..).zip(parsed) {
            let place = format!("{whose}#{number}");
            let id = PolicyId::new(&place);
            let policy = one.policy.new_id(id.clone());
            for action in Action::ALL
                .into_iter()
                .filter(|action| matters(&policy, *action, &actions))
            {
                if let Some(slice) = self.slices.get_mut(action.index()) {
                    slice.set.add(policy.clone()).map_err(internal)?;
                    slice.is_timed |= one.is_timed;
                }
            }
            let rule = Rule {
                name: one.name.as_deref().map_or_else(|| place.into(), Arc::from),
                forbids: one.forbids,
                is_built_in: whose == DEFAULT_NAME || whose == ALWAYS_NAME,
            };
            self.rules.insert(id, rule);
        }
        if self.rules.len() > MAX_POLICIES {
            return Err(PolicyError::TooMany {
                environment: self
                    .layers
                    .first()
                    .cloned()
                    .ok_or_else(|| internal("no environment"))?,
                limit: MAX_POLICIES,
            });
        }
        Ok(())
    }

    /// The environment they govern.
    #[must_use]
    pub fn environment(&self) -> Option<&EnvironmentName> {
        self.layers.first()
    }

    /// True when the environment has no policy entry, and what is built in governs it.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.is_default
    }

    /// The policies from entries, by name, sorted.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        let own = self.rules.values().filter(|rule| !rule.is_built_in);
        let mut names: Vec<_> = own.map(|rule| &*rule.name).collect();
        names.sort_unstable();
        names
    }

    /// The policies that were asked about `action`, and of each whether it forbids; sorted.
    #[must_use]
    pub fn about(&self, action: Action) -> Vec<(&str, bool)> {
        let asked = self
            .slices
            .get(action.index())
            .into_iter()
            .flat_map(|slice| slice.set.policies());
        let rules = asked.filter_map(|policy| self.rules.get(policy.id()));
        let mut about: Vec<_> = rules.map(|rule| (&*rule.name, rule.forbids)).collect();
        about.sort_unstable();
        about
    }

    /// True when what is decided about `action` may change as time goes by.
    #[must_use]
    pub fn is_timed(&self, action: Action) -> bool {
        self.slices.get(action.index()).is_none_or(|slice| slice.is_timed)
    }

    /// Whether `principal` may do `action` with `resource`, which is an entry as the environment
    /// of these policies sees it. Costs up to some hundred microseconds: [`Decisions`] remembers.
    #[must_use]
    pub fn decide(
        &self,
        principal: &Prepared,
        action: Action,
        resource: Resource<'_>,
        now: Timestamp,
    ) -> Decision {
        // A policy for any principal and any action permits a member no reading, nor a workload
        // a commit.
        if action.is_of_members() != principal.is_member {
            return Decision::default();
        }
        self.evaluate(principal, action, resource, now)
            .unwrap_or_else(|error| Decision {
                errors: vec![error.to_string()],
                ..Decision::default()
            })
    }

    fn evaluate(
        &self,
        principal: &Prepared,
        action: Action,
        resource: Resource<'_>,
        now: Timestamp,
    ) -> Result<Decision, PolicyError> {
        let slice = self
            .slices
            .get(action.index())
            .ok_or_else(|| internal("an action without policies"))?;
        let (uid, entity) = resource.entity(&self.layers)?;
        let entities = principal
            .entities
            .clone()
            .add_entities([entity], None)
            .map_err(internal)?;
        let context = if slice.is_timed {
            let now = RestrictedExpression::new_datetime(now.to_string());
            Context::from_pairs([("now".to_owned(), now)]).map_err(internal)?
        } else {
            Context::empty()
        };
        let action = vocabulary()?.action(action)?.clone();
        let request = Request::new(principal.uid.clone(), action, uid, context, None).map_err(internal)?;
        let response = Authorizer::new().is_authorized(&request, &slice.set, &entities);
        let mut decision = Decision {
            allowed: response.decision() == cedar_policy::Decision::Allow,
            ..Decision::default()
        };
        for error in response.diagnostics().errors() {
            let AuthorizationError::PolicyEvaluationError(failed) = error;
            let rule = self.rules.get(failed.policy_id());
            let name = rule.map_or("a policy", |rule| &*rule.name);
            decision.errors.push(format!("{name}: {}", failed.inner()));
            // Cedar passes over what fails: a policy that forbids would then permit.
            if rule.is_none_or(|rule| rule.forbids) {
                decision.allowed = false;
                decision.policies.extend(rule.map(|rule| Arc::clone(&rule.name)));
            }
        }
        let reasons = response
            .diagnostics()
            .reason()
            .filter_map(|id| self.rules.get(id));
        let (decided, allowed) = (&mut decision.policies, decision.allowed);
        decided.extend(
            reasons
                .filter(|rule| rule.forbids != allowed)
                .map(|rule| Arc::clone(&rule.name)),
        );
        decision.policies.sort();
        Ok(decision)
    }
}

/// The entries that govern `layers` in `snapshot`. Not by their revisions: two chains, of which one
/// is refused in the end, may have different entries of one revision.
fn origins<'a>(snapshot: &'a Snapshot, layers: &'a [EnvironmentName]) -> impl Iterator<Item = Origin> + 'a {
    let entries = layers.iter().flat_map(|layer| snapshot.policies(layer));
    entries.filter_map(|entry| {
        let live = snapshot.state().entry(entry.id)?;
        Some(Origin {
            id: entry.id,
            meta: live.meta,
            value: live.value,
        })
    })
}

/// Whether `policy` can say anything about `action`. What is left out would be false by its scope
/// alone, so that leaving it out changes no decision.
fn matters(policy: &cedar_policy::Policy, action: Action, actions: &HashMap<&EntityUid, Action>) -> bool {
    let is = |uid: &EntityUid| actions.get(uid) == Some(&action);
    let by_action = match policy.action_constraint() {
        ActionConstraint::Any => true,
        ActionConstraint::Eq(uid) => is(&uid),
        ActionConstraint::In(uids) => uids.iter().any(is),
    };
    let asks = if action.is_of_members() {
        "Member"
    } else {
        "Workload"
    };
    let by_principal = match policy.principal_constraint() {
        PrincipalConstraint::Any | PrincipalConstraint::In(_) => true,
        PrincipalConstraint::Eq(uid) => uid.type_name().basename() == asks,
        PrincipalConstraint::Is(kind) | PrincipalConstraint::IsIn(kind, _) => kind.basename() == asks,
    };
    by_action && by_principal
}
