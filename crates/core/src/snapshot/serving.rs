//! What whoever serves one environment keeps beside a snapshot: owns the layers of his machine, and
//! which documents refer to which secrets, so that nothing is opened to know it. It must not know who is served.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Changed, Depth, Entry, Local, Locals, ReadError, Snapshot};
use crate::config::{self, Key};
use crate::kind::Kind;
use crate::name::{EntryPath, EnvironmentName};

/// Secrets by the document that refers to them.
type Referred = BTreeMap<EntryPath, Arc<[EntryPath]>>;

/// What is kept for one environment.
#[derive(Debug)]
pub(super) struct Serving {
    environment: EnvironmentName,
    locals: Arc<Locals>,
    referred: Referred,
}

impl Snapshot {
    /// The same for one who serves `environment`, with `locals` as the nearest layers: they change documents
    /// that are there, and make none. Opens every document once.
    ///
    /// # Errors
    /// [`ReadError::NoEnvironment`].
    pub fn serving(&self, environment: &EnvironmentName, locals: Arc<Locals>) -> Result<Self, ReadError> {
        let mut next = self.clone();
        next.keep(environment, locals, Referred::new());
        let mut referred = Referred::new();
        for path in next.documents(environment)? {
            next.refer(environment, path, &mut referred);
        }
        let locals = next.locals();
        next.keep(environment, locals, referred);
        Ok(next)
    }

    /// The same for whom `before` served, which `changes` led from to this: only what they touch is
    /// opened.
    ///
    /// # Errors
    /// [`ReadError::NoEnvironment`].
    pub fn serving_after(&self, before: &Self, changes: &[Changed]) -> Result<Self, ReadError> {
        let Some(kept) = before.serving.as_deref() else {
            return Ok(self.clone());
        };
        let mut next = self.clone();
        next.serving.clone_from(&before.serving);
        let touched = next.touched(&kept.environment, changes, Depth::Names)?;
        if touched.is_empty() {
            return Ok(next);
        }
        let mut referred = kept.referred.clone();
        for path in touched {
            next.refer(&kept.environment, path, &mut referred);
        }
        if referred != kept.referred {
            next.keep(&kept.environment, Arc::clone(&kept.locals), referred);
        }
        Ok(next)
    }

    fn keep(&mut self, environment: &EnvironmentName, locals: Arc<Locals>, referred: Referred) {
        self.serving = Some(Arc::new(Serving {
            environment: environment.clone(),
            locals,
            referred,
        }));
    }

    /// Looks again at what a document refers to. One that cannot be read refers to nothing: whoever reads it
    /// is told.
    fn refer(&self, environment: &EnvironmentName, path: EntryPath, referred: &mut Referred) {
        let now = self.look_up(environment, &path).unwrap_or_default();
        if now.is_empty() {
            referred.remove(&path);
        } else {
            referred.insert(path, now.into());
        }
    }

    fn look_up(&self, environment: &EnvironmentName, path: &EntryPath) -> Result<Vec<EntryPath>, ReadError> {
        let references = self.references(environment, path)?.into_iter();
        let mut secrets: Vec<_> = references.map(|reference| reference.secret).collect();
        secrets.sort_unstable();
        secrets.dedup();
        Ok(secrets)
    }

    /// What this machine says of config, where it serves an environment.
    #[must_use]
    pub fn locals(&self) -> Arc<Locals> {
        let serving = self.serving.as_deref();
        serving
            .map(|serving| Arc::clone(&serving.locals))
            .unwrap_or_default()
    }

    /// What this machine says of the config at `path`.
    #[must_use]
    pub fn local(&self, environment: &EnvironmentName, path: &EntryPath) -> Option<&Local> {
        self.kept(environment)?.locals.get(path)
    }

    fn kept(&self, environment: &EnvironmentName) -> Option<&Serving> {
        let serving = self.serving.as_deref();
        serving.filter(|serving| serving.environment == *environment)
    }

    /// The secrets that become part of `entry` as `environment` gets it, each once. Opens the document where
    /// nobody serves that environment.
    ///
    /// # Errors
    /// [`ReadError::NoSecret`].
    pub fn secrets_in(
        &self,
        environment: &EnvironmentName,
        entry: &Entry,
    ) -> Result<Vec<Arc<Entry>>, ReadError> {
        if entry.kind != Kind::Config {
            return Ok(Vec::new());
        }
        let looked_up;
        let secrets = match self.kept(environment) {
            Some(serving) => serving.referred.get(&entry.path).map_or(&[][..], |found| found),
            None => {
                looked_up = self.look_up(environment, &entry.path)?;
                &looked_up
            }
        };
        let found = |secret: &EntryPath| {
            let found = self.find(environment, secret.as_str())?;
            let found = found.filter(|found| found.kind == Kind::Secret);
            found.cloned().ok_or_else(|| ReadError::NoSecret {
                environment: environment.clone(),
                path: entry.path.clone(),
            })
        };
        secrets.iter().map(found).collect()
    }

    /// The keys under which the config at `path` delivers something else than `before` did, without what
    /// that is; `None` where it has no keys, or cannot be read.
    #[must_use]
    pub fn changed_keys(
        &self,
        before: &Self,
        environment: &EnvironmentName,
        path: &EntryPath,
    ) -> Option<Vec<Key>> {
        let (old, new) = (
            before.config_value(environment, path).ok()?,
            self.config_value(environment, path).ok()?,
        );
        let mut keys: Vec<_> = config::differing(&old, &new)
            .into_iter()
            .map(|(key, _)| key)
            .collect();
        let made = |snapshot: &Self, secret: &EntryPath| {
            let found = snapshot.find(environment, secret.as_str()).ok().flatten();
            found.map(|entry| (entry.id, entry.revision))
        };
        for reference in config::references(&new).ok()? {
            let is_news = made(before, &reference.secret) != made(self, &reference.secret);
            if is_news && !keys.iter().any(|key| key.holds(&reference.key)) {
                keys.push(reference.key);
            }
        }
        Some(keys)
    }

    /// The documents that refer to a secret, where this serves `environment`.
    pub fn referring_to<'a>(
        &'a self,
        environment: &EnvironmentName,
        secret: &'a EntryPath,
    ) -> impl Iterator<Item = &'a EntryPath> {
        let referred = self.kept(environment).map(|serving| &serving.referred);
        let all = referred.into_iter().flatten();
        all.filter(move |(_, secrets)| secrets.binary_search(secret).is_ok())
            .map(|(path, _)| path)
    }
}
