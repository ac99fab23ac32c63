//! What consumers are given: owns which values are meant and opening them as they are injected
//! (config merged, a flag as the text of its default variant). All of one revision.

use strongroom_core::flag;
use strongroom_core::inject::{Material, Value, Wanted};
use strongroom_core::name::{EntryPath, EnvironmentName};
use strongroom_core::secret::Secret;
use strongroom_core::snapshot::{Entry, Kind, Snapshot};

use crate::context::Context;
use crate::error::CliError;
use crate::open::{self, Opened};

/// What becomes of secrets that documents refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// They take the place of the references.
    Delivered,
    /// References stay, as they were put.
    Written,
}

/// Which values of a store are written out.
#[derive(Debug, clap::Args)]
pub(crate) struct Scope {
    /// The environment [default: the `environment` setting]
    #[arg(value_name = "ENV")]
    environment: Option<EnvironmentName>,
    /// Only entries at or below this path, which is left out of the names
    #[arg(long, short = 'p', value_name = "PATH")]
    pub(crate) prefix: Option<EntryPath>,
}

impl Scope {
    /// The environment alone.
    pub(crate) fn environment(&self, context: &Context) -> Result<EnvironmentName, CliError> {
        context.environment(self.environment.as_ref())
    }

    /// Opens the store and the values for `command`; the environment they are of.
    pub(crate) fn open(
        &self,
        context: &Context,
        command: &'static str,
        form: Form,
    ) -> Result<(EnvironmentName, Material), CliError> {
        let environment = context.environment(self.environment.as_ref())?;
        let opened = open::reader(&context.settings)?;
        let wanted = under(self.prefix.as_ref());
        let (material, _) = self::open(&opened, &environment, &wanted, command, form)?;
        Ok((environment, material))
    }
}

/// Opens the wanted values of `environment` for `command`, once that is recorded. A flag without a default, or disabled, has no text
/// and is left out. With the paths of the secrets that documents refer to, which became part of them.
pub(crate) fn open(
    opened: &Opened,
    environment: &EnvironmentName,
    wanted: &Wanted,
    command: &'static str,
    form: Form,
) -> Result<(Material, Vec<EntryPath>), CliError> {
    let snapshot = opened.vault.snapshot();
    let mut entries = Vec::new();
    match wanted.prefixes() {
        None => entries = snapshot.entries(environment, None)?,
        Some([]) => drop(snapshot.layers(environment)?),
        Some(prefixes) => {
            for prefix in prefixes {
                entries.extend(snapshot.entries(environment, Some(prefix))?);
            }
        }
    }
    entries.retain(|entry| !matches!(entry.kind, Kind::Policy | Kind::Schema) && wanted.takes(&entry.path));
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    let mut secrets = Vec::new();
    if form == Form::Delivered {
        for entry in &entries {
            secrets.extend(snapshot.secrets_in(environment, entry)?);
        }
    }
    let read = (environment, snapshot.revision());
    let all = entries.iter().chain(&secrets);
    opened.record(read, all.map(|entry| &**entry), command)?;
    let mut values = Vec::with_capacity(entries.len());
    for entry in entries {
        if let Some(bytes) = bytes(&snapshot, environment, &entry, form)? {
            values.push(Value {
                path: entry.path.clone(),
                kind: entry.kind,
                bytes,
            });
        }
    }
    let material = Material {
        revision: snapshot.revision().0,
        values,
        made: Vec::new(),
    };
    let secrets = secrets.iter().map(|secret| secret.path.clone()).collect();
    Ok((material, secrets))
}

fn bytes(
    snapshot: &Snapshot,
    environment: &EnvironmentName,
    entry: &Entry,
    form: Form,
) -> Result<Option<Secret>, CliError> {
    let reading = snapshot.read(environment, &entry.path)?;
    let reading = match form {
        Form::Delivered => snapshot.resolved(environment, reading)?,
        Form::Written => reading,
    };
    let opened = reading.value;
    if entry.kind != Kind::Flag {
        return Ok(Some(opened));
    }
    let text = opened
        .expose(flag::default_text)
        .map_err(|error| CliError::failed(format!("{}: {error}", entry.path)))?;
    Ok(text.map(|text| Secret::new(text.into_bytes())))
}

/// Everything at or below a prefix.
pub(crate) fn under(prefix: Option<&EntryPath>) -> Wanted {
    let mut wanted = Wanted::default();
    wanted.add_prefix(prefix);
    wanted
}

/// The part of a path below the prefix; its last segment when the two are equal.
pub(crate) fn below<'a>(path: &'a EntryPath, prefix: Option<&EntryPath>) -> &'a str {
    let text = path.as_str();
    let Some(rest) = prefix.and_then(|prefix| text.strip_prefix(prefix.as_str())) else {
        return text;
    };
    match rest.strip_prefix('/') {
        Some(rest) => rest,
        None => text.rsplit('/').next().unwrap_or(text),
    }
}
