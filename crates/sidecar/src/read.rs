//! The only place that opens values: every plaintext that leaves this process, over the socket,
//! as a file or as a variable, was lent by [`open`], which takes the [`Grant`] of exactly that
//! entry. It must not know HTTP.

use std::collections::BTreeMap;
use std::sync::Arc;

use strongroom_core::flag::{self, FlagError};
use strongroom_core::id::{EntryId, Version};
use strongroom_core::inject::{Material, Value, Wanted};
use strongroom_core::kind::Kind;
use strongroom_core::name::{EntryPath, EnvironmentName};
use strongroom_core::policy::Action;
use strongroom_core::secret::Secret;
use strongroom_core::snapshot::{Entry, ReadError, Snapshot};

use crate::grant::{Gate, Grant, Item, Question, Refused};

/// What the value is to look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As it is: secrets and flag definitions byte for byte, config merged.
    Whole,
    /// As consumers without a client get it: a flag as the text of its default variant.
    Injected,
}

/// Why a value was not lent.
#[derive(Debug, thiserror::Error)]
pub enum Unread {
    /// The snapshot refused.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The gate refused.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// A flag's definition was never checked: another program wrote it.
    #[error("{path:?}: {error}")]
    Flag {
        /// Its path.
        path: EntryPath,
        /// What is wrong.
        error: FlagError,
    },
}

/// Opens the entry that was granted, of `snapshot`, as `environment` sees it, and lends it with its
/// bytes to `f`. `None` for a flag that has no default to inject: the consumer's own holds.
///
/// # Errors
/// [`Unread`].
pub fn open<R>(
    grant: Grant,
    snapshot: &Snapshot,
    environment: &EnvironmentName,
    form: Form,
    f: impl FnOnce(&Entry, &[u8]) -> R,
) -> Result<Option<R>, Unread> {
    let entry = grant.entry();
    let f = |bytes: &[u8]| f(entry, bytes);
    let secret = |path: &EntryPath| {
        let granted = grant.secrets().iter().find(|secret| secret.path == *path);
        granted.map(|secret| snapshot.expose(secret, |bytes| Secret::new(bytes.to_vec())))
    };
    tracing::trace!(revision = snapshot.revision().0, path = %entry.path, "read");
    match (entry.kind, form) {
        (Kind::Config, _) => {
            let reading = snapshot.read(environment, &entry.path)?;
            let lend = &mut |path: &EntryPath| secret(path).transpose();
            let resolved = snapshot.resolved_with(environment, reading, lend)?;
            Ok(Some(resolved.value.expose(f)))
        }
        (Kind::Flag, Form::Injected) => {
            let text = snapshot.expose(entry, flag::default_text)?;
            let text = text.map_err(|error| Unread::Flag {
                path: entry.path.clone(),
                error,
            })?;
            Ok(text.map(|text| f(text.as_bytes())))
        }
        _ => Ok(Some(snapshot.expose(entry, f)?)),
    }
}

/// True for the kinds that are injected: policies and schemas are not for workloads.
#[must_use]
pub fn is_injected(kind: Kind) -> bool {
    match kind {
        Kind::Secret | Kind::Config | Kind::Flag => true,
        Kind::Policy | Kind::Schema => false,
    }
}

/// A template is wanted as it is only where its own path says so: what is made of it is delivered.
fn is_wanted(entry: &Entry, wanted: &Wanted) -> bool {
    let is_named = || {
        wanted
            .prefixes()
            .is_some_and(|prefixes| prefixes.contains(&entry.path))
    };
    is_injected(entry.kind) && (!entry.path.is_template() || is_named())
}

/// Opens everything an injection wants, of one revision.
///
/// # Errors
/// [`Unread`]; nothing is delivered.
pub fn material(
    gate: &Gate,
    question: &Question<'_>,
    snapshot: &Snapshot,
    wanted: &Wanted,
) -> Result<Material, Unread> {
    let mut values = Vec::new();
    let mut entries = entries(snapshot, question.environment, wanted.prefixes())?;
    entries.retain(|entry| is_wanted(entry, wanted));
    let items = entries.iter().map(|entry| item(question, snapshot, entry));
    let grants = gate.ask_all(question, items.collect::<Result<_, _>>()?)?.wait()?;
    for grant in grants {
        let value = open(
            grant,
            snapshot,
            question.environment,
            Form::Injected,
            |entry, bytes| Value {
                path: entry.path.clone(),
                kind: entry.kind,
                bytes: Secret::new(bytes.to_vec()),
            },
        )?;
        values.extend(value);
    }
    Ok(Material {
        revision: snapshot.revision().0,
        values,
        made: Vec::new(),
    })
}

/// The entries that [`material`] opens, without opening them.
///
/// # Errors
/// [`ReadError`].
pub fn listed(
    snapshot: &Snapshot,
    environment: &EnvironmentName,
    wanted: &Wanted,
) -> Result<Vec<(EntryId, Version)>, ReadError> {
    let entries = entries(snapshot, environment, wanted.prefixes())?;
    let mut listed = BTreeMap::new();
    for entry in entries.iter().filter(|entry| is_wanted(entry, wanted)) {
        listed.insert(entry.id, entry.version);
        // what is not there is found missing where it is opened
        let secrets = snapshot.secrets_in(environment, entry).unwrap_or_default();
        listed.extend(secrets.iter().map(|secret| (secret.id, secret.version)));
    }
    Ok(listed.into_iter().collect())
}

/// What has to be granted for a list of those of `entries` that are injected, without what cannot be
/// opened: one document does not keep all others away.
pub fn listable(question: &Question<'_>, snapshot: &Snapshot, entries: &[Arc<Entry>]) -> Vec<Item> {
    let injected = entries.iter().filter(|entry| is_injected(entry.kind));
    let item = |entry| match item(question, snapshot, entry) {
        Ok(item) => Some(item),
        Err(error) => {
            tracing::debug!(%error, "left out of a list");
            None
        }
    };
    injected.filter_map(item).collect()
}

/// What has to be granted so that `entry` can be opened. What a document refers to is looked up only for
/// those who may read it.
///
/// # Errors
/// [`ReadError::NoSecret`].
pub fn item(question: &Question<'_>, snapshot: &Snapshot, entry: &Arc<Entry>) -> Result<Item, ReadError> {
    let refers = entry.kind == Kind::Config && question.allows(Action::read_of(entry.kind), entry);
    Ok(Item {
        secrets: match refers {
            true => snapshot.secrets_in(question.environment, entry)?,
            false => Vec::new(),
        },
        entry: Arc::clone(entry),
    })
}

/// The entries under any of `prefixes`, by path; all of them when `None`.
fn entries(
    snapshot: &Snapshot,
    environment: &EnvironmentName,
    prefixes: Option<&[EntryPath]>,
) -> Result<Vec<Arc<Entry>>, ReadError> {
    let Some(prefixes) = prefixes else {
        return snapshot.entries(environment, None);
    };
    let mut all = Vec::new();
    for prefix in prefixes {
        all.extend(snapshot.entries(environment, Some(prefix))?);
    }
    all.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(all)
}
