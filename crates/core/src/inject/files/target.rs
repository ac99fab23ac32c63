//! The checks before anything is delivered into a directory: owns what is refused and why. It must
//! not know the layout.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{CWD, FileType, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use super::error::{Failed, Trying as _};
use super::{FilesError, FilesSettings, at};

/// Opens (or makes) `path` and locks it, if nobody else can interfere with what is in it.
pub(super) fn open(path: &Path, settings: &FilesSettings) -> Result<OwnedFd, FilesError> {
    let directory = path.to_owned();
    let failed = |failed| FilesError::from_failed(failed, path);
    match at::kind(CWD, path) {
        Ok(FileType::Directory) => {}
        Ok(FileType::Symlink) => return Err(FilesError::Symlink { directory }),
        Ok(_) => return Err(FilesError::NotDirectory { directory }),
        Err(Errno::NOENT) => create(path, settings).map_err(failed)?,
        Err(errno) => return Err(errno).trying("look at the directory").map_err(failed),
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rustix::fs::open(path, flags, Mode::empty())
        .trying("open the directory")
        .map_err(failed)?;
    let stat = rustix::fs::fstat(&fd)
        .trying("look at the directory")
        .map_err(failed)?;
    let own = rustix::process::geteuid().as_raw();
    if stat.st_uid != own && stat.st_uid != 0 {
        let owner = stat.st_uid;
        return Err(FilesError::Owner {
            directory,
            owner,
            own,
        });
    }
    let mode = Mode::from_raw_mode(stat.st_mode);
    if mode.intersects(Mode::WGRP | Mode::WOTH) && !mode.contains(Mode::SVTX) {
        return Err(FilesError::Writable { directory });
    }
    match rustix::fs::flock(&fd, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(fd),
        Err(Errno::WOULDBLOCK) => Err(FilesError::Busy { directory }),
        Err(errno) => Err(errno).trying("lock the directory").map_err(failed),
    }
}

/// Makes the directory itself: private, unless others are meant to read the files.
fn create(path: &Path, settings: &FilesSettings) -> Result<(), Failed> {
    let shared = settings.uid.is_some() || settings.gid.is_some() || settings.mode & 0o077 != 0;
    let mode = Mode::from_raw_mode(if shared { 0o755 } else { 0o700 });
    match rustix::fs::mkdir(path, mode) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(errno).trying("make the directory"),
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    // a umask may have taken more than was meant
    let fd = rustix::fs::open(path, flags, Mode::empty()).trying("open the directory")?;
    rustix::fs::fchmod(&fd, mode).trying("set the mode of the directory")
}

/// True on file systems that live in memory.
pub(super) fn is_volatile(fd: &OwnedFd) -> Result<bool, Failed> {
    const TMPFS_RAMFS: [rustix::fs::FsWord; 2] = [0x0102_1994, 0x8584_58f6];
    let kind = rustix::fs::fstatfs(fd).trying("look at the file system")?.f_type;
    Ok(TMPFS_RAMFS.contains(&kind))
}
