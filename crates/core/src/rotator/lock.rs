//! One rotator a secret and host: owns the lock file. Programs of a rotator inherit the lock, so that
//! it ends with the last of them, also when the rotator was killed. It must not know what they do.
//!
//! The file holds 16 random bytes in hex, which name the place, then who is at work. Whoever holds the
//! lock of a place knows that no other program of that place is at work.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::{Errno, FdFlags, fcntl_setfd};

use crate::ambient::Ambient;
use crate::id::{Hash, PlaceId};

/// Hex digits of the place, and a newline.
const PLACE: usize = 33;

/// A lock that is held.
#[derive(Debug)]
pub struct Lock {
    file: File,
    place: PlaceId,
}

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
    pub fn take(path: &Path, patience: Duration, ambient: &Ambient) -> Result<Self, LockError> {
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
                Err(Errno::WOULDBLOCK) => {
                    return Err(LockError::Held {
                        holder: holder(&file),
                    });
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(LockError::Io(error.into())),
            }
        }
        fcntl_setfd(&file, FdFlags::empty()).map_err(io::Error::from)?;
        let place = place(&file, ambient)?;
        let lock = Self { file, place };
        lock.note(std::process::id())?;
        Ok(lock)
    }

    /// Where it lies. A host that was copied has another name, and so is another place.
    #[must_use]
    pub fn place(&self) -> PlaceId {
        self.place
    }

    /// Notes who is at work, for whoever finds the lock held.
    pub(super) fn note(&self, process: u32) -> io::Result<()> {
        let mut file = &self.file;
        file.set_len(PLACE as u64)?;
        file.seek(SeekFrom::Start(PLACE as u64))?;
        file.write_all(format!("process {process}").as_bytes())
    }
}

/// The place of a file that is locked; a new one where it has none.
fn place(mut file: &File, ambient: &Ambient) -> io::Result<PlaceId> {
    let mut text = [0; PLACE];
    file.seek(SeekFrom::Start(0))?;
    let known = file.read_exact(&mut text).is_ok()
        && text.ends_with(b"\n")
        && text.iter().take(PLACE - 1).all(u8::is_ascii_hexdigit);
    if !known {
        let random = ambient.random().map_err(io::Error::other)?;
        file.set_len(0)?;
        file.seek(SeekFrom::Start(0))?;
        file.write_all(format!("{}\n", PlaceId(random)).as_bytes())?;
        file.seek(SeekFrom::Start(0))?;
        file.read_exact(&mut text)?;
    }
    // Without a name it is the file alone that tells places apart.
    let host = std::fs::read("/proc/sys/kernel/hostname").unwrap_or_default();
    let hash = Hash::of_parts(&[&text, &host]);
    Ok(PlaceId(hash.0.first_chunk().copied().unwrap_or_default()))
}

fn holder(file: &File) -> String {
    let mut text = String::new();
    let mut file = file;
    let read = file
        .seek(SeekFrom::Start(PLACE as u64))
        .and_then(|_| file.take(100).read_to_string(&mut text));
    let fine = read.is_ok() && !text.is_empty() && !text.contains(char::is_control);
    if fine {
        text
    } else {
        "its number is not known".into()
    }
}
