//! Reading: owns lookup through environment layers and the opening of values.

use std::collections::BTreeMap;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::meta::value_context;
use super::{Entry, Node, ReadError, Reading, Snapshot, Space};
use crate::config;
use crate::kind::Kind;
use crate::name::{EntryPath, EnvironmentName};
use crate::secret::Secret;

impl Snapshot {
    /// `environment` and its ancestors, nearest first.
    ///
    /// # Errors
    /// [`ReadError::NoEnvironment`].
    pub fn layers(&self, environment: &EnvironmentName) -> Result<Vec<EnvironmentName>, ReadError> {
        if self.directory.environments.contains_key(environment) {
            Ok(self.directory.layers(environment))
        } else {
            Err(no_environment(environment))
        }
    }

    fn space(&self, environment: &EnvironmentName) -> Option<&Space> {
        self.spaces.get(environment)
    }

    /// The environment's own entry at `path`, or the nearest inherited one.
    fn node(&self, environment: &EnvironmentName, path: &EntryPath) -> Result<&Node, ReadError> {
        if let Some(own) = self.space(environment).and_then(|space| space.entries.get(path)) {
            return Ok(own);
        }
        let layers = self.layers(environment)?;
        layers
            .iter()
            .skip(1)
            .filter_map(|layer| self.space(layer)?.entries.get(path))
            .find(|node| node.entry.kind.is_inherited())
            .ok_or_else(|| no_entry(environment, path))
    }

    /// The entry an environment sees at `path`: its own, or an inherited config or flag.
    ///
    /// # Errors
    /// [`ReadError::NoEnvironment`], [`ReadError::NoEntry`].
    pub fn entry(&self, environment: &EnvironmentName, path: &EntryPath) -> Result<Arc<Entry>, ReadError> {
        self.node(environment, path).map(|node| Arc::clone(&node.entry))
    }

    /// All entries an environment sees, by path, optionally only those at or under `prefix`.
    ///
    /// # Errors
    /// [`ReadError::NoEnvironment`].
    pub fn entries(
        &self,
        environment: &EnvironmentName,
        prefix: Option<&EntryPath>,
    ) -> Result<Vec<Arc<Entry>>, ReadError> {
        let layers = self.layers(environment)?;
        if let [only] = layers.as_slice() {
            return Ok(self.under(only, prefix).cloned().collect());
        }
        let mut seen: BTreeMap<&EntryPath, &Arc<Entry>> = BTreeMap::new();
        for (depth, layer) in layers.iter().enumerate() {
            for entry in self.under(layer, prefix) {
                if depth == 0 || entry.kind.is_inherited() {
                    seen.entry(&entry.path).or_insert(entry);
                }
            }
        }
        Ok(seen.into_values().cloned().collect())
    }

