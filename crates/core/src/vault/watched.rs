//! One config document, followed as a type: owns telling its reader only what is valid and new. It
//! must not know how revisions come about.

use std::sync::{Arc, Weak};

use serde::de::DeserializeOwned;

use super::{Event, Vault, Watch};
use crate::id::Revision;
use crate::name::{EntryPath, EnvironmentName};
use crate::snapshot::{ReadError, Snapshot};

/// A config document and its next values. What does not fit its schema or the type is passed over: the
/// last good value stays.
pub struct ConfigWatch<T> {
    vault: Weak<Vault>,
    watch: Watch,
    environment: EnvironmentName,
    path: EntryPath,
    seen: Revision,
    current: Arc<T>,
}

impl<T> std::fmt::Debug for ConfigWatch<T> {
    /// Without the value, which may have secrets in it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ConfigWatch({} in {})", self.path, self.environment)
    }
}

impl Vault {
    /// The config at `path` as a `T`, and its values from now on. Commits of other processes are seen
    /// after [`Vault::follow`].
    ///
    /// # Errors
    /// [`ReadError`] when the document is not there or is no `T`.
    pub fn watch_config<T: DeserializeOwned + PartialEq>(
        self: &Arc<Self>,
        environment: &EnvironmentName,
        path: &EntryPath,
    ) -> Result<ConfigWatch<T>, ReadError> {
        // Before the first read: nothing is missed in between.
        let watch = self.watch();
        let snapshot = self.snapshot();
        Ok(ConfigWatch {
            vault: Arc::downgrade(self),
            watch,
            current: Arc::new(snapshot.config(environment, path)?),
            environment: environment.clone(),
            path: path.clone(),
            seen: snapshot.revision(),
        })
    }
}

impl<T: DeserializeOwned + PartialEq> ConfigWatch<T> {
    /// The last good value.
    #[must_use]
    pub fn current(&self) -> &Arc<T> {
        &self.current
    }

    /// Waits for the next value that is valid and differs from the last; `None` when the vault is gone.
    pub async fn next(&mut self) -> Option<Arc<T>> {
        loop {
            let event = self.watch.next().await?;
            if let Some(value) = self.after(&event) {
                return Some(value);
            }
        }
    }

    /// The same, blocking this thread; not for async contexts.
    pub fn next_blocking(&mut self) -> Option<Arc<T>> {
        loop {
            let event = self.watch.next_blocking()?;
            if let Some(value) = self.after(&event) {
                return Some(value);
            }
        }
    }

    /// The next value that is already there, without waiting.
    pub fn try_next(&mut self) -> Option<Arc<T>> {
        while let Some(event) = self.watch.try_next() {
            if let Some(value) = self.after(&event) {
                return Some(value);
            }
        }
        None
    }

    fn after(&mut self, event: &Event) -> Option<Arc<T>> {
        match event {
            Event::Revised(_) | Event::Lagged => {}
            Event::Refused { .. } | Event::StoreLost { .. } | Event::StoreBack => return None,
        }
        // Several events may be of one swap; the newest snapshot has them all.
        let snapshot = self.vault.upgrade()?.snapshot();
        if snapshot.revision() == self.seen {
            return None;
        }
        self.seen = snapshot.revision();
        let value = good(&snapshot, &self.environment, &self.path).filter(|value| *value != *self.current)?;
        self.current = Arc::new(value);
        Some(Arc::clone(&self.current))
    }
}

/// The document as a `T`, where it fits its schema and the type.
pub(super) fn good<T: DeserializeOwned>(
    snapshot: &Snapshot,
    environment: &EnvironmentName,
    path: &EntryPath,
) -> Option<T> {
    let unfit = snapshot.check_config(environment, path).ok()?;
    if !unfit.is_empty() {
        return None;
    }
    snapshot.config(environment, path).ok()
}
