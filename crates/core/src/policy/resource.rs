//! What is asked for: owns how an entry is described to policies. It must not know policies.

use std::collections::{BTreeMap, HashMap, HashSet};

use cedar_policy::{Entity, EntityUid, RestrictedExpression};

use super::error::PolicyError;
use super::vocabulary::{internal, vocabulary};
use crate::kind::Kind;
use crate::name::{CompartmentName, EntryPath, EnvironmentName};
use crate::snapshot::Entry;

/// An entry that is there, or one that a commit would make.
#[derive(Clone, Copy, Debug)]
pub struct Resource<'a> {
    /// Its path.
    pub path: &'a EntryPath,
    /// What it is.
    pub kind: Kind,
    /// The compartment it is sealed in.
    pub compartment: &'a CompartmentName,
    /// Its labels.
    pub labels: &'a BTreeMap<String, String>,
}

impl<'a> From<&'a Entry> for Resource<'a> {
    fn from(entry: &'a Entry) -> Self {
        Self {
            path: &entry.path,
            kind: entry.kind,
            compartment: &entry.compartment,
            labels: &entry.labels,
        }
    }
}

impl Resource<'_> {
    /// The entry as the first of `layers` sees it; the others are what it inherits from.
    pub(super) fn entity(&self, layers: &[EnvironmentName]) -> Result<(EntityUid, Entity), PolicyError> {
        let words = vocabulary()?;
        let path = self.path.as_str();
        let environment = layers.first().map_or("", EnvironmentName::as_str);
        // All ancestors are parents, so that the paths between need not exist.
        let mut parents = HashSet::with_capacity(layers.len() * 4);
        for layer in layers {
            let layer = layer.as_str();
            parents.insert(words.environment(layer));
            parents.insert(words.path(layer, path));
            for (at, _) in path.match_indices('/') {
                parents.insert(words.path(layer, path.get(..at).unwrap_or_default()));
            }
        }
        let text = |text: &str| RestrictedExpression::new_string(text.to_owned());
        let attributes = HashMap::from([
            ("environment".to_owned(), text(environment)),
            ("path".to_owned(), text(path)),
            ("kind".to_owned(), text(self.kind.as_str())),
            ("compartment".to_owned(), text(self.compartment.as_str())),
        ]);
        let tags: HashMap<_, _> = self
            .labels
            .iter()
            .map(|(key, value)| (key.clone(), text(value)))
            .collect();
        let uid = words.entry(environment, path);
        let entity = Entity::new_with_tags(uid.clone(), attributes, parents, tags).map_err(internal)?;
        Ok((uid, entity))
    }
}
