//! Who said what of a config document: owns the walk over an entry's past values, and finding the
//! revision in which each key became what it is.

use serde_json::Value;

use super::Vault;
use super::error::OpenError;
use super::load::Objects;
use crate::ambient::Timestamp;
use crate::commit::{Break, Checked, Commit, EntryChange, IntegrityError};
use crate::config::{self, Format, Key};
use crate::crypto::seal::Context;
use crate::id::{Hash, Revision, Version};
use crate::name::{EntryPath, EnvironmentName};
use crate::secret::Secret;
use crate::snapshot::{Fetch, ReadError, Snapshot, value_context};

/// One version of an entry that was current at a time.
#[derive(Debug)]
pub struct PastValue {
    /// Its version.
    pub version: Version,
    /// The revision that made it.
    pub revision: Revision,
    /// When.
    pub at: Timestamp,
    /// Who, by name, or the id of a removed member.
    pub author: String,
    /// The format of a config document.
    pub format: Format,
    /// The plaintext.
    pub value: Secret,
}

/// Where one key of a merged config document comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyOrigin {
    /// The key.
    pub key: Key,
    /// Its value; `None` when it is unset there.
    pub value: Option<Value>,
    /// The environment whose document says so.
    pub layer: EnvironmentName,
    /// The revision that said so first, without a word against it since.
    pub revision: Revision,
    /// When that was.
    pub at: Timestamp,
    /// Who did, by name, or the id of a removed member.
    pub author: String,
    /// The environment behind it with a value of another type, which is replaced.
    pub retyped: Option<EnvironmentName>,
}

/// Why the origins of a document are not told.
#[derive(Debug, thiserror::Error)]
pub enum OriginError {
    /// The document cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The history cannot be read.
    #[error(transparent)]
    Open(#[from] OpenError),
}

impl Vault {
    /// The values that the environment's own entry had, newest first, until `each` wants no more or
    /// the entry was made. Blocks.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn past_values(
        &self,
        environment: &EnvironmentName,
        path: &EntryPath,
        each: &mut dyn FnMut(PastValue) -> bool,
    ) -> Result<(), OpenError> {
        let now = self.snapshot();
        let Some(info) = now.directory().environments.get(environment) else {
            return Ok(());
        };
        let id = now.directory().entry_id(info.id, path);
        let mut outcome = Ok(());
        self.back(&now, &mut |commit| {
            let Some(change) = commit.entries.iter().find(|change| change.id == id) else {
                return true;
            };
            if change.deletes() || !now.keyring().opens(change.compartment) {
                return false;
            }
            if change.labels.is_some_and(|labels| !labels.moves) {
                return true;
            }
            match self.past_value(&now, &commit, change) {
                Ok(value) => each(value),
                Err(error) => {
                    outcome = Err(error);
                    false
                }
            }
        })?;
        outcome
    }

    fn past_value(
        &self,
        now: &Snapshot,
        commit: &Commit,
        change: &EntryChange,
    ) -> Result<PastValue, OpenError> {
        let missing = || Break::MissingObject.at(commit.revision);
        let hash = change.value.ok_or_else(missing)?;
        let (store, keyring) = (now.state().store(), now.keyring());
        let mut meta = None;
        self.open_object(change.meta, commit.revision, &mut |record| {
            let open = |context: &Context| record.open(keyring, context);
            let opened = now
                .directory()
                .description(store, change.compartment, change.id, open);
            meta = Some(opened.map_err(|what| what.at(commit.revision))?);
            Ok(())
        })?;
        let meta = meta.ok_or_else(missing)?;
        let context = value_context(store, change.compartment, change.id, change.version, meta.kind);
        let mut value = None;
        self.open_object(hash, commit.revision, &mut |record| {
            let opened = record.open(keyring, &context);
            value = Some(opened.map_err(|_| Break::Record.at(commit.revision))?);
            Ok(())
        })?;
        let value = value.ok_or_else(missing)?;
        Ok(PastValue {
            version: change.version,
            revision: commit.revision,
            at: commit.time,
            author: match now.directory().members.get(&commit.author) {
                Some(name) => name.to_string(),
                None => commit.author.to_string(),
            },
            format: meta.format,
            value,
        })
    }

    fn open_object(
        &self,
        hash: Hash,
        at: Revision,
        open: &mut dyn FnMut(Checked<'_>) -> Result<(), IntegrityError>,
    ) -> Result<(), OpenError> {
        Objects::of(&*self.store).fetch(&[hash], &mut |hash, bytes| {
            open(Checked::object(hash, bytes).map_err(|what| what.at(at))?)
        })
    }

    /// Where each key of a merged config document comes from, in the order of the document; what is
    /// unset is among them. Walks back over the history until every key is found. Blocks.
    ///
    /// # Errors
    /// [`OriginError`]; a document of text has no keys.
    pub fn origins(
        &self,
        environment: &EnvironmentName,
        path: &EntryPath,
    ) -> Result<Vec<KeyOrigin>, OriginError> {
        let now = self.snapshot();
        let layers = now.config_values(environment, path)?.into_iter();
        let (layers, documents): (Vec<_>, Vec<_>) = layers.unzip();
        let origins = config::origins(&documents);
        let mut found: Vec<Option<KeyOrigin>> = vec![None; origins.len()];
        for (index, entry) in layers.iter().enumerate() {
            let mut open: Vec<_> = (0..)
                .zip(&origins)
                .filter(|(_, origin)| origin.layer == index)
                .collect();
            self.past_values(&entry.environment, path, &mut |past| {
                // A document that cannot be read says nothing, so that whoever mended it said it all.
                let document = past.value.expose(|bytes| config::layer(past.format, bytes));
                let document = document.unwrap_or_default();
                open.retain(|(at, origin)| {
                    let said = documents.get(index).and_then(|now| origin.key.find(now));
                    if origin.key.find(&document) != said {
                        return false;
                    }
                    if let Some(slot) = found.get_mut(*at) {
                        *slot = Some(KeyOrigin {
                            key: origin.key.clone(),
                            value: origin.value.cloned(),
                            layer: entry.environment.clone(),
                            revision: past.revision,
                            at: past.at,
                            author: past.author.clone(),
                            retyped: origin
                                .retyped
                                .and_then(|layer| layers.get(layer))
                                .map(|layer| layer.environment.clone()),
                        });
                    }
                    true
                });
                !open.is_empty()
            })?;
        }
        Ok(found.into_iter().flatten().collect())
    }
}
