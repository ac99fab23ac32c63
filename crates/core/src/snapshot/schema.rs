//! Which schema governs which config document, and what is wrong with documents by it. It must not
//! know who asks: a commit, a sidecar before it serves, or somebody who checks.

use std::sync::Arc;

use super::{Entry, ReadError, Snapshot};
use crate::config::{self, Fault, Format, Key, Schema, SchemaError};
use crate::kind::Kind;
use crate::name::{EntryPath, EnvironmentName};

/// The schema of the config at `web` lies at `schema/web`.
const SCHEMAS: &str = "schema";

/// One thing that is wrong with a document, or with the schema itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfit {
    /// The environment whose document it is.
    pub environment: EnvironmentName,
    /// The document, or the schema.
    pub path: EntryPath,
    /// The key; the document itself where it has no names.
    pub key: Key,
    /// The environment whose document says so; `None` where none says anything of the key.
    pub layer: Option<EnvironmentName>,
    /// What is wrong, as in "must be an integer"; never with a value.
    pub rule: String,
    /// How to mend it.
    pub mend: String,
}

impl std::fmt::Display for Unfit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            environment,
            path,
            key,
            layer,
            rule,
            mend,
        } = self;
        write!(f, "{path} in {environment}: `{key}` {rule}")?;
        match layer {
            Some(layer) if layer != environment => write!(f, " (set in {layer})")?,
            Some(_) | None => {}
        }
        write!(f, ": {mend}")
    }
}

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
    ) -> Result<Option<Result<Schema, SchemaError>>, ReadError> {
        let Some(entry) = self.schema_entry(environment, path) else {
            return Ok(None);
        };
        Ok(Some(self.own_value(entry)?.expose(Schema::parse)))
    }

    /// Whether the environment itself has a layer of the config at `path`, or a schema for it.
    pub(crate) fn says_of_config(&self, environment: &EnvironmentName, path: &EntryPath) -> bool {
        let Some(space) = self.spaces.get(environment) else {
            return false;
        };
        let at = format!("{SCHEMAS}/{path}");
        space.entries.get(path).is_some() || space.entries.get(at.as_str()).is_some()
    }

    /// Whether there is a layer or a schema that this identity does not open: what it sees is not the
    /// document then.
    fn has_closed_part(&self, environment: &EnvironmentName, path: &EntryPath) -> Result<bool, ReadError> {
        let Ok(schema) = EntryPath::new(&format!("{SCHEMAS}/{path}")) else {
            return Ok(false);
        };
        let closed = |layer: &EnvironmentName, path: &EntryPath| {
            let info = self.directory.environments.get(layer);
            let id = info.map(|info| self.directory.entry_id(info.id, path));
            id.is_some_and(|id| self.state.entry(id).is_some()) && self.own(layer, path).is_none()
        };
        let layers = self.layers(environment)?;
        Ok(layers
            .iter()
            .any(|layer| closed(layer, path) || closed(layer, &schema)))
    }

    /// What is wrong with the config at `path`; nothing where no schema governs it, and where this identity
    /// does not open all of it.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn check_config(
        &self,
        environment: &EnvironmentName,
        path: &EntryPath,
    ) -> Result<Vec<Unfit>, ReadError> {
        let config = self.find(environment, path.as_str())?;
        let config = config.filter(|entry| entry.kind == Kind::Config);
        let schema = self.schema_entry(environment, path);
        let (Some(_), Some(entry)) = (config, schema) else {
            return Ok(Vec::new());
        };
        if self.has_closed_part(environment, path)? {
            return Ok(Vec::new());
        }
        let unfit = |path: &EntryPath, layer: Option<&EnvironmentName>, fault: Fault| Unfit {
            environment: environment.clone(),
            path: path.clone(),
            key: fault.key,
            layer: layer.cloned(),
            rule: fault.rule,
            mend: fault.mend,
        };
        let schema = match self.own_value(entry)?.expose(Schema::parse) {
            Ok(schema) => schema,
            Err(error) => {
                let fault = Fault {
                    key: Key::default(),
                    rule: error.to_string(),
                    mend: "put a schema that is valid".to_owned(),
                };
                return Ok(vec![unfit(&entry.path, Some(&entry.environment), fault)]);
            }
        };
        let layers = self.config_layers(environment, path)?;
        if layers
            .first()
            .is_some_and(|(entry, _)| entry.format == Format::Text)
        {
            let fault = Fault {
                key: Key::default(),
                rule: "is text, and a schema governs it".to_owned(),
                mend: "put it as toml or json".to_owned(),
            };
            return Ok(vec![unfit(path, Some(environment), fault)]);
        }
        // As it is delivered, with all that may be wrong on the way.
        if let Err(ReadError::Document { problem, .. }) = self.read(environment, path) {
            let fault = Fault {
                key: Key::default(),
                rule: format!("cannot be delivered: {problem}"),
                mend: "mend the layers".to_owned(),
            };
            return Ok(vec![unfit(path, Some(environment), fault)]);
        }
        let format = layers.first().map_or(Format::Json, |(entry, _)| entry.format);
        let mut merged = self.merged_values(environment, path)?;
        let faults = schema.fill_and_check(format, &mut merged);
        if faults.is_empty() {
            return Ok(Vec::new());
        }
        let documents = self.config_values(environment, path)?;
        let of = |fault: Fault| {
            let says = |(_, document): &&(Arc<Entry>, serde_json::Value)| fault.key.find(document).is_some();
            let layer = documents
                .iter()
                .find(says)
                .map(|(entry, _)| entry.environment.clone());
            unfit(path, layer.as_ref(), fault)
        };
        Ok(faults.into_iter().map(of).collect())
    }

    /// What is wrong with the documents of `environment` that have a schema, without those that are
    /// as `before` had them with all their layers and the schema.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn unfit(
        &self,
        environment: &EnvironmentName,
        before: Option<&Self>,
    ) -> Result<Vec<Unfit>, ReadError> {
        let mut unfit = Vec::new();
        for path in self.governed(environment)? {
            let same = before.is_some_and(|before| {
                let parts = self.parts(environment, &path);
                parts == before.parts(environment, &path)
            });
            if !same {
                unfit.extend(self.check_config(environment, &path)?);
            }
        }
        Ok(unfit)
    }

    /// The paths of the documents of `environment` that have a schema, in order.
    ///
    /// # Errors
    /// [`ReadError::NoEnvironment`].
    pub fn governed(&self, environment: &EnvironmentName) -> Result<Vec<EntryPath>, ReadError> {
        let Ok(schemas) = EntryPath::new(SCHEMAS) else {
            return Ok(Vec::new());
        };
        let mut governed = std::collections::BTreeSet::new();
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

    /// What a document is made of: schema and layers, each by the revision that made it.
    fn parts(
        &self,
        environment: &EnvironmentName,
        path: &EntryPath,
    ) -> Option<Vec<(crate::id::EntryId, crate::id::Revision)>> {
        let layers = self.layers(environment).ok()?;
        let own = layers
            .iter()
            .filter_map(|layer| self.spaces.get(layer)?.entries.get(path));
        let schema = self.schema_entry(environment, path);
        let of = |entry: &Arc<Entry>| (entry.id, entry.revision);
        Some(schema.into_iter().chain(own).map(of).collect())
    }

    /// The merged document with the defaults of its schema. What cannot be filled is delivered as it is: who
    /// serves it has checked it by the same schema.
    pub(super) fn filled(
        &self,
        environment: &EnvironmentName,
        path: &EntryPath,
        (format, document): (Format, Vec<u8>),
    ) -> Result<Vec<u8>, ReadError> {
        let Some(entry) = self.schema_entry(environment, path) else {
            return Ok(document);
        };
        let schema = self.own_value(entry)?;
        let filled = schema.expose(|schema| config::with_defaults(format, &document, schema));
        Ok(filled.ok().flatten().unwrap_or(document))
    }

    /// The merged document as JSON has it.
    fn merged_values(
        &self,
        environment: &EnvironmentName,
        path: &EntryPath,
    ) -> Result<serde_json::Value, ReadError> {
        let layers = self.config_layers(environment, path)?;
        super::read::with_documents(&layers, config::merge_values).map_err(|problem| ReadError::Document {
            environment: environment.clone(),
            path: path.clone(),
            problem,
        })
    }
}
