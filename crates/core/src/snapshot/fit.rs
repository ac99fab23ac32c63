//! What is wrong with config documents: by their schemas, and for what they refer to. It must not know who
//! asks: a commit, a sidecar before it serves, or somebody who checks.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use super::schema::{SCHEMAS, governed_by};
use super::{Action, Changed, Entry, ReadError, Snapshot};
use crate::config::{self, DocumentError, Fault, Format, Key, Reference};
use crate::kind::Kind;
use crate::name::{EntryPath, EnvironmentName};

/// Most references that are told of as missing.
const MAX_FAULTS: usize = 100;

/// Whose document says something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layer {
    /// An environment's.
    Environment(EnvironmentName),
    /// That of this machine.
    Machine,
}

impl std::fmt::Display for Layer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Environment(name) => name.fmt(f),
            Self::Machine => f.write_str("this machine"),
        }
    }
}

/// One thing that is wrong with a document, or with the schema itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfit {
    /// The environment whose document it is.
    pub environment: EnvironmentName,
    /// The document, or the schema.
    pub path: EntryPath,
    /// The key; the document itself where it has no names.
    pub key: Key,
    /// Whose document says so; `None` where none says anything of the key.
    pub layer: Option<Layer>,
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
            Some(Layer::Environment(layer)) if layer != environment => write!(f, " (set in {layer})")?,
            Some(Layer::Machine) => f.write_str(" (set on this machine)")?,
            Some(_) | None => {}
        }
        write!(f, ": {mend}")
    }
}

/// How deep a check of references looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Whether the secrets are there.
    Names,
    /// Also whether they are texts, which takes opening them: for who made them.
    Secrets,
}

