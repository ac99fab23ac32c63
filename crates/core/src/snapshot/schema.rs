//! Which schema governs which config document, and compiling it once. It must not know what is wrong with
//! a document.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Entry, ReadError, Snapshot};
use crate::config::{Schema, SchemaError};
use crate::kind::Kind;
use crate::name::{EntryPath, EnvironmentName};

/// The schema of the config at `web` lies at `schema/web`.
pub(super) const SCHEMAS: &str = "schema";

/// The path of the config that a change of an entry may make another one, or unfit: its own, or that of
/// the document which a schema governs.
#[must_use]
pub fn governed_by(kind: Kind, path: &EntryPath) -> Option<EntryPath> {
    match kind {
        Kind::Config => Some(path.clone()),
        Kind::Schema => {
            let below = path.as_str().strip_prefix(SCHEMAS)?.strip_prefix('/')?;
            EntryPath::new(below).ok()
        }
        Kind::Secret | Kind::Flag | Kind::Policy => None,
    }
}

impl Snapshot {
    /// The schema entry that governs the config at `path`: that of the environment, else the nearest
    /// parent's.
    #[must_use]
    pub fn schema_entry(&self, environment: &EnvironmentName, path: &EntryPath) -> Option<&Arc<Entry>> {
        let at = format!("{SCHEMAS}/{path}");
        let layers = self.layers(environment).ok()?;
        layers
            .iter()
            .filter_map(|layer| self.spaces.get(layer)?.entries.get(at.as_str()))
            .find(|entry| entry.kind == Kind::Schema)
    }

    /// The schema that governs the config at `path`, compiled; an error inside where it is not valid.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn schema(
        &self,
        environment: &EnvironmentName,
        path: &EntryPath,
    ) -> Result<Option<Result<Arc<Schema>, SchemaError>>, ReadError> {
        let entry = self.schema_entry(environment, path);
        entry.map(|entry| self.compile(entry)).transpose()
    }

    /// The schema that `entry` is; compiled once, for all snapshots that have the entry.
    pub(super) fn compile(&self, entry: &Entry) -> Result<Result<Arc<Schema>, SchemaError>, ReadError> {
        if let Some(compiled) = entry.schema.get() {
            return Ok(Ok(Arc::clone(compiled)));
        }
        let parsed = self.own_value(entry)?.expose(Schema::parse);
        Ok(parsed.map(|schema| Arc::clone(entry.schema.get_or_init(|| Arc::new(schema)))))
    }

    /// Whether the environment itself has a layer of the config at `path`, or a schema for it.
    pub(crate) fn says_of_config(&self, environment: &EnvironmentName, path: &EntryPath) -> bool {
        let Some(space) = self.spaces.get(environment) else {
            return false;
        };
        let at = format!("{SCHEMAS}/{path}");
        space.entries.get(path).is_some() || space.entries.get(at.as_str()).is_some()
    }

    /// The paths of the documents of `environment` that have a schema, in order.
    ///
    /// # Errors
    /// [`ReadError::NoEnvironment`].
    pub fn governed(&self, environment: &EnvironmentName) -> Result<Vec<EntryPath>, ReadError> {
        let Ok(schemas) = EntryPath::new(SCHEMAS) else {
            return Ok(Vec::new());
        };
        let mut governed = BTreeSet::new();
        for layer in self.layers(environment)? {
            for entry in self.under(&layer, Some(&schemas)) {
                let path = governed_by(entry.kind, &entry.path);
                let Some(path) = path.filter(|_| entry.kind == Kind::Schema) else {
                    continue;
                };
                let config = self.find(environment, path.as_str())?;
                if config.is_some_and(|entry| entry.kind == Kind::Config) {
                    governed.insert(path);
                }
            }
        }
        Ok(governed.into_iter().collect())
    }
}
