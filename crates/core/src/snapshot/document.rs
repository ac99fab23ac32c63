//! Config documents: owns bringing their layers together, with what this machine says, the defaults of
//! their schema, and secrets in the place of references. It must not know who asks.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::{Entry, ReadError, Reading, Snapshot};
use crate::config::{self, DocumentError, Format, Reference};
use crate::kind::Kind;
use crate::name::{EntryPath, EnvironmentName};
use crate::secret::Secret;

impl Snapshot {
    pub(super) fn read_config(
        &self,
        environment: &EnvironmentName,
        path: &EntryPath,
        nearest: &Arc<Entry>,
    ) -> Result<Reading, ReadError> {
        let opened = self.config_layers(environment, path)?;
        let value = self.with_documents(environment, path, &opened, |documents| {
            config::merge(nearest.format, documents)
        })?;
        let value = self.filled(environment, path, (nearest.format, value))?;
        let environment = |(entry, _): &(Arc<Entry>, _)| entry.environment.clone();
        Ok(Reading {
            entry: Arc::clone(nearest),
            value: Secret::new(value),
            layers: opened.iter().map(environment).collect(),
        })
    }

    /// The documents that make up the config at `path`, nearest first, each with its own bytes; without
    /// what this machine says.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn config_layers(
        &self,
        environment: &EnvironmentName,
        path: &EntryPath,
    ) -> Result<Vec<(Arc<Entry>, Secret)>, ReadError> {
        let nearest = self.nearest(environment, path)?;
        if nearest.kind != Kind::Config {
            return Err(no_config(environment, path, nearest.kind));
        }
        let mut entries: Vec<_> = self
            .layers(environment)?
            .iter()
            .filter_map(|layer| self.space(layer)?.entries.get(path))
            .filter(|entry| entry.kind == Kind::Config)
            .collect();
        entries.truncate(config::merged_layers(entries.iter().map(|entry| entry.format)));
        let open = |entry: &Arc<Entry>| Ok((Arc::clone(entry), self.own_value(entry)?));
        entries.into_iter().map(open).collect()
    }

    /// The same as JSON has them; text has no such form.
    pub(crate) fn config_values(
        &self,
        environment: &EnvironmentName,
        path: &EntryPath,
    ) -> Result<Vec<(Arc<Entry>, serde_json::Value)>, ReadError> {
        let opened = self.config_layers(environment, path)?.into_iter();
        opened
            .map(|(entry, value)| {
                let document = value.expose(|bytes| config::layer(entry.format, bytes));
                let document = document.map_err(|problem| ReadError::Document {
                    environment: entry.environment.clone(),
                    path: path.clone(),
                    problem,
                })?;
                Ok((entry, document))
            })
            .collect()
    }

    /// The merged document with the defaults of its schema. What cannot be filled is delivered as it is: who
    /// serves it has checked it by the same schema.
    fn filled(
        &self,
        environment: &EnvironmentName,
        path: &EntryPath,
        (format, document): (Format, Vec<u8>),
    ) -> Result<Vec<u8>, ReadError> {
        let Some(entry) = self.schema_entry(environment, path) else {
            return Ok(document);
        };
        // One that does not parse fills nothing: nobody serves it.
        let filled = self
            .compile(entry)?
            .ok()
            .and_then(|schema| schema.with_defaults(format, &document).ok().flatten());
        Ok(filled.unwrap_or(document))
    }

    /// The document of these layers as JSON has it, without defaults.
    pub(super) fn merged(
        &self,
        environment: &EnvironmentName,
        path: &EntryPath,
        opened: &[(Arc<Entry>, Secret)],
    ) -> Result<serde_json::Value, ReadError> {
        let format = opened.first().map_or(Format::Json, |(entry, _)| entry.format);
        self.with_documents(environment, path, opened, |documents| {
            let merged = Zeroizing::new(config::merge(format, documents)?);
            config::layer(format, &merged)
        })
    }

    /// Lends all documents at once, nearest first.
    fn with_documents<R>(
        &self,
        environment: &EnvironmentName,
        path: &EntryPath,
        layers: &[(Arc<Entry>, Secret)],
        f: impl FnOnce(&[(Format, &[u8])]) -> Result<R, DocumentError>,
    ) -> Result<R, ReadError> {
        let copy = |(entry, value): &(Arc<Entry>, Secret)| {
            let bytes = value.expose(|bytes| Zeroizing::new(bytes.to_vec()));
            (entry.format, bytes)
        };
        let opened: Vec<_> = layers.iter().map(copy).collect();
        let local = self.local(environment, path);
        let local = local.map(|local| (local.format(), local.bytes()));
        let is_text = |(format, _): &(Format, _)| *format == Format::Text;
        let outcome = if local.is_some() && opened.first().is_some_and(is_text) {
            Err(DocumentError::Unstructured)
        } else {
            let own = opened.iter().map(|(format, bytes)| (*format, bytes.as_slice()));
            f(&local.into_iter().chain(own).collect::<Vec<_>>())
        };
        outcome.map_err(|problem| undeliverable(environment, path, problem))
    }

    /// The paths of the config documents that `environment` sees, in order.
    ///
    /// # Errors
    /// [`ReadError::NoEnvironment`].
    pub fn documents(&self, environment: &EnvironmentName) -> Result<Vec<EntryPath>, ReadError> {
        let entries = self.entries(environment, None)?.into_iter();
        let configs = entries.filter(|entry| entry.kind == Kind::Config);
        Ok(configs.map(|entry| entry.path.clone()).collect())
    }

    /// The secrets that the config at `path` refers to as it is delivered, in its order.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn references(
        &self,
        environment: &EnvironmentName,
        path: &EntryPath,
    ) -> Result<Vec<Reference>, ReadError> {
        let reading = self.read(environment, path)?;
        if reading.entry.kind != Kind::Config {
            return Ok(Vec::new());
        }
        let format = reading.entry.format;
        let references = reading.value.expose(|bytes| config::references_in(format, bytes));
        references.map_err(|problem| undeliverable(environment, path, problem))
    }

    /// What was read with secrets of `environment` in the place of the references in it: a document that has
    /// become a secret. Parsers copy on the way: those copies are wiped only where the program's allocator
    /// wipes what is freed, as those of Strongroom's own programs do.
    ///
    /// # Errors
    /// [`ReadError::NoSecret`], or what is wrong with the document.
    pub fn resolved(&self, environment: &EnvironmentName, reading: Reading) -> Result<Reading, ReadError> {
        self.resolved_with(environment, reading, &mut |secret| {
            self.own_secret(environment, secret)
        })
    }

    /// The same with secrets that `lend` opens; `None` where it has none.
    ///
    /// # Errors
    /// [`ReadError::NoSecret`], or what is wrong with the document.
    pub fn resolved_with(
        &self,
        environment: &EnvironmentName,
        reading: Reading,
        lend: &mut dyn FnMut(&EntryPath) -> Result<Option<Secret>, ReadError>,
    ) -> Result<Reading, ReadError> {
        if reading.entry.kind != Kind::Config {
            return Ok(reading);
        }
        let (path, format) = (&reading.entry.path, reading.entry.format);
        let no_secret = || ReadError::NoSecret {
            environment: environment.clone(),
            path: path.clone(),
        };
        let mut lend = |secret: &EntryPath| -> Result<Secret, Resolve> {
            let lent = lend(secret).map_err(Resolve::Read)?;
            lent.ok_or_else(|| Resolve::Read(no_secret()))
        };
        let resolved = reading
            .value
            .expose(|bytes| config::resolve(format, bytes, &mut lend));
        match resolved {
            Ok(None) => Ok(reading),
            Ok(Some(value)) => Ok(Reading { value, ..reading }),
            Err(Resolve::Read(error)) => Err(error),
            Err(Resolve::Document(problem)) => Err(undeliverable(environment, path, problem)),
        }
    }

    fn own_secret(
        &self,
        environment: &EnvironmentName,
        path: &EntryPath,
    ) -> Result<Option<Secret>, ReadError> {
        let entry = self.find(environment, path.as_str())?;
        let entry = entry.filter(|entry| entry.kind == Kind::Secret);
        entry.map(|entry| self.own_value(entry)).transpose()
    }

    /// A config document with its defaults, as JSON has it; what it refers to stays referred to.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn config_value(
        &self,
        environment: &EnvironmentName,
        path: &EntryPath,
    ) -> Result<serde_json::Value, ReadError> {
        let reading = self.read(environment, path)?;
        if reading.entry.kind != Kind::Config {
            return Err(no_config(environment, path, reading.entry.kind));
        }
        let format = reading.entry.format;
        let document = reading.value.expose(|bytes| config::layer(format, bytes));
        document.map_err(|problem| undeliverable(environment, path, problem))
    }

    /// A config document as consumers get it, deserialised.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn config<T: serde::de::DeserializeOwned>(
        &self,
        environment: &EnvironmentName,
        path: &EntryPath,
    ) -> Result<T, ReadError> {
        let reading = self.resolved(environment, self.read(environment, path)?)?;
        if reading.entry.kind != Kind::Config {
            return Err(no_config(environment, path, reading.entry.kind));
        }
        reading
            .value
            .expose(|bytes| config::read(reading.entry.format, bytes))
            .map_err(|problem| undeliverable(environment, path, problem))
    }
}

/// Why secrets could not be put into a document.
enum Resolve {
    Document(DocumentError),
    Read(ReadError),
}

impl From<DocumentError> for Resolve {
    fn from(problem: DocumentError) -> Self {
        Self::Document(problem)
    }
}

fn undeliverable(environment: &EnvironmentName, path: &EntryPath, problem: DocumentError) -> ReadError {
    ReadError::Document {
        environment: environment.clone(),
        path: path.clone(),
        problem,
    }
}

fn no_config(environment: &EnvironmentName, path: &EntryPath, found: Kind) -> ReadError {
    ReadError::Kind {
        environment: environment.clone(),
        path: path.clone(),
        found,
        wanted: Kind::Config,
    }
}
