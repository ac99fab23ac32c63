//! The files of one revision on disk: owns writing a tree and telling whether one is as it
//! should be. It must not know which tree is in use.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{FileType, Gid, Mode, OFlags, Stat, Uid};
use rustix::io::Errno;
use zeroize::Zeroizing;

use super::error::{CHOWN, Failed, Trying as _};
use super::names::{Files, REVISION};
use super::{FilesSettings, at};

/// How a file is opened to be looked at; a pipe in its place is not waited for.
const FILE: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK);

/// Owner and permissions of everything in a tree: this process's own where none are asked for, so
/// that an owner of before, or the group a directory hands down, does not stay.
#[derive(Clone, Copy, Debug)]
pub(super) struct Access {
    file: Mode,
    directory: Mode,
    uid: Uid,
    gid: Gid,
}

impl Access {
    pub(super) fn of(settings: &FilesSettings) -> Self {
        let own = rustix::process::geteuid();
        let uid = settings.uid.map_or(own, Uid::from_raw);
        let gid = settings.gid.map_or_else(rustix::process::getegid, Gid::from_raw);
        // who may read a file may search its directory; only this process may change it
        let search = settings.mode | ((settings.mode & 0o444) >> 2);
        let directory = (search & 0o555) | if uid == own { 0o700 } else { 0 };
        Self {
            file: Mode::from_raw_mode(settings.mode),
            directory: Mode::from_raw_mode(directory),
            uid,
            gid,
        }
    }

    fn set(self, fd: impl AsFd, mode: Mode) -> Result<(), Failed> {
        let stat = rustix::fs::fstat(fd.as_fd()).trying("look at files")?;
        // some file systems know one owner only, and refuse even to be told the same again
        if !self.is_owner(&stat) {
            rustix::fs::fchown(fd.as_fd(), Some(self.uid), Some(self.gid)).trying(CHOWN)?;
        }
        rustix::fs::fchmod(fd.as_fd(), mode).trying("set the mode of files")
    }

    fn is_owner(self, stat: &Stat) -> bool {
        (stat.st_uid, stat.st_gid) == (self.uid.as_raw(), self.gid.as_raw())
    }

    fn is_set(self, stat: &Stat, mode: Mode) -> bool {
        Mode::from_raw_mode(stat.st_mode) == mode && self.is_owner(stat)
    }
}

/// Writes `files` and their revision into the empty directory `root`.
pub(super) fn write(
    root: &OwnedFd,
    files: &Files<'_>,
    revision: u64,
    access: Access,
    durable: bool,
) -> Result<(), Failed> {
    for (name, value) in files {
        let (parent, leaf) = match name.as_str().rsplit_once('/') {
            Some((above, leaf)) => (Some(descend(root, above, true)?), leaf),
            None => (None, name.as_str()),
        };
        let parent = parent.as_ref().unwrap_or(root);
        value.expose(|bytes| write_file(parent, leaf, bytes, access, durable))?;
    }
    write_file(root, REVISION, &revision_text(revision), access, durable)?;
    // deepest first: a directory is closed only after what is in it
    for directory in directories(files).into_iter().rev() {
        let fd = descend(root, directory, false)?;
        finish_directory(&fd, access, durable)?;
    }
    finish_directory(root, access, durable)
}

/// Replaces the revision of a tree whose files stay as they are.
pub(super) fn freshen(root: &OwnedFd, revision: u64, access: Access, durable: bool) -> Result<(), Failed> {
    const FRESH: &str = ".revision-fresh";
    match rustix::fs::unlinkat(root, FRESH, rustix::fs::AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(errno) => return Err(errno).trying("remove files"),
    }
    write_file(root, FRESH, &revision_text(revision), access, durable)?;
    rustix::fs::renameat(root, FRESH, root, REVISION).trying("replace the revision")
}

