//! One process through its opened `/proc` directory: owns reading it. The directory stays that of
//! the process it was opened for, whoever has its number later. It must not know connections.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt as _;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, StatxFlags};

use super::digest::Digests;
use crate::id::Hash;

/// More than any of the files that are read has.
const MOST: u64 = 1024 * 1024;

/// What the kernel appends to the path of a file that was deleted.
const DELETED: &[u8] = b" (deleted)";

/// A process.
#[derive(Debug)]
pub struct Process {
    pid: i32,
    directory: OwnedFd,
    start: u64,
}

impl Process {
    /// Opens the process that has the number `pid` now.
    ///
    /// # Errors
    /// The system's; `NotFound` when there is none, or `/proc` is that of another namespace.
    pub fn open(pid: i32) -> io::Result<Self> {
        if !sees_itself() {
            let problem = "/proc is not there, or of another pid namespace";
            return Err(io::Error::new(io::ErrorKind::NotFound, problem));
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(format!("/proc/{pid}"), flags, Mode::empty())?;
        let mut process = Self {
            pid,
            directory,
            start: 0,
        };
        process.start = process.stat()?.start;
        Ok(process)
    }

    /// Its number.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// False once it ended, also when another process has its number by now.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.stat()
            .is_ok_and(|stat| stat.start == self.start && !matches!(stat.state, 'Z' | 'X' | 'x'))
    }

    /// Its effective user and group.
    ///
    /// # Errors
    /// The system's.
    pub fn owner(&self) -> io::Result<(u32, u32)> {
        let status = self.read("status")?;
        let effective = |name| number(&status, name, 1).and_then(|id| u32::try_from(id).ok());
        effective("Uid:").zip(effective("Gid:")).ok_or_else(unreadable)
    }

    /// Its supplementary groups.
    ///
    /// # Errors
    /// The system's.
    pub fn groups(&self) -> io::Result<Vec<u32>> {
        let status = self.read("status")?;
        let groups = line(&status, "Groups:").ok_or_else(unreadable)?;
        groups
            .split_ascii_whitespace()
            .map(|group| group.parse().map_err(|_| unreadable()))
            .collect()
    }

    /// Its control groups, as `/proc/PID/cgroup` has them.
    ///
    /// # Errors
    /// The system's.
    pub fn cgroup(&self) -> io::Result<String> {
        self.read("cgroup")
    }

    /// Which file it runs, by device and inode; `None` when that may not be known.
    #[must_use]
    pub fn program(&self) -> Option<(u64, u64)> {
        let stat = rustix::fs::statat(&self.directory, "exe", AtFlags::empty()).ok()?;
        Some((stat.st_dev, stat.st_ino))
    }

    /// The path and digest of what it runs; `None` when that may not be known.
    #[must_use]
    pub fn executable(&self, digests: &Digests) -> Option<(String, Option<Hash>)> {
        let path = rustix::fs::readlinkat(&self.directory, "exe", Vec::new()).ok()?;
        let path = String::from_utf8_lossy(path.as_bytes()).into_owned();
        let digest = self.open_file("exe").and_then(|mut file| digests.of(&mut file));
        Some((path, digest.ok().flatten()))
    }

    fn stat(&self) -> io::Result<Stat> {
        Stat::of(&self.read("stat")?).ok_or_else(unreadable)
    }

    fn open_file(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(&self.directory, name, flags, Mode::empty())?.into())
    }

    fn read(&self, name: &str) -> io::Result<String> {
        let mut bytes = Vec::new();
        self.open_file(name)?.take(MOST).read_to_end(&mut bytes)?;
        // what is cut off may end in the middle of a number
        if u64::try_from(bytes.len()).is_ok_and(|length| length >= MOST) {
            return Err(unreadable());
        }
        // the name of a program or control group may be of any bytes
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// Which program a process runs: the path and the file there, so that neither another path nor
/// another file at the same path is taken for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    path: OsString,
    device: (u32, u32),
    inode: u64,
    /// A number of a file that is gone is given out again; zero where the file system has none.
    born: (i64, u32),
}

impl Program {
    /// What `pid` runs; `None` when that may not be known. Does not wait for a file system that
    /// hangs. A file that was deleted keeps its path.
    #[must_use]
    pub fn of(pid: i32) -> Option<Self> {
        let link = format!("/proc/{pid}/exe");
        let path = rustix::fs::readlinkat(CWD, link.as_str(), Vec::new()).ok()?;
        let path = path.as_bytes();
        let path = path.strip_suffix(DELETED).unwrap_or(path).to_vec();
        let wanted = StatxFlags::INO | StatxFlags::BTIME;
        let stat = rustix::fs::statx(CWD, link.as_str(), AtFlags::STATX_DONT_SYNC, wanted).ok()?;
        Some(Self {
            path: OsString::from_vec(path),
            device: (stat.stx_dev_major, stat.stx_dev_minor),
            inode: stat.stx_ino,
            born: (stat.stx_btime.tv_sec, stat.stx_btime.tv_nsec),
        })
    }
}

/// True when `/proc` shows this process under the number it has itself.
fn sees_itself() -> bool {
    let own = rustix::process::getpid().as_raw_nonzero().to_string();
    rustix::fs::readlinkat(CWD, "/proc/self", Vec::new()).is_ok_and(|seen| seen.as_bytes() == own.as_bytes())
}

fn unreadable() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the kernel's text is not understood")
}

fn line<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name))
}

fn number(status: &str, name: &str, at: usize) -> Option<u64> {
    line(status, name)?.split_ascii_whitespace().nth(at)?.parse().ok()
}

/// What is needed of `/proc/PID/stat`.
struct Stat {
    state: char,
    /// In clock ticks since boot.
    start: u64,
}

impl Stat {
    fn of(text: &str) -> Option<Self> {
        // the program's name is in parentheses, and may hold spaces and parentheses itself
        let (_, rest) = text.rsplit_once(')')?;
        let mut fields = rest.split_ascii_whitespace();
        let state = fields.next()?.chars().next()?;
        // field 22 of all, of which the state is the third
        let start = fields.nth(18)?.parse().ok()?;
        Some(Self { state, start })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_program_may_be_called_anything() {
        let text = "7 (a) R 1 (b c) S 1 7 7 0 -1 4194560 6 11 0 23 3 1 106 783 20 0 1 0 251715 52";
        let stat = Stat::of(text).unwrap();
        assert_eq!((stat.state, stat.start), ('S', 251_715));
        assert!(Stat::of("").is_none() && Stat::of("7 (a").is_none());
    }
}
