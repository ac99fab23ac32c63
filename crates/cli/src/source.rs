//! Values for templates and documents in a format: owns recording each read before it is opened. It must
//! not know what is made of them.

use std::sync::Arc;

use serde_json::Value;
use strongroom_core::ambient::Ambient;
use strongroom_core::config::{self, Format};
use strongroom_core::flag::Flag;
use strongroom_core::id::Revision;
use strongroom_core::name::{EntryPath, EnvironmentName, TEMPLATES};
use strongroom_core::secret::Secret;
use strongroom_core::snapshot::{Entry, Kind, ReadError, Snapshot};
use strongroom_core::template::{Problem, Source, Template, TemplateError, Unavailable};

use crate::error::CliError;
use crate::open::Opened;

/// One environment at one revision.
#[derive(Debug)]
pub(crate) struct Values {
    opened: Opened,
    snapshot: Arc<Snapshot>,
    /// The revision that reads are recorded with.
    revision: Revision,
    environment: EnvironmentName,
    command: &'static str,
    /// What this member does not open all of is not given.
    wants_whole: bool,
}

/// Why a template is not rendered; never with a value.
#[derive(Debug)]
pub(crate) struct Unrendered {
    /// In words.
    pub(crate) said: String,
    /// False when it may be rendered by somebody else, or later.
    pub(crate) is_known: bool,
}

impl From<TemplateError> for Unrendered {
    fn from(error: TemplateError) -> Self {
        Self {
            is_known: match &error.problem {
                Problem::Unavailable { why, .. } => is_known(why),
                _ => true,
            },
            said: error.to_string(),
        }
    }
}

/// Whether everybody would find the same.
fn is_known(why: &Unavailable) -> bool {
    !matches!(
        why,
        Unavailable::Closed | Unavailable::Now(_) | Unavailable::Other(_)
    )
}

impl Values {
    /// The newest of `environment`, read for `command`.
    pub(crate) fn new(opened: Opened, environment: EnvironmentName, command: &'static str) -> Arc<Self> {
        let snapshot = opened.vault.snapshot();
        Arc::new(Self {
            revision: snapshot.revision(),
            opened,
            snapshot,
            environment,
            command,
            wants_whole: false,
        })
    }

    /// Those of `snapshot`, which may be one that nobody has stored: reads are recorded with `revision`. What
    /// this member does not open every layer of is not given.
    pub(crate) fn of(
        opened: &Opened,
        (snapshot, revision): (&Arc<Snapshot>, Revision),
        environment: &EnvironmentName,
        command: &'static str,
    ) -> Arc<Self> {
        Arc::new(Self {
            opened: opened.clone(),
            snapshot: Arc::clone(snapshot),
            revision,
            environment: environment.clone(),
            command,
            wants_whole: true,
        })
    }

    pub(crate) fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Whether this member does not open what lies at `path` in a layer nearer than that of `entry`; of a document
    /// that has layers, any of these, or a schema.
    fn has_closed_part(&self, path: &EntryPath, entry: Option<&Entry>, wanted: Kind) -> bool {
        let layers = self.snapshot.layers(&self.environment).unwrap_or_default();
        let most = if wanted.is_inherited() { layers.len() } else { 1 };
        let merges = entry.is_some_and(|entry| entry.kind == Kind::Config && entry.format != Format::Text);
        let mut counting = layers
            .iter()
            .take(most)
            .take_while(|layer| merges || entry.is_none_or(|entry| entry.environment != **layer));
        let schema = EntryPath::new(&format!("schema/{path}"));
        let schema = schema.ok().filter(|_| merges);
        counting.any(|layer| {
            let is_closed = |path| self.snapshot.has_closed(layer, path);
            is_closed(path) || schema.as_ref().is_some_and(is_closed)
        })
    }

    fn read(&self, path: &EntryPath, wanted: Kind) -> Result<(Arc<Entry>, Secret), Unavailable> {
        let environment = &self.environment;
        let other = |error: &dyn std::fmt::Display| Unavailable::Other(error.to_string());
        let entry = match self.snapshot.entry(environment, path) {
            Ok(entry) => entry,
            Err(ReadError::NoEntry { .. }) => {
                return Err(match self.has_closed_part(path, None, wanted) {
                    true => Unavailable::Closed,
                    false => Unavailable::Missing,
                });
            }
            Err(error) => return Err(other(&error)),
        };
        if entry.kind != wanted {
            return Err(Unavailable::Kind(entry.kind));
        }
        if self.wants_whole && self.has_closed_part(path, Some(&entry), wanted) {
            return Err(Unavailable::Closed);
        }
        let secrets = self
            .snapshot
            .secrets_in(environment, &entry)
            .map_err(|error| other(&error))?;
        let read = (environment, self.revision);
        let all = std::iter::once(&entry).chain(&secrets);
        self.opened
            .record(read, all.map(|entry| &**entry), self.command)
            .map_err(|error| Unavailable::Now(error.message))?;
        let reading = self.snapshot.read(environment, path);
        let resolved = reading.and_then(|reading| self.snapshot.resolved(environment, reading));
        Ok((entry, resolved.map_err(|error| other(&error))?.value))
    }

    /// The template that is an entry, rendered.
    pub(crate) fn rendered(self: &Arc<Self>, path: &EntryPath) -> Result<Secret, Unrendered> {
        let refused = |said| Unrendered { said, is_known: true };
        if !path.is_template() {
            return Err(refused(format!(
                "{path} is no template: templates lie under template/"
            )));
        }
        let (entry, text) = self.read(path, Kind::Config).map_err(|why| Unrendered {
            is_known: is_known(&why),
            said: format!("the template {path} {why}"),
        })?;
        if entry.format != Format::Text {
            return Err(refused(format!("{path} is no template: it is no text")));
        }
        let template = text.expose(|bytes| Template::parse(path.as_str(), bytes))?;
        Ok(template.render(Arc::<Self>::clone(self))?)
    }
}

impl Source for Values {
    fn secret(&self, path: &EntryPath) -> Result<Secret, Unavailable> {
        Ok(self.read(path, Kind::Secret)?.1)
    }

    fn config(&self, path: &EntryPath) -> Result<Value, Unavailable> {
        let (entry, document) = self.read(path, Kind::Config)?;
        if entry.format == Format::Text {
            return Err(Unavailable::Unstructured);
        }
        let document = document.expose(|bytes| config::delivered(entry.format, bytes));
        document.map_err(|error| Unavailable::Other(error.to_string()))
    }

    fn flag(&self, key: &EntryPath) -> Result<Flag, Unavailable> {
        let (snapshot, environment) = (&self.snapshot, &self.environment);
        let seen = snapshot.flag_entry(environment, key);
        let is_closed = seen.and_then(|entry| snapshot.has_closed_set(environment, &entry));
        if self.wants_whole && is_closed.unwrap_or_default() {
            return Err(Unavailable::Closed);
        }
        snapshot.flag_opened(environment, key, |path| Ok(self.read(path, Kind::Flag)?.1))
    }

    fn now(&self) -> u64 {
        Ambient::system().now().0 / 1000
    }
}

/// The paths under `template/` that an environment sees.
pub(crate) fn templates(
    snapshot: &Snapshot,
    environment: &EnvironmentName,
) -> Result<Vec<EntryPath>, CliError> {
    let under = EntryPath::new(TEMPLATES).map_err(|error| CliError::failed(error.to_string()))?;
    let entries = snapshot.entries(environment, Some(&under))?;
    let templates = entries.into_iter().filter(|entry| entry.path.is_template());
    Ok(templates.map(|entry| entry.path.clone()).collect())
}