/// True when `root` holds `files`, each with its bytes, and nothing else, and all of it has the
/// owner and mode it should have.
pub(super) fn holds(root: &OwnedFd, files: &Files<'_>, access: Access) -> Result<bool, Errno> {
    let directories = directories(files);
    let expected = directories.len() + files.len() + 1;
    if count(root)? != expected || !access.is_set(&rustix::fs::fstat(root)?, access.directory) {
        return Ok(false);
    }
    let directory = OFlags::RDONLY | OFlags::DIRECTORY;
    for name in directories {
        if found(root, name, directory, access, access.directory)?.is_none() {
            return Ok(false);
        }
    }
    if found(root, REVISION, FILE, access, access.file)?.is_none() {
        return Ok(false);
    }
    for (name, value) in files {
        let file = found(root, name.as_str(), FILE, access, access.file)?;
        if !file.is_some_and(|fd| value.expose(|bytes| contains(File::from(fd), bytes))) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Opens `name` when it is there with its owner and mode.
fn found(
    root: &OwnedFd,
    name: &str,
    flags: OFlags,
    access: Access,
    mode: Mode,
) -> Result<Option<OwnedFd>, Errno> {
    match open_below(root, name, flags) {
        Ok(fd) => Ok(access.is_set(&rustix::fs::fstat(&fd)?, mode).then_some(fd)),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// The revision that `root` says it is of.
pub(super) fn revision(root: &OwnedFd) -> Option<u64> {
    let mut text = String::new();
    let file = File::from(open_below(root, REVISION, FILE).ok()?);
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim_end().parse().ok()
}

fn revision_text(revision: u64) -> Vec<u8> {
    format!("{revision}\n").into_bytes()
}

/// Every directory that `files` need, parents before what they hold.
fn directories<'a>(files: &'a Files<'_>) -> BTreeSet<&'a str> {
    let mut directories = BTreeSet::new();
    for name in files.keys().map(super::FileName::as_str) {
        directories.extend(name.match_indices('/').filter_map(|(end, _)| name.get(..end)));
    }
    directories
}

fn open_below(root: &OwnedFd, name: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    match name.rsplit_once('/') {
        Some((above, leaf)) => {
            let mut dir = rustix::io::fcntl_dupfd_cloexec(root, 0)?;
            for segment in above.split('/') {
                dir = at::open_directory(&dir, segment)?;
            }
            at::open(&dir, leaf, flags, Mode::empty())
        }
        None => at::open(root, name, flags, Mode::empty()),
    }
}

fn descend(root: &OwnedFd, path: &str, create: bool) -> Result<OwnedFd, Failed> {
    let mut at: Option<OwnedFd> = None;
    for segment in path.split('/') {
        let dir = at.as_ref().unwrap_or(root);
        if create {
            match rustix::fs::mkdirat(dir, segment, Mode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno).trying("make directories"),
            }
        }
        at = Some(at::open_directory(dir, segment).trying("open directories")?);
    }
    at.ok_or(Failed {
        action: "open directories",
        errno: Errno::NOENT,
    })
}

fn write_file(dir: &OwnedFd, name: &str, bytes: &[u8], access: Access, durable: bool) -> Result<(), Failed> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
    let fd = at::open(dir, name, flags, Mode::RUSR | Mode::WUSR).trying("create files")?;
    let mut file = File::from(fd);
    file.write_all(bytes).map_err(|error| Failed {
        action: "write files",
        errno: Errno::from_io_error(&error).unwrap_or(Errno::IO),
    })?;
    access.set(&file, access.file)?;
    if durable {
        rustix::fs::fdatasync(&file).trying("write files")?;
    }
    Ok(())
}

fn finish_directory(fd: &OwnedFd, access: Access, durable: bool) -> Result<(), Failed> {
    if durable {
        rustix::fs::fsync(fd).trying("write directories")?;
    }
    access.set(fd, access.directory)
}

fn contains(file: File, bytes: &[u8]) -> bool {
    // one byte more than expected tells a longer file; the room is exact so that no copy is left
    let room = bytes.len().saturating_add(1);
    let mut found = Zeroizing::new(Vec::with_capacity(room));
    let limit = u64::try_from(room).unwrap_or(u64::MAX);
    file.take(limit).read_to_end(&mut found).is_ok() && found.as_slice() == bytes
}

fn count(dir: &OwnedFd) -> Result<usize, Errno> {
    let mut total = 0;
    for (name, kind) in at::list(dir)? {
        total += 1;
        if kind == FileType::Directory {
            total += count(&at::open_directory(dir, &*name)?)?;
        }
    }
    Ok(total)
}
