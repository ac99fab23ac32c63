//! System calls relative to a directory's descriptor: owns how one name is opened, listed and
//! removed without following a symlink. It must not know the layout.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::path::Arg;

/// Deeper than any path of an entry: a hostile tree must not exhaust stack or descriptors.
const DEEPEST: usize = 300;

/// Opens `name`, one segment, in `dir`; never through a symlink or into another mount.
pub(super) fn open(
    dir: impl AsFd,
    name: impl Arg + Copy,
    flags: OFlags,
    mode: Mode,
) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::BENEATH
        | ResolveFlags::NO_SYMLINKS
        | ResolveFlags::NO_MAGICLINKS
        | ResolveFlags::NO_XDEV;
    let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    match rustix::fs::openat2(dir.as_fd(), name, flags, mode, resolve) {
        // Old kernels lack the call and old container profiles refuse it. For a single segment
        // the plain call with NOFOLLOW is as strict.
        Err(Errno::NOSYS | Errno::PERM) => rustix::fs::openat(dir.as_fd(), name, flags, mode),
        other => other,
    }
}

/// Opens the directory `name` in `dir`.
pub(super) fn open_directory(dir: impl AsFd, name: impl Arg + Copy) -> Result<OwnedFd, Errno> {
    open(dir, name, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())
}

/// What `dir` holds, without `.` and `..`.
pub(super) fn list(dir: impl AsFd) -> Result<Vec<(Box<CStr>, FileType)>, Errno> {
    let mut entries = Vec::new();
    for entry in Dir::read_from(dir.as_fd())? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let kind = match entry.file_type() {
            FileType::Unknown => kind(&dir, name)?,
            known => known,
        };
        entries.push((name.into(), kind));
    }
    Ok(entries)
}

/// What `name` is, not what it points to.
pub(super) fn kind(dir: impl AsFd, name: impl Arg) -> Result<FileType, Errno> {
    let stat = rustix::fs::statat(dir.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(FileType::from_raw_mode(stat.st_mode))
}

/// Removes `name` and all below it.
pub(super) fn remove(dir: impl AsFd, name: &CStr) -> Result<(), Errno> {
    remove_at(dir.as_fd(), name, DEEPEST)
}

fn remove_at(dir: BorrowedFd<'_>, name: &CStr, depth: usize) -> Result<(), Errno> {
    let flags = match kind(dir, name)? {
        FileType::Directory => {
            let depth = depth.checked_sub(1).ok_or(Errno::LOOP)?;
            let inside = open_directory(dir, name)?;
            for (entry, _) in list(&inside)? {
                remove_at(inside.as_fd(), &entry, depth)?;
            }
            AtFlags::REMOVEDIR
        }
        _ => AtFlags::empty(),
    };
    rustix::fs::unlinkat(dir, name, flags)
}

/// Where the symlink `name` points; `None` when there is no such name.
pub(super) fn read_link(dir: impl AsFd, name: impl Arg) -> Result<Option<Box<CStr>>, Errno> {
    match rustix::fs::readlinkat(dir.as_fd(), name, Vec::new()) {
        Ok(target) => Ok(Some(target.into_boxed_c_str())),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}
