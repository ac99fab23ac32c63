//! The store's file as the operating system sees it: owns its place, identity, permissions and
//! the touch that notifies. Never opens and closes the file itself once it is a database: closing
//! any descriptor of it would drop the locks that SQLite holds in this process.

use std::ffi::OsString;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{self, AtFlags, CWD, Gid, Mode, OFlags, Timespec, Timestamps, UTIME_NOW, Uid};

use crate::store::StoreError;

/// Which file it is: device and inode.
pub(super) type FileId = (u64, u64);

/// Where a store is, as its user gave it.
#[derive(Clone, Debug)]
pub(super) struct Place {
    path: PathBuf,
}

impl Place {
    pub(super) fn new(path: &Path) -> Self {
        // Absolute, so that a later change of the working directory changes nothing.
        Self {
            path: std::path::absolute(path).unwrap_or_else(|_| path.to_owned()),
        }
    }

    /// The file of this name with `suffix` at its end; beside the store itself where this is a link.
    pub(super) fn beside(&self, suffix: &str) -> Self {
        let path = self.resolve().unwrap_or_else(|_| self.path.clone());
        Self {
            path: beside(&path, suffix),
        }
    }

    /// True when nothing was ever written there.
    pub(super) fn is_empty(&self) -> bool {
        std::fs::metadata(&self.path).is_ok_and(|metadata| metadata.len() == 0)
    }

    pub(super) fn location(&self) -> String {
        format!("sqlite:{}", self.path.display())
    }

    pub(super) fn unreachable(&self, reason: impl Into<String>) -> StoreError {
        StoreError::Unreachable {
            location: self.location(),
            reason: reason.into(),
        }
    }

    pub(super) fn damaged(&self, reason: impl Into<String>) -> StoreError {
        StoreError::Damaged {
            location: self.location(),
            reason: reason.into(),
        }
    }

    pub(super) fn read_only(&self, reason: impl Into<String>) -> StoreError {
        StoreError::ReadOnly {
            location: self.location(),
            reason: reason.into(),
        }
    }

    /// The error for a failed system call on the file.
    pub(super) fn io(&self, error: &io::Error) -> StoreError {
        match error.kind() {
            io::ErrorKind::NotFound => StoreError::Missing {
                location: self.location(),
            },
            _ => self.unreachable(error.to_string()),
        }
    }

    /// The error for a file that SQLite could not open; looks for the reason.
    pub(super) fn cannot_open(&self, words: &str) -> StoreError {
        match self.companions_in_reach().and_then(|()| self.file()) {
            Err(error) => error,
            Ok(_) => self.unreachable(format!(
                "{words}; its `-wal` and `-shm` files must be there, or the directory must allow making them"
            )),
        }
    }

    /// The file itself, with links followed; SQLite puts the companions beside that.
    pub(super) fn resolve(&self) -> Result<PathBuf, StoreError> {
        std::fs::canonicalize(&self.path).map_err(|error| self.io(&error))
    }

    /// Which file is there now.
    pub(super) fn file(&self) -> Result<FileId, StoreError> {
        let metadata = std::fs::metadata(&self.path).map_err(|error| self.io(&error))?;
        if !metadata.is_file() {
            return Err(self.damaged("this is not a file"));
        }
        Ok((metadata.dev(), metadata.ino()))
    }

    /// Touches the file, which wakes every process that watches it. An error means that the
    /// commit went into a file, `written`, that is no longer the store.
    pub(super) fn touch(&self, written: FileId) -> Result<(), StoreError> {
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_NOW,
        };
        let times = Timestamps {
            last_access: now,
            last_modification: now,
        };
        // Without success here readers still find the commit, by their slow look.
        let _ = fs::utimensat(CWD, &self.path, &times, AtFlags::empty());
        match self.file()? == written {
            true => Ok(()),
            false => Err(self.unreachable("another file took its place during the commit")),
        }
    }

    /// Holds that a process that may not write finds companions it can read, since it must not
    /// make its own: a writer could not use them.
    pub(super) fn companions_in_reach(&self) -> Result<(), StoreError> {
        let path = self.resolve()?;
        if may(&path, fs::Access::WRITE_OK).is_ok() {
            return Ok(());
        }
        may(&path, fs::Access::READ_OK).map_err(|error| self.unreachable(error.to_string()))?;
        for suffix in COMPANIONS {
            if let Err(error) = may(&beside(&path, suffix), fs::Access::READ_OK) {
                return Err(self.unreachable(format!(
                    "its `{suffix}` file cannot be read: {error}; it must be there with the owner and \
                     permissions of the store file: let a process that may write open the store once"
                )));
            }
        }
        Ok(())
    }
}

