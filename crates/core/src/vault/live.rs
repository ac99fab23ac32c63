//! One config document that is always at hand as a type: owns keeping the last good value where any
//! thread takes it with one atomic load. It must not know how revisions come about.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use arc_swap::{ArcSwap, Guard};
use serde::de::DeserializeOwned;

use super::watched::good;
use super::{Vault, lock};
use crate::kind::Kind;
use crate::name::{EntryPath, EnvironmentName};
use crate::snapshot::{Changed, ReadError, Snapshot, governed_by};

/// Told of every snapshot that a vault swaps in.
pub(super) trait Live: Send + Sync {
    /// `snapshot` is the newest; `changes` led to it.
    fn revised(&self, snapshot: &Snapshot, changes: &[Changed]);
}

/// A config document as a `T`, always the last good one: what does not fit its schema or the type is passed
/// over. Clones share it.
pub struct LiveConfig<T>(Arc<Kept<T>>);

struct Kept<T> {
    environment: EnvironmentName,
    path: EntryPath,
    /// The secrets that it refers to.
    secrets: Mutex<Vec<EntryPath>>,
    value: ArcSwap<T>,
}

impl<T> Clone for LiveConfig<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> std::fmt::Debug for LiveConfig<T> {
    /// Without the value, which may have secrets in it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LiveConfig({} in {})", self.0.path, self.0.environment)
    }
}

impl<T> LiveConfig<T> {
    /// The last good value, borrowed; no lock, no allocation.
    #[must_use]
    pub fn load(&self) -> Guard<Arc<T>> {
        self.0.value.load()
    }
}

impl<T: DeserializeOwned + Send + Sync> Live for Kept<T> {
    fn revised(&self, snapshot: &Snapshot, changes: &[Changed]) {
        let mut secrets = lock(&self.secrets);
        let concerns = changes.iter().any(|change| match change.kind {
            Kind::Secret => change.environment == self.environment && secrets.contains(&change.path),
            // whatever it is that went: it may have hidden the document
            kind => change.path == self.path || governed_by(kind, &change.path).as_ref() == Some(&self.path),
        });
        if !concerns {
            return;
        }
        *secrets = secrets_of(snapshot, &self.environment, &self.path);
        if let Some(value) = good(snapshot, &self.environment, &self.path) {
            self.value.store(Arc::new(value));
        }
    }
}

fn secrets_of(snapshot: &Snapshot, environment: &EnvironmentName, path: &EntryPath) -> Vec<EntryPath> {
    let references = snapshot.references(environment, path).unwrap_or_default();
    references.into_iter().map(|reference| reference.secret).collect()
}

impl Vault {
    /// The config at `path` as a `T` that is always at hand. Commits of other processes are seen after
    /// [`Vault::follow`]; the thread that sees a revision reads the document, when it changed, while commits
    /// and refreshes wait: what reads or drops a `T` must not ask the vault for either. A panic there is
    /// as good as a document that does not fit.
    ///
    /// # Errors
    /// [`ReadError`] when the document is not there or is no `T`.
    pub fn live_config<T: DeserializeOwned + Send + Sync + 'static>(
        &self,
        environment: &EnvironmentName,
        path: &EntryPath,
    ) -> Result<LiveConfig<T>, ReadError> {
        // Held over the first read: whoever swaps another snapshot in tells those who are on the list by then.
        let mut lives = lock(&self.lives);
        let snapshot = self.snapshot();
        let kept = Arc::new(Kept {
            value: ArcSwap::from_pointee(snapshot.config(environment, path)?),
            secrets: Mutex::new(secrets_of(&snapshot, environment, path)),
            environment: environment.clone(),
            path: path.clone(),
        });
        lives.retain(|live| live.strong_count() > 0);
        let live: Arc<dyn Live> = kept.clone();
        lives.push(Arc::downgrade(&live));
        Ok(LiveConfig(kept))
    }

    /// Tells everyone who keeps a document at hand.
    pub(super) fn tell_live(&self, snapshot: &Snapshot, changes: &[Changed]) {
        let lives: Vec<_> = lock(&self.lives)
            .iter()
            .filter_map(std::sync::Weak::upgrade)
            .collect();
        for live in lives {
            // What a type does to read itself must not end the thread that follows the store.
            let _ = catch_unwind(AssertUnwindSafe(|| live.revised(snapshot, changes)));
        }
    }
}
