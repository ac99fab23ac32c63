//! The flags of an environment: owns where a set lies and which flags are of it, and opening and compiling both.
//! It must not know contexts, nor keep what it compiled.
//!
//! A flag's path is its key. What flags below `web/` share lies at `web/@set`, and for those below no such entry
//! at `@set`; the nearest one counts alone. Both are inherited, the nearest layer wins.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Entry, ReadError, Snapshot};
use crate::flag::{Definition, Flag, FlagError, Set};
use crate::kind::Kind;
use crate::name::{EntryPath, EnvironmentName};
use crate::secret::Secret;
use crate::template::Unavailable;

/// The last segment of the path that a set lies at.
const SET: &str = "@set";

/// Whether what lies at `path` is a set and no flag.
#[must_use]
pub fn is_flag_set(path: &EntryPath) -> bool {
    path.as_str().rsplit('/').next() == Some(SET)
}

/// Whether what lies at `path` can be a flag of the set at `set`.
#[must_use]
pub fn is_below_set(path: &EntryPath, set: &EntryPath) -> bool {
    parent(set.as_str()).is_none_or(|directory| {
        let rest = path.as_str().strip_prefix(directory);
        rest.is_some_and(|rest| rest.starts_with('/'))
    })
}

/// A flag as an environment sees it, with the set that it is of.
#[derive(Clone, Debug)]
pub struct FlagEntry {
    /// The flag.
    pub flag: Arc<Entry>,
    /// Its set, where there is one.
    pub set: Option<Arc<Entry>>,
}

impl FlagEntry {
    /// Whether both are one, sealed in the same way too.
    pub(crate) fn is(&self, other: &Self) -> bool {
        let is_set = match (&self.set, &other.set) {
            (Some(own), Some(other)) => Arc::ptr_eq(own, other),
            (own, other) => own.is_none() && other.is_none(),
        };
        is_set && Arc::ptr_eq(&self.flag, &other.flag)
    }

    /// Whether the same revisions made both what they are: what is of another set than before is another flag too.
    #[must_use]
    pub fn is_as(&self, other: &Self) -> bool {
        let part = |entry: &Arc<Entry>| (entry.id, entry.revision);
        part(&self.flag) == part(&other.flag) && self.set.as_ref().map(part) == other.set.as_ref().map(part)
    }
}

/// The directory a path lies in; `None` for the top.
fn parent(path: &str) -> Option<&str> {
    path.rsplit_once('/').map(|(parent, _)| parent)
}

/// Where the set of the flag at `path` may lie, the nearest first.
fn sets_of(path: &str) -> impl Iterator<Item = String> {
    let directories = std::iter::successors(Some(parent(path)), |directory| directory.map(parent));
    directories.map(|directory| match directory {
        Some(directory) => format!("{directory}/{SET}"),
        None => SET.to_owned(),
    })
}

impl Snapshot {
    /// The flags that `environment` sees, by path.
    ///
    /// # Errors
    /// [`ReadError::NoEnvironment`].
    pub fn flag_entries(&self, environment: &EnvironmentName) -> Result<Vec<FlagEntry>, ReadError> {
        let entries = self.entries(environment, None)?.into_iter();
        let (sets, flags): (Vec<_>, Vec<_>) = entries
            .filter(|entry| entry.kind == Kind::Flag)
            .partition(|entry| is_flag_set(&entry.path));
        let sets: BTreeMap<_, _> = sets.iter().map(|set| (parent(set.path.as_str()), set)).collect();
        let set = |path: &str| {
            let mut directory = parent(path);
            loop {
                match (sets.get(&directory), directory) {
                    (Some(set), _) => return Some(Arc::clone(set)),
                    (None, None) => return None,
                    (None, Some(path)) => directory = parent(path),
                }
            }
        };
        let with_set = |flag: Arc<Entry>| FlagEntry {
            set: set(flag.path.as_str()),
            flag,
        };
        Ok(flags.into_iter().map(with_set).collect())
    }

    /// The flag at `path`, as `environment` sees it.
    ///
    /// # Errors
    /// [`ReadError`], also for what is no flag.
    pub fn flag_entry(
        &self,
        environment: &EnvironmentName,
        path: &EntryPath,
    ) -> Result<FlagEntry, ReadError> {
        let flag = self.entry(environment, path)?;
        if flag.kind != Kind::Flag || is_flag_set(path) {
            return Err(ReadError::Kind {
                environment: environment.clone(),
                path: path.clone(),
                found: flag.kind,
                wanted: Kind::Flag,
            });
        }
        for at in sets_of(path.as_str()) {
            let set = self.find(environment, &at)?;
            if let Some(set) = set.filter(|entry| entry.kind == Kind::Flag) {
                let set = Some(Arc::clone(set));
                return Ok(FlagEntry { flag, set });
            }
        }
        Ok(FlagEntry { flag, set: None })
    }

    /// Whether this identity does not open what may be a nearer set of a flag than the one that it sees.
    ///
    /// # Errors
    /// [`ReadError::NoEnvironment`].
    pub fn has_closed_set(
        &self,
        environment: &EnvironmentName,
        entry: &FlagEntry,
    ) -> Result<bool, ReadError> {
        let layers = self.layers(environment)?;
        let set = entry.set.as_ref().map(|set| set.path.as_str());
        for at in sets_of(entry.flag.path.as_str()) {
            let Ok(path) = EntryPath::new(&at) else {
                continue;
            };
            let seen = self.find(environment, &at)?;
            let mut nearer = layers
                .iter()
                .take_while(|layer| seen.is_none_or(|seen| seen.environment != **layer));
            if nearer.any(|layer| self.has_closed(layer, &path)) {
                return Ok(true);
            }
            if set == Some(at.as_str()) {
                break;
            }
        }
        Ok(false)
    }

    /// The flag at `key` with its set, compiled for a template. `open` gives what lies at the path of each, for
    /// whoever asks.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub fn flag_opened(
        &self,
        environment: &EnvironmentName,
        key: &EntryPath,
        open: impl Fn(&EntryPath) -> Result<Secret, Unavailable>,
    ) -> Result<Flag, Unavailable> {
        let broken = |error: FlagError| Unavailable::Flag(error.to_string());
        let definition = open(key)?;
        let entry = self.flag_entry(environment, key);
        let entry = entry.map_err(|error| Unavailable::Other(error.to_string()))?;
        let set = match entry.set {
            Some(set) => open(&set.path)?.expose(Set::parse).map_err(broken)?,
            None => Set::default(),
        };
        let flag = definition.expose(|definition| Flag::parse(key.as_str(), definition, &set));
        flag.map_err(broken)
    }

    /// Opens and compiles a set; one that says nothing where there is none.
    ///
    /// # Errors
    /// [`ReadError`]; inside, why it is no set.
    pub fn open_flag_set(&self, entry: Option<&Entry>) -> Result<Result<Set, FlagError>, ReadError> {
        match entry {
            Some(entry) => self.expose(entry, Set::parse),
            None => Ok(Ok(Set::default())),
        }
    }

    /// Opens a flag's definition.
    ///
    /// # Errors
    /// [`ReadError`]; inside, why it is none.
    pub fn open_flag(&self, entry: &Entry) -> Result<Result<Definition, FlagError>, ReadError> {
        self.expose(entry, Definition::parse)
    }
}