/// Gives the companions of the file at `path` its owner and permissions, as far as this process
/// may, so that a `chmod` or `chown` of the store file alone is enough to let others read it.
pub(super) fn align(path: &Path) -> io::Result<()> {
    let store = std::fs::metadata(path)?;
    for suffix in COMPANIONS {
        // Such a descriptor cannot drop SQLite's locks when it is closed.
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let companion = std::fs::File::from(fs::openat(CWD, beside(path, suffix), flags, Mode::empty())?);
        let found = companion.metadata()?;
        // Of another name somewhere, it may be a file that is not SQLite's.
        if !found.is_file() || found.nlink() != 1 {
            continue;
        }
        if (found.uid(), found.gid()) != (store.uid(), store.gid()) {
            let (owner, group) = (Uid::from_raw(store.uid()), Gid::from_raw(store.gid()));
            fs::chownat(&companion, "", Some(owner), Some(group), AtFlags::EMPTY_PATH)?;
        }
        if found.mode() != store.mode() {
            // The only way to change the mode through such a descriptor.
            let through = format!("/proc/self/fd/{}", companion.as_raw_fd());
            std::fs::set_permissions(through, store.permissions())?;
        }
    }
    Ok(())
}

/// What SQLite keeps beside a database in WAL mode.
const COMPANIONS: [&str; 2] = ["-wal", "-shm"];

/// `path` with `suffix` at its end.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

fn may(path: &Path, access: fs::Access) -> io::Result<()> {
    Ok(fs::accessat(CWD, path, access, AtFlags::EACCESS)?)
}

/// Makes the empty file, closed again before SQLite sees it.
pub(super) fn create(place: &Place) -> Result<(), StoreError> {
    let path = &place.path;
    let directory = path.parent().unwrap_or(Path::new("/"));
    let allowed = match std::fs::metadata(directory) {
        Ok(metadata) if metadata.is_dir() => metadata.mode() & 0o060,
        Ok(_) => return Err(place.unreachable("its directory is not a directory")),
        Err(error) => return Err(place.unreachable(format!("its directory: {error}"))),
    };
    for suffix in COMPANIONS.into_iter().chain(["-journal"]) {
        // SQLite would take them for this store's own and replay them.
        if beside(path, suffix).symlink_metadata().is_ok() && path.symlink_metadata().is_err() {
            return Err(place.unreachable(format!(
                "a `{suffix}` file of an earlier store is in the way; move it away first"
            )));
        }
    }
    let opened = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    let made = opened.and_then(|file| {
        file.set_permissions(std::fs::Permissions::from_mode(0o600 | allowed))?;
        std::fs::File::open(directory)?.sync_all()
    });
    made.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => StoreError::Exists {
            location: place.location(),
        },
        _ => place.unreachable(error.to_string()),
    })
}

/// Makes the empty file at `place`, with owner and permissions of the store at `store` as far as this
/// process may; one that is there stays.
pub(super) fn create_like(place: &Place, store: &Place) -> Result<(), StoreError> {
    let made = || -> io::Result<()> {
        let store = std::fs::metadata(&store.path)?;
        let opened = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&place.path);
        let file = match opened {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
            opened => opened?,
        };
        let (owner, group) = (Uid::from_raw(store.uid()), Gid::from_raw(store.gid()));
        // a group that this process is not in gets nothing
        let is_given = fs::fchown(&file, Some(owner), Some(group)).is_ok()
            || fs::fchown(&file, None, Some(group)).is_ok();
        let mode = store.mode() & if is_given { 0o666 } else { 0o606 };
        file.set_permissions(std::fs::Permissions::from_mode(0o600 | mode))
    };
    made().map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            place.read_only(format!("it cannot be made: {error}"))
        }
        _ => place.io(&error),
    })
}

/// Removes a file that [`create`] has just made and that did not become a store.
pub(super) fn remove(place: &Place) {
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let _ = std::fs::remove_file(beside(&place.path, suffix));
    }
}
