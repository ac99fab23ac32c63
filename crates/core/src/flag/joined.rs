//! Flags of several sets in one file of flagd, which has room for one: owns keeping their rules and metadata apart.
//! It must not know where flags lie.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::set::Set;

const REFERENCE: &str = "$ref";

/// The file so far.
#[derive(Debug, Default)]
pub struct Joined {
    flags: Map<String, Value>,
    evaluators: Map<String, Value>,
    /// The names that evaluators have here, by the path of their set.
    names: BTreeMap<String, BTreeMap<String, String>>,
}

impl Joined {
    /// Adds a definition, with the set that it is of and the path of that. What is no definition, or refers to an
    /// evaluator that its set has not, is left out: it could not be evaluated either, and another set may have one
    /// of that name.
    pub fn add(&mut self, key: &str, definition: &[u8], set: Option<(&str, &Set)>) {
        let Ok(Value::Object(mut definition)) = serde_json::from_slice(definition) else {
            return;
        };
        if let Some(rule) = definition.get_mut("targeting") {
            let none = BTreeMap::new();
            let names = set.map_or(&none, |(path, set)| self.names_of(path, set));
            if !rename(rule, names) {
                return;
            }
        }
        if let Some((_, set)) = set
            && !set.metadata().is_empty()
        {
            let mut metadata = set.metadata().clone();
            if let Some(Value::Object(own)) = definition.remove("metadata") {
                metadata.extend(own);
            }
            definition.insert("metadata".to_owned(), Value::Object(metadata));
        }
        self.flags.insert(key.to_owned(), Value::Object(definition));
    }

    /// What the evaluators of a set are called here: as in the set where no other has the name.
    fn names_of(&mut self, path: &str, set: &Set) -> &BTreeMap<String, String> {
        let Self {
            evaluators, names, ..
        } = self;
        names.entry(path.to_owned()).or_insert_with(|| {
            let rules = set.evaluators().iter();
            let named = rules.map(|(name, rule)| {
                let mut here = name.clone();
                while evaluators.contains_key(&here) {
                    here = format!("{path}/{here}");
                }
                evaluators.insert(here.clone(), rule.clone());
                (name.clone(), here)
            });
            named.collect()
        })
    }

    /// The file.
    #[must_use]
    pub fn into_json(self) -> Value {
        let mut out = Map::new();
        out.insert("flags".to_owned(), Value::Object(self.flags));
        if !self.evaluators.is_empty() {
            out.insert("$evaluators".to_owned(), Value::Object(self.evaluators));
        }
        Value::Object(out)
    }
}

/// Gives references their new names; false where one of them has none.
fn rename(rule: &mut Value, names: &BTreeMap<String, String>) -> bool {
    match rule {
        Value::Object(members) if members.len() == 1 && members.contains_key(REFERENCE) => {
            let name = members.get_mut(REFERENCE);
            let here = name
                .as_deref()
                .and_then(Value::as_str)
                .and_then(|name| names.get(name));
            let (Some(name), Some(here)) = (name, here) else {
                return false;
            };
            *name = here.as_str().into();
            true
        }
        Value::Object(members) => members.values_mut().all(|rule| rename(rule, names)),
        Value::Array(items) => items.iter_mut().all(|rule| rename(rule, names)),
        _ => true,
    }
}