impl Snapshot {
    /// What is wrong with the config at `path`, by its schema and for what it refers to; nothing where this
    /// identity does not open all of it.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn check_config(
        &self,
        environment: &EnvironmentName,
        path: &EntryPath,
    ) -> Result<Vec<Unfit>, ReadError> {
        self.check_to(environment, path, Depth::Names)
    }

    /// The same, looking as deep as is said.
    pub(crate) fn check_to(
        &self,
        environment: &EnvironmentName,
        path: &EntryPath,
        depth: Depth,
    ) -> Result<Vec<Unfit>, ReadError> {
        let mut unfit = self.check_by_schema(environment, path)?;
        if unfit.is_empty() {
            unfit = self.check_references(environment, path, depth)?;
        }
        Ok(unfit)
    }

    fn is_judged(&self, environment: &EnvironmentName, path: &EntryPath) -> Result<bool, ReadError> {
        Ok(self.is_config(environment, path) && !self.has_closed_part(environment, path)?)
    }

    /// What the config at `path` refers to and is not there. An environment that others inherit from may be
    /// their base alone, and lacks what they have.
    ///
    /// # Errors
    /// [`ReadError`].
    pub(crate) fn check_references(
        &self,
        environment: &EnvironmentName,
        path: &EntryPath,
        depth: Depth,
    ) -> Result<Vec<Unfit>, ReadError> {
        let mut parents = self
            .directory
            .environments
            .values()
            .map(|info| info.parent.as_ref());
        if parents.any(|parent| parent == Some(environment)) || !self.is_judged(environment, path)? {
            return Ok(Vec::new());
        }
        let references = match self.references(environment, path) {
            Ok(references) => references,
            Err(ReadError::Document { problem, .. }) => {
                let fault = undeliverable(&problem);
                return Ok(vec![unfit(environment, path, None, fault)]);
            }
            Err(error) => return Err(error),
        };
        let told = |key: Key, (rule, mend): (&str, String)| {
            let fault = Fault {
                key,
                rule: rule.to_owned(),
                mend,
            };
            unfit(environment, path, None, fault)
        };
        let mut faults = Vec::new();
        let mut size: usize = 0;
        for Reference { key, secret } in references {
            let entry = self.find(environment, secret.as_str())?;
            let entry = entry.filter(|entry| entry.kind == Kind::Secret);
            let problem = match entry {
                Some(entry) => {
                    size = size.saturating_add(entry.size);
                    let is_text = depth == Depth::Names || self.is_text(entry)?;
                    (!is_text).then(|| {
                        let mend = "deliver that secret as a file of its own".to_owned();
                        ("refers to a secret that is no text", mend)
                    })
                }
                None if self.is_closed(environment, &secret) => None,
                // Its path is not said: it may be a value that somebody did not mean to be a path.
                None => Some((
                    "refers to a secret that is not there",
                    format!(
                        "put it into {environment} first, or give the key a value: a table with only `secret` in it refers to one"
                    ),
                )),
            };
            faults.extend(problem.map(|problem| told(key, problem)));
            if faults.len() >= MAX_FAULTS {
                break;
            }
        }
        if size > config::MAX_SECRETS {
            let problem = undeliverable(&DocumentError::Secrets);
            faults.push(unfit(environment, path, None, problem));
        }
        Ok(faults)
    }

    fn is_text(&self, entry: &Entry) -> Result<bool, ReadError> {
        self.expose(entry, |bytes| std::str::from_utf8(bytes).is_ok())
    }

    fn check_by_schema(
        &self,
        environment: &EnvironmentName,
        path: &EntryPath,
    ) -> Result<Vec<Unfit>, ReadError> {
        let Some(entry) = self.schema_entry(environment, path) else {
            return Ok(Vec::new());
        };
        if !self.is_judged(environment, path)? {
            return Ok(Vec::new());
        }
        let whole = |fault| Ok(vec![unfit(environment, path, Some(environment), fault)]);
        let schema = match self.compile(entry)? {
            Ok(schema) => schema,
            Err(error) => {
                let fault = Fault {
                    key: Key::default(),
                    rule: error.to_string(),
                    mend: "put a schema that is valid".to_owned(),
                };
                let at = &entry.environment;
                let mut unfit = unfit(environment, &entry.path, Some(at), fault);
                unfit.environment = at.clone();
                return Ok(vec![unfit]);
            }
        };
        let opened = self.config_layers(environment, path)?;
        let format = opened.first().map_or(Format::Json, |(entry, _)| entry.format);
        if format == Format::Text {
            return whole(Fault {
                key: Key::default(),
                rule: "is text, and a schema governs it".to_owned(),
                mend: "put it as toml or json".to_owned(),
            });
        }
        // As it is delivered, with all that may be wrong on the way.
        let mut merged = match self.merged(environment, path, &opened) {
            Ok(document) => document,
            Err(ReadError::Document { problem, .. }) => return whole(undeliverable(&problem)),
            Err(error) => return Err(error),
        };
        let faults = schema.fill_and_check(format, &mut merged);
        if faults.is_empty() {
            return Ok(Vec::new());
        }
        let documents = self.config_values(environment, path)?;
        let local = self.local(environment, path);
        let local = local.and_then(|local| config::layer(local.format(), local.bytes()).ok());
        let of = |fault: Fault| {
            if local
                .as_ref()
                .is_some_and(|local| fault.key.find(local).is_some())
            {
                let mut unfit = unfit(environment, path, None, fault);
                unfit.layer = Some(Layer::Machine);
                return unfit;
            }
            let says = |(_, document): &&(Arc<Entry>, serde_json::Value)| fault.key.find(document).is_some();
            let layer = documents.iter().find(says).map(|(entry, _)| &entry.environment);
            unfit(environment, path, layer, fault)
        };
        Ok(faults.into_iter().map(of).collect())
    }

    /// What is wrong with the documents of `environment`.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn unfit(&self, environment: &EnvironmentName) -> Result<Vec<Unfit>, ReadError> {
        let mut unfit = Vec::new();
        for path in self.documents(environment)? {
            unfit.extend(self.check_config(environment, &path)?);
        }
        Ok(unfit)
    }

    /// What is wrong with those documents of `environment` that `changes` made, of which this is the
    /// outcome.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn unfit_after(
        &self,
        environment: &EnvironmentName,
        changes: &[Changed],
    ) -> Result<Vec<Unfit>, ReadError> {
        let mut unfit = Vec::new();
        for path in self.touched(environment, changes, Depth::Names)? {
            unfit.extend(self.check_config(environment, &path)?);
        }
        Ok(unfit)
    }

    /// The documents of `environment` that `changes` made other ones, or may have made unfit.
    ///
    /// # Errors
    /// [`ReadError`].
    pub(crate) fn touched(
        &self,
        environment: &EnvironmentName,
        changes: &[Changed],
        depth: Depth,
    ) -> Result<BTreeSet<EntryPath>, ReadError> {
        let layers = self.layers(environment)?;
        let seen = changes
            .iter()
            .filter(|change| layers.contains(&change.environment));
        let mut touched: BTreeSet<_> = seen
            .clone()
            .filter_map(|change| governed_by(change.kind, &change.path))
            .collect();
        // What is gone may have hidden a document.
        let gone = seen.filter(|change| change.action == Action::Deleted);
        let shown = gone.map(|change| change.path.clone());
        touched.extend(shown.filter(|path| self.is_config(environment, path)));
        let lost: HashSet<_> = changes
            .iter()
            .filter(|change| change.kind == Kind::Secret && change.environment == *environment)
            .filter(|change| self.may_unfit(environment, &change.path, depth))
            .map(|change| &change.path)
            .collect();
        if lost.is_empty() {
            return Ok(touched);
        }
        for path in self.documents(environment)? {
            // What cannot be read is found where it is checked.
            let references = self.references(environment, &path).unwrap_or_default();
            if references
                .iter()
                .any(|reference| lost.contains(&reference.secret))
            {
                touched.insert(path);
            }
        }
        Ok(touched)
    }

    /// Whether a document that refers to a secret has to be looked at because of it.
    fn may_unfit(&self, environment: &EnvironmentName, path: &EntryPath, depth: Depth) -> bool {
        let entry = self.find(environment, path.as_str()).ok().flatten();
        match entry.filter(|entry| entry.kind == Kind::Secret) {
            None => true,
            Some(entry) => {
                let is_long = entry.size > config::MAX_SECRETS / config::MAX_REFERENCES;
                depth == Depth::Secrets && (is_long || !self.is_text(entry).unwrap_or(true))
            }
        }
    }

    fn is_config(&self, environment: &EnvironmentName, path: &EntryPath) -> bool {
        let entry = self.find(environment, path.as_str()).ok().flatten();
        entry.is_some_and(|entry| entry.kind == Kind::Config)
    }

    /// Whether there is a layer or a schema that this identity does not open: what it sees is not the
    /// document then.
    fn has_closed_part(&self, environment: &EnvironmentName, path: &EntryPath) -> Result<bool, ReadError> {
        let Ok(schema) = EntryPath::new(&format!("{SCHEMAS}/{path}")) else {
            return Ok(false);
        };
        let closed = |layer| self.is_closed(layer, path) || self.is_closed(layer, &schema);
        Ok(self.layers(environment)?.iter().any(closed))
    }

    /// Whether the environment itself has an entry there that this identity does not open.
    pub(super) fn is_closed(&self, environment: &EnvironmentName, path: &EntryPath) -> bool {
        let info = self.directory.environments.get(environment);
        let id = info.map(|info| self.directory.entry_id(info.id, path));
        id.is_some_and(|id| self.state.entry(id).is_some()) && self.own(environment, path).is_none()
    }
}

fn unfit(
    environment: &EnvironmentName,
    path: &EntryPath,
    layer: Option<&EnvironmentName>,
    fault: Fault,
) -> Unfit {
    Unfit {
        environment: environment.clone(),
        path: path.clone(),
        key: fault.key,
        layer: layer.cloned().map(Layer::Environment),
        rule: fault.rule,
        mend: fault.mend,
    }
}

fn undeliverable(problem: &DocumentError) -> Fault {
    Fault {
        key: Key::default(),
        rule: format!("cannot be delivered: {problem}"),
        mend: "mend the layers".to_owned(),
    }
}
