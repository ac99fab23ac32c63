//! The words policies are written in: owns the schema and how the types of this library are named
//! in it. It must not know policies.

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::OnceLock;

use cedar_policy::{EntityId, EntityTypeName, EntityUid, Schema, Validator};

use super::action::Action;
use super::error::PolicyError;
use crate::ambient::Timestamp;

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

/// A time as Cedar's `datetime` reads it.
pub(super) fn datetime(now: Timestamp) -> String {
    /// The end of the year 9999, behind which the text would have another form.
    const LAST: u64 = 253_402_300_799_999;
    let millis = now.0.min(LAST);
    let (days, rest) = (millis / 86_400_000, millis % 86_400_000);
    // Days since 0000-03-01, so that a leap day is the last of its year; 400 years at a time.
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
        rest / 3_600_000,
        rest / 60_000 % 60,
        rest / 1_000 % 60,
        rest % 1_000
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_cedar_reads_them() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000Z"),
            (1_709_210_096_123, "2024-02-29T12:34:56.123Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (u64::MAX, "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(datetime(Timestamp(millis)), text);
        }
    }

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
