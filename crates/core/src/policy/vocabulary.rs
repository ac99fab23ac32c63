//! The words policies are written in: owns the schema and how the types of this library are named
//! in it. It must not know policies.

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::OnceLock;

use cedar_policy::{EntityId, EntityTypeName, EntityUid, Schema, Validator};

use super::action::Action;
use super::error::PolicyError;

/// The schema, as it is written.
pub const SCHEMA: &str = include_str!("../../../../policies/strongroom.cedarschema");
/// What governs an environment without policies.
pub const DEFAULT: &str = include_str!("../../../../policies/default.cedar");
/// What is part of every set.
pub const ALWAYS: &str = include_str!("../../../../policies/always.cedar");

/// The schema and the names in it, parsed once.
pub(super) struct Vocabulary {
    pub(super) validator: Validator,
    environment: EntityTypeName,
    path: EntityTypeName,
    entry: EntityTypeName,
    workload: EntityTypeName,
    member: EntityTypeName,
    role: EntityTypeName,
    actions: Vec<EntityUid>,
}

/// The one vocabulary of this process.
pub(super) fn vocabulary() -> Result<&'static Vocabulary, PolicyError> {
    static VOCABULARY: OnceLock<Result<Vocabulary, PolicyError>> = OnceLock::new();
    VOCABULARY
        .get_or_init(Vocabulary::make)
        .as_ref()
        .map_err(Clone::clone)
}

impl Vocabulary {
    fn make() -> Result<Self, PolicyError> {
        let (schema, _) = Schema::from_cedarschema_str(SCHEMA).map_err(internal)?;
        let name = |text: &str| EntityTypeName::from_str(text).map_err(internal);
        let action = name("Action")?;
        Ok(Self {
            validator: Validator::new(schema),
            environment: name("Environment")?,
            path: name("Path")?,
            entry: name("Entry")?,
            workload: name("Workload")?,
            member: name("Member")?,
            role: name("Role")?,
            actions: Action::ALL
                .iter()
                .map(|each| uid(&action, each.as_str()))
                .collect(),
        })
    }

    pub(super) fn environment(&self, name: &str) -> EntityUid {
        uid(&self.environment, name)
    }

    pub(super) fn path(&self, environment: &str, path: &str) -> EntityUid {
        uid(&self.path, &format!("{environment}/{path}"))
    }

    pub(super) fn entry(&self, environment: &str, path: &str) -> EntityUid {
        uid(&self.entry, &format!("{environment}/{path}"))
    }

    pub(super) fn workload(&self) -> EntityUid {
        uid(&self.workload, "self")
    }

    pub(super) fn member(&self, name: &str) -> EntityUid {
        uid(&self.member, name)
    }

    pub(super) fn role(&self, word: &str) -> EntityUid {
        uid(&self.role, word)
    }

    pub(super) fn action(&self, action: Action) -> Result<&EntityUid, PolicyError> {
        self.actions
            .get(action.index())
            .ok_or_else(|| internal("an action without a name"))
    }

    /// The actions by their names in policies.
    pub(super) fn actions(&self) -> HashMap<&EntityUid, Action> {
        self.actions.iter().zip(Action::ALL).collect()
    }
}

fn uid(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}

pub(super) fn internal(error: impl ToString) -> PolicyError {
    PolicyError::Internal(error.to_string())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_has_every_action_and_no_other() {
        let words = vocabulary().unwrap();
        let known = words.actions();
        let mut declared: Vec<_> = words.validator.schema().actions().collect();
        declared.sort();
        let mut named: Vec<_> = known.keys().copied().collect();
        named.sort();
        assert_eq!(declared, named);
    }
}
