//! Reading: owns lookup through environment layers and the opening of values.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::meta::value_context;
use super::{Entry, ReadError, Reading, Snapshot, Space};
use crate::commit::Sealed;
use crate::crypto::seal::Context;
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

    pub(super) fn space(&self, environment: &EnvironmentName) -> Option<&Space> {
        self.spaces.get(environment)
    }

    /// The environment's own entry at `path`, or the nearest inherited one.
    pub(super) fn nearest(
        &self,
        environment: &EnvironmentName,
        path: &EntryPath,
    ) -> Result<&Arc<Entry>, ReadError> {
        self.find(environment, path.as_str())?
            .ok_or_else(|| no_entry(environment, path))
    }

    /// As [`Self::entry`], by a path that nobody has checked: what is found has a name, so that
    /// the text is parsed only when nothing is.
    ///
    /// # Errors
    /// [`ReadError::NoEnvironment`].
    pub fn find(&self, environment: &EnvironmentName, path: &str) -> Result<Option<&Arc<Entry>>, ReadError> {
        if let Some(own) = self.space(environment).and_then(|space| space.entries.get(path)) {
            return Ok(Some(own));
        }
        let layers = self.layers(environment)?;
        let mut inherited = layers
            .iter()
            .skip(1)
            .filter_map(|layer| self.space(layer)?.entries.get(path));
        Ok(inherited.find(|entry| entry.kind.is_inherited()))
    }

    /// The entry an environment sees at `path`: its own, or an inherited config or flag.
    ///
    /// # Errors
    /// [`ReadError::NoEnvironment`], [`ReadError::NoEntry`].
    pub fn entry(&self, environment: &EnvironmentName, path: &EntryPath) -> Result<Arc<Entry>, ReadError> {
        self.nearest(environment, path).cloned()
    }

    /// Whether an environment itself has at `path` what this identity does not open.
    #[must_use]
    pub fn has_closed(&self, environment: &EnvironmentName, path: &EntryPath) -> bool {
        self.is_closed(environment, path)
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

    pub(super) fn under<'a>(
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
                            .map(|entry| (entry.path.clone(), Arc::clone(entry)))
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

    /// Opens a value; config is merged with its inherited layers and what this machine says, and has the
    /// defaults of its schema. What it refers to stays referred to: see [`Self::resolved`].
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn read(&self, environment: &EnvironmentName, path: &EntryPath) -> Result<Reading, ReadError> {
        let entry = self.nearest(environment, path)?;
        if entry.kind == Kind::Config {
            return self.read_config(environment, path, entry);
        }
        Ok(Reading {
            value: self.own_value(entry)?,
            layers: vec![entry.environment.clone()],
            entry: Arc::clone(entry),
        })
    }

    /// Opens a secret; refuses entries of another kind.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn secret(&self, environment: &EnvironmentName, path: &EntryPath) -> Result<Secret, ReadError> {
        let entry = self.nearest(environment, path)?;
        if entry.kind != Kind::Secret {
            return Err(ReadError::Kind {
                environment: environment.clone(),
                path: path.clone(),
                found: entry.kind,
                wanted: Kind::Secret,
            });
        }
        self.own_value(entry)
    }

    /// Opens exactly this entry's own value, without layers, and lends it to `f`. An entry of an
    /// earlier snapshot of the same store has the value of its version.
    ///
    /// # Errors
    /// [`ReadError::Damaged`].
    pub fn expose<R>(&self, entry: &Entry, f: impl FnOnce(&[u8]) -> R) -> Result<R, ReadError> {
        Ok(self.own_value(entry)?.expose(f))
    }

    /// Whether the entry's own value equals `value`, in constant time.
    pub(crate) fn is_value(&self, entry: &Entry, value: &Secret) -> Result<bool, ReadError> {
        Ok(entry.size == value.len() && self.own_value(entry)?.same_as(value))
    }

    /// Opens exactly this entry's own value, without layers, of the version it describes.
    pub(crate) fn own_value(&self, entry: &Entry) -> Result<Secret, ReadError> {
        let context = value_context(
            self.state.store(),
            entry.sealed_in,
            entry.id,
            entry.version,
            entry.kind,
        );
        self.open_as(entry, &entry.sealed, &context)
    }

    /// Opens one of the records of `entry`.
    pub(super) fn open_as(
        &self,
        entry: &Entry,
        record: &Sealed,
        context: &Context,
    ) -> Result<Secret, ReadError> {
        record
            .open(&self.keyring, context)
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
