//! Values for templates and documents in a format: owns recording each read before it is opened. It must
//! not know what is made of them.

use std::sync::Arc;

use serde_json::{Map, Value};
use strongroom_core::ambient::Ambient;
use strongroom_core::config::{self, Format};
use strongroom_core::name::{EntryPath, EnvironmentName};
use strongroom_core::secret::Secret;
use strongroom_core::snapshot::{Entry, Kind, ReadError, Snapshot, flag_value};
use strongroom_core::template::{Source, Template, Unavailable};

use crate::open::Opened;

/// One environment at one revision.
#[derive(Debug)]
pub(crate) struct Values {
    opened: Opened,
    snapshot: Arc<Snapshot>,
    environment: EnvironmentName,
    command: &'static str,
}

impl Values {
    /// The newest of `environment`, read for `command`.
    pub(crate) fn new(opened: Opened, environment: EnvironmentName, command: &'static str) -> Arc<Self> {
        let snapshot = opened.vault.snapshot();
        Arc::new(Self {
            opened,
            snapshot,
            environment,
            command,
        })
    }

    pub(crate) fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    fn read(&self, path: &EntryPath, wanted: Kind) -> Result<(Arc<Entry>, Secret), Unavailable> {
        let environment = &self.environment;
        let other = |error: &dyn std::fmt::Display| Unavailable::Other(error.to_string());
        let entry = match self.snapshot.entry(environment, path) {
            Ok(entry) => entry,
            Err(ReadError::NoEntry { .. }) => return Err(Unavailable::Missing),
            Err(error) => return Err(other(&error)),
        };
        if entry.kind != wanted {
            return Err(Unavailable::Kind(entry.kind));
        }
        let secrets = self
            .snapshot
            .secrets_in(environment, &entry)
            .map_err(|error| other(&error))?;
        let read = (environment, self.snapshot.revision());
        let all = std::iter::once(&entry).chain(&secrets);
        self.opened
            .record(read, all.map(|entry| &**entry), self.command)
            .map_err(|error| Unavailable::Now(error.message))?;
        let reading = self.snapshot.read(environment, path);
        let resolved = reading.and_then(|reading| self.snapshot.resolved(environment, reading));
        Ok((entry, resolved.map_err(|error| other(&error))?.value))
    }

    /// The template that is an entry, or why there is none.
    pub(crate) fn template(&self, path: &EntryPath) -> Result<Template, String> {
        if !path.is_template() {
            return Err(format!("{path} is no template: templates lie under template/"));
        }
        let (entry, text) = self
            .read(path, Kind::Config)
            .map_err(|why| format!("the template {path} {why}"))?;
        if entry.format != Format::Text {
            return Err(format!("{path} is no template: it is no text"));
        }
        let parsed = text.expose(|bytes| Template::parse(path.as_str(), bytes));
        parsed.map_err(|error| error.to_string())
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

    fn flag(&self, key: &EntryPath, context: &Map<String, Value>) -> Result<Value, Unavailable> {
        let (_, definition) = self.read(key, Kind::Flag)?;
        let entry = self.snapshot.flag_entry(&self.environment, key);
        let entry = entry.map_err(|error| Unavailable::Other(error.to_string()))?;
        let set = entry
            .set
            .map(|set| self.read(&set.path, Kind::Flag))
            .transpose()?;
        let set = set.as_ref().map(|(_, set)| set);
        let now = Ambient::system().now().0 / 1000;
        flag_value(key, &definition, set, context, now).map_err(Unavailable::Flag)
    }
}
