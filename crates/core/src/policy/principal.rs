//! Who asks: owns how a workload or a member is described to policies, and the identity that
//! decisions are remembered under. It must not know policies.

use std::collections::{HashMap, HashSet};

use cedar_policy::{Entities, Entity, EntityUid, RestrictedExpression};

use super::error::PolicyError;
use super::vocabulary::{internal, vocabulary};
use crate::commit::Role;
use crate::id::Hash;
use crate::name::MemberName;
use crate::workload::Workload;

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub enum Principal<'a> {
    /// A process at the socket.
    Workload(&'a Workload),
    /// Whoever asks through a listener of that name, where no kernel says who it is.
    Guest {
        /// The listener's name.
        listener: &'a str,
    },
    /// The author of a commit.
    Member {
        /// Its name.
        name: &'a MemberName,
        /// Its role.
        role: Role,
    },
}

/// A principal as policies see it: made once, asked for often.
#[derive(Clone, Debug)]
pub struct Prepared {
    pub(super) uid: EntityUid,
    pub(super) entities: Entities,
    pub(super) is_member: bool,
    pub(super) identity: Hash,
}

impl Prepared {
    /// Describes `principal`.
    ///
    /// # Errors
    /// [`PolicyError::Internal`].
    pub fn new(principal: Principal<'_>) -> Result<Self, PolicyError> {
        let mut attributes = Attributes::default();
        match principal {
            Principal::Workload(workload) => Self::workload(workload, attributes),
            // a workload without what every process has: a policy that asks for its user fails, so that what
            // permits does not, and what forbids does
            Principal::Guest { listener } => {
                attributes.text("listener", listener);
                attributes.finish(vocabulary()?.workload(), HashSet::new(), HashMap::new(), false)
            }
            Principal::Member { name, role } => {
                let words = vocabulary()?;
                attributes.text("name", name.as_str());
                attributes.text("role", role.as_str());
                let uid = words.member(name.as_str());
                let parents = HashSet::from([words.role(role.as_str())]);
                attributes.finish(uid, parents, HashMap::new(), true)
            }
        }
    }

    fn workload(workload: &Workload, mut attributes: Attributes) -> Result<Self, PolicyError> {
        let Workload { kernel, engine } = workload;
        attributes.number("uid", kernel.uid);
        attributes.number("gid", kernel.gid);
        attributes.numbers("groups", &kernel.groups);
        if let Some(executable) = &kernel.executable {
            attributes.text("executable", &executable.path);
            attributes.text_if("executableSha256", executable.sha256.as_deref());
        }
        attributes.text_if("cgroup", kernel.cgroup.as_deref());
        if let Some(container) = &kernel.container {
            attributes.text("container", &container.id);
            attributes.text("runtime", container.runtime.as_str());
            attributes.text_if("pod", container.pod.as_deref());
            if let Some(user) = container.user {
                attributes.number("containerUser", user);
            }
        }
        attributes.text_if("unit", kernel.unit.as_deref());
        attributes.text_if("userUnit", kernel.user_unit.as_deref());
        let mut said = Attributes::default();
        let mut tags = HashMap::new();
        if let Some(engine) = engine {
            said.text_if("name", engine.name.as_deref());
            said.text_if("image", engine.image.as_deref());
            said.text_if("composeProject", engine.compose_project.as_deref());
            said.text_if("composeService", engine.compose_service.as_deref());
            for (key, value) in &engine.labels {
                attributes.note("tag", key, value);
                tags.insert(key.clone(), RestrictedExpression::new_string(value.clone()));
            }
        }
        attributes.record("engine", said)?;
        attributes.finish(vocabulary()?.workload(), HashSet::new(), tags, false)
    }

    /// The same for all that are described alike, and so are decided alike.
    #[must_use]
    pub fn identity(&self) -> Hash {
        self.identity
    }

    /// True when both are described alike, and so are decided alike.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        self.identity == other.identity
    }
}

/// Attributes on their way to an entity, and the canonical bytes of all of them.
#[derive(Default)]
struct Attributes {
    values: HashMap<String, RestrictedExpression>,
    bytes: Vec<u8>,
}

impl Attributes {
    /// Adds to the canonical bytes: each part behind its length, so that no two sets of
    /// attributes have the same.
    fn note(&mut self, what: &str, name: &str, value: &str) {
        for part in [what, name, value] {
            self.bytes.extend_from_slice(&part.len().to_be_bytes());
            self.bytes.extend_from_slice(part.as_bytes());
        }
    }

    fn text(&mut self, name: &str, value: &str) {
        self.note("text", name, value);
        self.values.insert(
            name.to_owned(),
            RestrictedExpression::new_string(value.to_owned()),
        );
    }

    fn text_if(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(name, value);
        }
    }

    fn number(&mut self, name: &str, value: u32) {
        self.note("number", name, &value.to_string());
        self.values
            .insert(name.to_owned(), RestrictedExpression::new_long(i64::from(value)));
    }

    fn numbers(&mut self, name: &str, values: &[u32]) {
        let mut sorted = values.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        for value in &sorted {
            self.note("numbers", name, &value.to_string());
        }
        let values = sorted
            .into_iter()
            .map(|value| RestrictedExpression::new_long(i64::from(value)));
        self.values
            .insert(name.to_owned(), RestrictedExpression::new_set(values));
    }

    fn record(&mut self, name: &str, inner: Self) -> Result<(), PolicyError> {
        self.note("record", name, "");
        self.bytes.extend_from_slice(&inner.bytes.len().to_be_bytes());
        self.bytes.extend_from_slice(&inner.bytes);
        let record = RestrictedExpression::new_record(inner.values).map_err(internal)?;
        self.values.insert(name.to_owned(), record);
        Ok(())
    }

    fn finish(
        self,
        uid: EntityUid,
        parents: HashSet<EntityUid>,
        tags: HashMap<String, RestrictedExpression>,
        is_member: bool,
    ) -> Result<Prepared, PolicyError> {
        let entity = Entity::new_with_tags(uid.clone(), self.values, parents, tags).map_err(internal)?;
        Ok(Prepared {
            uid,
            entities: Entities::from_entities([entity], None).map_err(internal)?,
            is_member,
            identity: Hash::of_parts(&[if is_member { b"m" } else { b"w" }, &self.bytes]),
        })
    }
}
