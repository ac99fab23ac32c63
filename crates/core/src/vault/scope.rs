//! Which entries are meant: owns the words for that, and history cut down to them. It must not know
//! what is done to the entries.

use std::collections::BTreeSet;

use super::Vault;
use super::error::OpenError;
use super::past::{BATCH, Past};
use crate::commit::Commit;
use crate::kind::Kind;
use crate::name::{EntryPath, EnvironmentName};

/// Some of the entries that an identity opens, present and past.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Only what was put into this environment itself.
    pub environment: Option<EnvironmentName>,
    /// Only these paths.
    pub paths: Paths,
    /// None of these kinds.
    pub without: BTreeSet<Kind>,
}

/// Which paths are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Paths {
    /// Every path.
    #[default]
    All,
    /// This one.
    One(EntryPath),
    /// This one and all below it.
    Under(EntryPath),
}

impl Scope {
    /// The entry that an environment itself has at a path.
    #[must_use]
    pub fn entry(environment: EnvironmentName, path: EntryPath) -> Self {
        Self {
            environment: Some(environment),
            paths: Paths::One(path),
            without: BTreeSet::new(),
        }
    }

    /// Whether an entry of this kind with these names is meant.
    #[must_use]
    pub fn holds(&self, environment: &EnvironmentName, path: &EntryPath, kind: Kind) -> bool {
        self.names(environment, path) && !self.without.contains(&kind)
    }

    /// Whether an entry with these names would be meant, if it were of the right kind.
    #[must_use]
    pub fn names(&self, environment: &EnvironmentName, path: &EntryPath) -> bool {
        self.environment
            .as_ref()
            .is_none_or(|wanted| wanted == environment)
            && match &self.paths {
                Paths::All => true,
                Paths::One(wanted) => wanted == path,
                Paths::Under(prefix) => path.is_under(prefix),
            }
    }
}

impl Vault {
    /// Commits that did something to entries of `scope`, newest first, at most `limit`, each with
    /// what it did to those alone. Names are sealed, so that the walk opens the descriptions of
    /// everything that was changed, until it has enough. Blocks.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn history_within(&self, scope: &Scope, limit: usize) -> Result<Vec<Past>, OpenError> {
        let now = self.snapshot();
        let mut found = Vec::new();
        let mut take = |commits: &mut Vec<Commit>| -> Result<bool, OpenError> {
            for mut past in self.describe(&now, &std::mem::take(commits))? {
                past.changes
                    .retain(|changed| scope.holds(&changed.environment, &changed.path, changed.kind));
                past.labels
                    .retain(|labels| scope.holds(&labels.environment, &labels.path, Kind::Secret));
                if found.len() < limit && !(past.changes.is_empty() && past.labels.is_empty()) {
                    found.push(past);
                }
            }
            Ok(found.len() < limit)
        };
        let (mut batch, mut failed) = (Vec::new(), None);
        self.back(&now, &mut |commit| {
            batch.push(commit);
            if batch.len() < BATCH {
                return true;
            }
            take(&mut batch).unwrap_or_else(|error| {
                failed = Some(error);
                false
            })
        })?;
        match failed {
            Some(error) => Err(error),
            None => take(&mut batch).map(|_| found),
        }
    }
}
