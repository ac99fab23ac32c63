//! One rotator a secret and host: owns the lock file. Programs of a rotator inherit the lock, so that
//! it ends with the last of them, also when the rotator was killed. It must not know what they do.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::{Errno, FdFlags, fcntl_setfd};

/// A lock that is held.
#[derive(Debug)]
pub struct Lock(File);

/// Why a lock is not held.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another program holds it.
    #[error(
        "another program on this host is at work on this rotation ({holder}); wait until it has ended, or end it"
    )]
    Held {
        /// Its number, where it is known.
        holder: String,
    },
    /// The file cannot be used.
    #[error("the lock file of the rotation: {0}")]
    Io(#[from] io::Error),
}

impl Lock {
    /// Takes the lock, waiting at most `patience` for whoever holds it. Blocks.
    ///
    /// # Errors
    /// [`LockError`].
    pub fn take(path: &Path, patience: Duration) -> Result<Self, LockError> {
        if let Some(directory) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        }
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)?;
        let began = Instant::now();
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => break,
                Err(Errno::WOULDBLOCK) if began.elapsed() < patience => {
                    std::thread::sleep(Duration::from_millis(50));
                }
                Err(Errno::WOULDBLOCK) => return Err(LockError::Held { holder: holder(file) }),
                Err(Errno::INTR) => {}
                Err(error) => return Err(LockError::Io(error.into())),
            }
        }
        fcntl_setfd(&file, FdFlags::empty()).map_err(io::Error::from)?;
        let lock = Self(file);
        lock.note(std::process::id())?;
        Ok(lock)
    }

    /// Notes who is at work, for whoever finds the lock held.
    pub(super) fn note(&self, process: u32) -> io::Result<()> {
        let mut file = &self.0;
        file.set_len(0)?;
        file.seek(SeekFrom::Start(0))?;
        file.write_all(format!("process {process}").as_bytes())
    }
}

fn holder(file: File) -> String {
    let mut text = String::new();
    let read = file.take(100).read_to_string(&mut text);
    let fine = read.is_ok() && !text.is_empty() && !text.contains(char::is_control);
    if fine {
        text
    } else {
        "its number is not known".into()
    }
}