    fn under<'a>(
        &'a self,
        environment: &EnvironmentName,
        prefix: Option<&'a EntryPath>,
    ) -> impl Iterator<Item = &'a Arc<Entry>> {
        let from = prefix.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Included);
        self.space(environment)
            .into_iter()
            .flat_map(move |space| {
                let entries = || space.entries.values();
                space
                    .order
                    .get_or_init(|| {
                        entries()
                            .map(|node| (node.entry.path.clone(), Arc::clone(&node.entry)))
                            .collect()
                    })
                    .range::<_, EntryPath>((from, std::ops::Bound::Unbounded))
            })
            .map(|(_, entry)| entry)
            .take_while(move |entry| {
                prefix.is_none_or(|prefix| entry.path.as_str().starts_with(prefix.as_str()))
            })
            .filter(move |entry| prefix.is_none_or(|prefix| entry.path.is_under(prefix)))
    }

    /// Opens a value; config is merged with its inherited layers.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn read(&self, environment: &EnvironmentName, path: &EntryPath) -> Result<Reading, ReadError> {
        let node = self.node(environment, path)?;
        if node.entry.kind == Kind::Config {
            return self.read_config(environment, path, node);
        }
        Ok(Reading {
            value: self.open(node)?,
            layers: vec![node.entry.environment.clone()],
            entry: Arc::clone(&node.entry),
        })
    }

    fn read_config(
        &self,
        environment: &EnvironmentName,
        path: &EntryPath,
        nearest: &Node,
    ) -> Result<Reading, ReadError> {
        let mut nodes: Vec<_> = self
            .layers(environment)?
            .iter()
            .filter_map(|layer| self.space(layer)?.entries.get(path))
            .filter(|node| node.entry.kind == Kind::Config)
            .collect();
        nodes.truncate(config::merged_layers(nodes.iter().map(|node| node.entry.format)));
        let copy = |node: &&Node| {
            let bytes = self.open(node)?.expose(|bytes| Zeroizing::new(bytes.to_vec()));
            Ok((node.entry.format, bytes))
        };
        let opened = nodes.iter().map(copy).collect::<Result<Vec<_>, _>>()?;
        let documents: Vec<_> = opened
            .iter()
            .map(|(format, bytes)| (*format, bytes.as_slice()))
            .collect();
        let layers = nodes.iter().map(|node| node.entry.environment.clone()).collect();
        let value = config::merge(&documents).map_err(|problem| ReadError::Document {
            environment: environment.clone(),
            path: path.clone(),
            problem,
        })?;
        Ok(Reading {
            entry: Arc::clone(&nearest.entry),
            value: Secret::new(value),
            layers,
        })
    }

    /// Opens a secret; refuses entries of another kind.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn secret(&self, environment: &EnvironmentName, path: &EntryPath) -> Result<Secret, ReadError> {
        let node = self.node(environment, path)?;
        if node.entry.kind != Kind::Secret {
            return Err(ReadError::Kind {
                environment: environment.clone(),
                path: path.clone(),
                found: node.entry.kind,
                wanted: Kind::Secret,
            });
        }
        self.open(node)
    }

    /// A config document, merged and deserialised.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn config<T: serde::de::DeserializeOwned>(
        &self,
        environment: &EnvironmentName,
        path: &EntryPath,
    ) -> Result<T, ReadError> {
        let reading = self.read(environment, path)?;
        let document = |problem| ReadError::Document {
            environment: environment.clone(),
            path: path.clone(),
            problem,
        };
        if reading.entry.kind != Kind::Config {
            return Err(ReadError::Kind {
                environment: environment.clone(),
                path: path.clone(),
                found: reading.entry.kind,
                wanted: Kind::Config,
            });
        }
        reading
            .value
            .expose(|bytes| config::read(reading.entry.format, bytes))
            .map_err(document)
    }

    /// Opens exactly this entry's own value, without layers.
    pub(crate) fn own_value(&self, entry: &Entry) -> Result<Secret, ReadError> {
        self.open(self.node_of(entry)?)
    }

    /// Opens exactly this entry's own value, without layers, and lends it to `f`.
    ///
    /// # Errors
    /// [`ReadError::Damaged`], [`ReadError::NoEntry`] when the entry is not of this snapshot.
    pub fn expose<R>(&self, entry: &Entry, f: impl FnOnce(&[u8]) -> R) -> Result<R, ReadError> {
        Ok(self.open(self.node_of(entry)?)?.expose(f))
    }

    /// Whether the entry's own value equals `value`, in constant time.
    pub(crate) fn is_value(&self, entry: &Entry, value: &Secret) -> Result<bool, ReadError> {
        let node = self.node_of(entry)?;
        Ok(node.entry.size == value.len() && self.open(node)?.same_as(value))
    }

    fn node_of(&self, entry: &Entry) -> Result<&Node, ReadError> {
        self.space(&entry.environment)
            .and_then(|space| space.entries.get(&entry.path))
            .filter(|node| node.entry.revision == entry.revision)
            .ok_or_else(|| no_entry(&entry.environment, &entry.path))
    }

    fn open(&self, node: &Node) -> Result<Secret, ReadError> {
        let entry = &node.entry;
        let context = value_context(
            self.state.store(),
            entry.sealed_in,
            entry.id,
            entry.version,
            entry.kind,
        );
        node.sealed
            .open(&self.keyring, &context)
            .map_err(|_| ReadError::Damaged {
                environment: entry.environment.clone(),
                path: entry.path.clone(),
            })
    }
}

fn no_environment(environment: &EnvironmentName) -> ReadError {
    ReadError::NoEnvironment {
        environment: environment.clone(),
    }
}

fn no_entry(environment: &EnvironmentName, path: &EntryPath) -> ReadError {
    ReadError::NoEntry {
        environment: environment.clone(),
        path: path.clone(),
    }
}
