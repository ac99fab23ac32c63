//! The state directory: owns its mode, its lock and the names of what lies in it. What is in it
//! is sealed or public; it must be this sidecar's own, for it holds what must not be rolled back.

use std::fs::File;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use crate::error::StartError;

/// A locked state directory.
#[derive(Debug)]
pub struct Home {
    directory: PathBuf,
    _lock: File,
}

impl Home {
    /// Makes the directory if need be, checks it and locks it.
    ///
    /// # Errors
    /// [`StartError::State`].
    pub fn open(directory: &Path) -> Result<Self, StartError> {
        let failed = |problem: String| StartError::State {
            directory: directory.display().to_string(),
            problem,
        };
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(|error| failed(format!("could not make it: {error}")))?;
        let mode = std::fs::metadata(directory)
            .map_err(|error| failed(error.to_string()))?
            .mode();
        if mode & 0o022 != 0 {
            return Err(failed(format!(
                "others may write it (mode {:04o}): run `chmod go-w` on it",
                mode & 0o7777
            )));
        }
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let lock = rustix::fs::open(directory.join("lock"), flags, Mode::RUSR | Mode::WUSR)
            .map_err(|errno| failed(format!("could not lock it: {errno}")))?;
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                return Err(failed(
                    "another sidecar uses it: give each its own `state`".into(),
                ));
            }
            Err(errno) => return Err(failed(format!("could not lock it: {errno}"))),
        }
        Ok(Self {
            directory: directory.to_owned(),
            _lock: File::from(lock),
        })
    }

    /// The file of the highest verified revision.
    #[must_use]
    pub fn trust(&self) -> PathBuf {
        self.directory.join("trust")
    }

    /// The sealed copy of the store.
    #[must_use]
    pub fn copy(&self) -> PathBuf {
        self.directory.join("copy.db")
    }
}
