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

/// Removes `name` and all below it. Others may remove the same at the same time: what is gone
/// already is as wanted, on every level.
pub(super) fn remove(dir: impl AsFd, name: &CStr) -> Result<(), Errno> {
    remove_at(dir.as_fd(), name, DEEPEST)
}

fn remove_at(dir: BorrowedFd<'_>, name: &CStr, depth: usize) -> Result<(), Errno> {
    match try_remove_at(dir, name, depth) {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}

fn try_remove_at(dir: BorrowedFd<'_>, name: &CStr, depth: usize) -> Result<(), Errno> {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn many_can_remove_one_tree_at_a_time() {
        let parent = tempfile::tempdir().unwrap();
        let fd = rustix::fs::open(parent.path(), OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
        for _ in 0..20 {
            for n in 0..40 {
                let deep = parent.path().join(format!("tree/{}/{n}", n % 4));
                std::fs::create_dir_all(&deep).unwrap();
                std::fs::write(deep.join("file"), "x").unwrap();
            }
            std::thread::scope(|scope| {
                let racing: Vec<_> = (0..4).map(|_| scope.spawn(|| remove(&fd, c"tree"))).collect();
                for one in racing {
                    assert_eq!(one.join().unwrap(), Ok(()));
                }
            });
            assert_eq!(kind(&fd, c"tree"), Err(Errno::NOENT));
        }
    }
}
