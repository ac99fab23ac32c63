//! Files of targets: owns reading one and putting another in its place whole, with the same owner and
//! mode. No symbolic link is followed, neither on the way nor at its end. It must not know what is in it.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{
    AtFlags, FileType, FlockOperation, Gid, Mode, OFlags, ResolveFlags, Stat, Uid, fchmod, fchown, flock,
    fstat, fsync, openat, openat2, renameat, unlinkat,
};
use rustix::io::Errno;
use zeroize::Zeroizing;

use crate::rotator::Trouble;

/// Largest file that is read, bytes.
const LARGEST: u64 = 1 << 20;

/// Where a file is.
pub(super) struct Place<'a> {
    path: &'a str,
    directory: OwnedFd,
    name: OsString,
}

/// A file as it was found.
pub(super) struct Found {
    pub(super) bytes: Zeroizing<Vec<u8>>,
    stat: Stat,
}

impl<'a> Place<'a> {
    pub(super) fn of(path: &'a str) -> Result<Self, Trouble> {
        let failed = |error: Errno| trouble(path, &error.into());
        let (Some(above), Some(name)) = (Path::new(path).parent(), Path::new(path).file_name()) else {
            return Err(Trouble::Failed(format!("{path} is no path of a file")));
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = openat2(
            rustix::fs::CWD,
            above,
            flags,
            Mode::empty(),
            ResolveFlags::NO_SYMLINKS,
        )
        .map_err(failed)?;
        Ok(Self {
            path,
            directory,
            name: name.to_owned(),
        })
    }

    /// As [`Place::of`]; while it lives, no other rotator changes a file of the directory.
    pub(super) fn held(path: &'a str, patience: Duration) -> Result<Self, Trouble> {
        let place = Self::of(path)?;
        let began = Instant::now();
        loop {
            match flock(&place.directory, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(place),
                Err(Errno::WOULDBLOCK | Errno::INTR) if began.elapsed() < patience => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                Err(Errno::WOULDBLOCK | Errno::INTR) => {
                    let text = format!("another program holds the directory of {path}");
                    return Err(Trouble::Later(text));
                }
                Err(error) => return Err(trouble(path, &error.into())),
            }
        }
    }

    pub(super) fn read(&self) -> Result<Found, Trouble> {
        let failed = |error: io::Error| trouble(self.path, &error);
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = openat(&self.directory, &self.name, flags, Mode::empty()).map_err(|e| failed(e.into()))?;
        let stat = fstat(&file).map_err(|error| failed(error.into()))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(Trouble::Failed(format!("{} is no regular file", self.path)));
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(4_096));
        let read = File::from(file).take(LARGEST + 1).read_to_end(&mut bytes);
        if read.map_err(failed)? as u64 > LARGEST {
            return Err(Trouble::Failed(format!("{} is too large", self.path)));
        }
        Ok(Found { bytes, stat })
    }

    /// Puts `bytes` in the place of what was found, whole or not at all, and durably.
    pub(super) fn replace(&self, found: &Found, bytes: &[u8]) -> Result<(), Trouble> {
        let mut beside = OsString::from(".");
        beside.push(&self.name);
        beside.push(".strongroom");
        // What a rotator left that was killed.
        let _ = unlinkat(&self.directory, &beside, AtFlags::empty());
        let done = self.put(&beside, found, bytes);
        if done.is_err() {
            let _ = unlinkat(&self.directory, &beside, AtFlags::empty());
        }
        done.map_err(|error| trouble(self.path, &error))
    }

    fn put(&self, beside: &OsString, found: &Found, bytes: &[u8]) -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(&self.directory, beside, flags, Mode::RUSR | Mode::WUSR)?;
        let (was, is) = (&found.stat, fstat(&file)?);
        if (was.st_uid, was.st_gid) != (is.st_uid, is.st_gid) {
            let (owner, group) = (Uid::from_raw(was.st_uid), Gid::from_raw(was.st_gid));
            fchown(&file, Some(owner), Some(group))?;
        }
        fchmod(&file, Mode::from_raw_mode(was.st_mode))?;
        let mut file = File::from(file);
        file.write_all(bytes)?;
        file.sync_all()?;
        renameat(&self.directory, beside, &self.directory, &self.name)?;
        Ok(fsync(&self.directory)?)
    }
}

fn trouble(path: &str, error: &io::Error) -> Trouble {
    let text = match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::LOOP) => {
            format!("{path} is or lies behind a symbolic link, which is not followed: name the file itself")
        }
        Some(Errno::NOENT) => format!("{path} is not there: make it first"),
        _ => format!("{path}: {error}"),
    };
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Trouble::Later(text),
        _ => Trouble::Failed(text),
    }
}
