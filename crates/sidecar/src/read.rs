//! The only place that opens values: every plaintext that leaves this process, over the socket,
//! as a file or as a variable, was lent by [`open`]. What must hold before a value is released is
//! demanded here. It must not know HTTP.

use std::sync::Arc;

use strongroom_core::flag::{self, FlagError};
use strongroom_core::inject::{Material, Value, Wanted};
use strongroom_core::kind::Kind;
use strongroom_core::name::{EntryPath, EnvironmentName};
use strongroom_core::secret::Secret;
use strongroom_core::snapshot::{Entry, ReadError, Snapshot};

use crate::peer::Peer;

/// Who gets the value.
#[derive(Clone, Copy, Debug)]
pub enum Consumer<'a> {
    /// A process at the socket.
    Peer(&'a Peer),
    /// A directory or process of the settings, by its target.
    Injection(&'a str),
}

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
    /// A flag's definition was never checked: another program wrote it.
    #[error("{path:?}: {error}")]
    Flag {
        /// Its path.
        path: EntryPath,
        /// What is wrong.
        error: FlagError,
    },
}

/// Opens one entry of `snapshot` as `environment` sees it and lends its bytes to `f`. `None` for a
/// flag that has no default to inject: the consumer's own holds.
///
/// # Errors
/// [`Unread`].
pub fn open<R>(
    consumer: Consumer<'_>,
    snapshot: &Snapshot,
    environment: &EnvironmentName,
    entry: &Arc<Entry>,
    form: Form,
    f: impl FnOnce(&[u8]) -> R,
) -> Result<Option<R>, Unread> {
    tracing::trace!(?consumer, revision = snapshot.revision().0, path = %entry.path, "read");
    match (entry.kind, form) {
        (Kind::Config, _) => Ok(Some(snapshot.read(environment, &entry.path)?.value.expose(f))),
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

/// Opens everything an injection wants, of one revision.
///
/// # Errors
/// [`Unread`]; nothing is delivered.
pub fn material(
    target: &str,
    snapshot: &Snapshot,
    environment: &EnvironmentName,
    wanted: &Wanted,
) -> Result<Material, Unread> {
    let mut values = Vec::new();
    for entry in entries(snapshot, environment, wanted.prefixes())? {
        if !is_injected(entry.kind) {
            continue;
        }
        let consumer = Consumer::Injection(target);
        let bytes = open(
            consumer,
            snapshot,
            environment,
            &entry,
            Form::Injected,
            <[u8]>::to_vec,
        )?;
        values.extend(bytes.map(|bytes| Value {
            path: entry.path.clone(),
            kind: entry.kind,
            bytes: Secret::new(bytes),
        }));
    }
    Ok(Material {
        revision: snapshot.revision().0,
        values,
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
