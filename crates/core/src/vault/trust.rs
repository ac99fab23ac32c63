//! What a reader remembers outside the store: owns the trust file and the options of opening.
//! Without it a storage could show yesterday's store and nobody would know.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::ambient::Ambient;
use crate::commit::Link;
use crate::id::{Hash, Revision};

/// The highest revision a reader has verified; it refuses anything less. Keep it outside the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trust {
    /// The store's fingerprint: the hash of its first commit.
    pub fingerprint: Hash,
    /// The revision.
    pub revision: Revision,
    /// The hash of that revision's commit.
    pub hash: Hash,
}

impl Trust {
    /// Reads a trust file; `None` when there is none yet.
    ///
    /// # Errors
    /// [`TrustError`] when it cannot be read or is not a trust file.
    pub fn load(path: &Path) -> Result<Option<Self>, TrustError> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(trouble(path, &error)),
        };
        Self::parse(&text).map(Some).ok_or_else(|| TrustError {
            path: path.display().to_string(),
            problem: "it is not a trust file; remove it only if you know why".into(),
        })
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let mut field = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ');
        let trust = Self {
            fingerprint: field("fingerprint")?.parse().ok()?,
            revision: field("revision")?.parse().ok()?,
            hash: field("hash")?.parse().ok()?,
        };
        lines.next().is_none().then_some(trust)
    }

    /// Writes a trust file atomically, mode 0600. A file of the same store and a higher revision
    /// is left.
    ///
    /// # Errors
    /// [`TrustError`].
    pub fn save(&self, path: &Path) -> Result<(), TrustError> {
        let trouble = |error| trouble(path, &error);
        // One at a time, so that a slower process cannot put an older revision over a newer one.
        let _lock = lock(path).map_err(trouble)?;
        let known = Self::load(path)?;
        if known.is_some_and(|known| known.fingerprint == self.fingerprint && known.revision >= self.revision)
        {
            return Ok(());
        }
        self.replace(path).map_err(trouble)
    }

    fn replace(&self, path: &Path) -> std::io::Result<()> {
        let new = beside(path, ".new");
        let mut file = private().truncate(true).open(&new)?;
        write!(
            file,
            "fingerprint {}\nrevision {}\nhash {}\n",
            self.fingerprint, self.revision, self.hash
        )?;
        file.sync_all()?;
        std::fs::rename(&new, path)?;
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
    }

    pub(super) fn link(&self) -> Link {
        Link {
            revision: self.revision,
            hash: self.hash,
        }
    }
}

/// Takes the lock beside a trust file; it is given back when it is dropped.
fn lock(path: &Path) -> std::io::Result<File> {
    let lock = private().open(beside(path, ".lock"))?;
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive)?;
    Ok(lock)
}

fn private() -> std::fs::OpenOptions {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).mode(0o600);
    options
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(suffix);
    path.with_file_name(name)
}

fn trouble(path: &Path, error: &std::io::Error) -> TrustError {
    TrustError {
        path: path.display().to_string(),
        problem: error.to_string(),
    }
}

/// A trust file could not be used.
#[derive(Debug, thiserror::Error)]
#[error("trust file {path}: {problem}")]
pub struct TrustError {
    /// The file.
    pub path: String,
    /// What is wrong.
    pub problem: String,
}

/// What a store is opened against.
#[derive(Debug)]
pub struct OpenOptions {
    /// The fingerprint the store must have; without it the first open trusts what it finds.
    pub fingerprint: Option<Hash>,
    /// What was verified before.
    pub trust: Option<Trust>,
    /// Clock and randomness.
    pub ambient: Ambient,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            fingerprint: None,
            trust: None,
            ambient: Ambient::system(),
        }
    }
}
