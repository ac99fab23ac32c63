//! The files on the disk: owns the directory and its lock, appending whole lines or nothing, and
//! finding the place to go on at when a log is opened. It must not know what lines say.

use std::fs::File;
use std::io::{self, BufReader, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags};

use super::chain::Position;
use super::files::{LogFile, file_name, files, lines};
use super::medium::{Durability, Medium, Rest};
use super::verify::Verifier;

/// The files of a log in one directory, which is locked.
#[derive(Debug)]
pub struct Files {
    directory: PathBuf,
    lock: File,
    current: Option<Current>,
}

#[derive(Debug)]
struct Current {
    file: File,
    path: PathBuf,
    /// The bytes that count: whole lines. A failed write may have left more.
    length: u64,
    is_dirty: bool,
}

/// Where a log that was found goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its last good line.
    pub last: Position,
    /// Bytes of a torn line that were cut off.
    pub cut: u64,
    /// Files that did not verify and were put aside, by their new names.
    pub aside: Vec<String>,
}

fn failed(problem: impl Into<String>) -> io::Error {
    io::Error::other(problem.into())
}

impl Files {
    /// Makes the directory if need be, checks and locks it, and finds where the log goes on.
    ///
    /// # Errors
    /// The system's own, or what is wrong with the directory.
    pub fn open(directory: &Path) -> io::Result<(Self, Found)> {
        let lock = lock(directory)?;
        let mut this = Self {
            directory: directory.to_owned(),
            lock,
            current: None,
        };
        let found = this.find()?;
        Ok((this, found))
    }

    /// Goes back over the files to the last good line.
    fn find(&mut self) -> io::Result<Found> {
        let mut found = Found {
            last: Position::START,
            cut: 0,
            aside: Vec::new(),
        };
        let mut all = files(&self.directory)?;
        while let Some(file) = all.pop() {
            let tail = Tail::of(&file)?;
            if file.is_aside {
                // put aside, and then there was no time to begin another
            } else if tail.is_damaged {
                found.aside.push(put_aside(&file.path)?);
            } else {
                found.cut += tail.torn;
                if tail.last.is_some() {
                    self.current = Some(open_at(&file.path, tail.length)?);
                } else {
                    std::fs::remove_file(&file.path)?;
                }
            }
            if let Some(last) = tail.last {
                found.last = last;
                break;
            }
        }
        Ok(found)
    }
}

/// How a file ends.
struct Tail {
    last: Option<Position>,
    length: u64,
    torn: u64,
    is_damaged: bool,
}

impl Tail {
    fn of(file: &LogFile) -> io::Result<Self> {
        let mut tail = Self {
            last: None,
            length: 0,
            torn: 0,
            is_damaged: false,
        };
        let mut verifier = Verifier::default();
        verifier.file(&file.name, file.first);
        let Some(opened) = file.open()? else {
            // a pipe, say: it is put aside like what does not verify
            tail.is_damaged = true;
            return Ok(tail);
        };
        let mut reader = BufReader::with_capacity(128 << 10, opened);
        lines(&mut reader, |line, is_torn| {
            let bytes = u64::try_from(line.len()).unwrap_or(u64::MAX);
            if is_torn {
                tail.torn = bytes;
                return true;
            }
            // a torn line with others behind it is no tail
            tail.is_damaged |= tail.torn > 0;
            verifier.line(line);
            tail.is_damaged |= !verifier.report().is_whole();
            if !tail.is_damaged {
                tail.last = verifier.end();
                tail.length = tail.length.saturating_add(bytes).saturating_add(1);
            }
            !tail.is_damaged
        })?;
        Ok(tail)
    }
}

/// Takes the lock of `directory`, which is made if it is not there.
fn lock(directory: &Path) -> io::Result<File> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)?;
    let metadata = std::fs::metadata(directory)?;
    if metadata.mode() & 0o022 != 0 {
        return Err(failed(format!(
            "others may write it (mode {:04o}): run `chmod go-w` on it",
            metadata.mode() & 0o7777
        )));
    }
    let me = rustix::process::geteuid().as_raw();
    if metadata.uid() != me && metadata.uid() != 0 {
        return Err(failed("it belongs to another user, who could replace the log"));
    }
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let lock = rustix::fs::open(directory.join("lock"), flags, Mode::RUSR | Mode::WUSR)?;
    match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(File::from(lock)),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(io::Error::new(
            io::ErrorKind::WouldBlock,
            "another program writes its log there: give each its own directory",
        )),
        Err(errno) => Err(errno.into()),
    }
}

fn open_at(path: &Path, length: u64) -> io::Result<Current> {
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    file.set_len(length)?;
    Ok(Current {
        file,
        path: path.to_owned(),
        length,
        is_dirty: false,
    })
}

/// Gives the file a name under which it is kept and not gone on with.
fn put_aside(path: &Path) -> io::Result<String> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".damaged");
    let aside = path.with_file_name(&name);
    // a name that is taken would lose a file: then nothing is renamed
    rustix::fs::renameat_with(
        rustix::fs::CWD,
        path,
        rustix::fs::CWD,
        &aside,
        rustix::fs::RenameFlags::NOREPLACE,
    )?;
    Ok(name.to_string_lossy().into_owned())
}

/// Brings names to the disk. Some file systems have no such thing.
fn sync_names(directory: &Path) -> io::Result<()> {
    match File::open(directory)?.sync_all() {
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported
            ) =>
        {
            Ok(())
        }
        synced => synced,
    }
}

fn is_same(file: &File, path: &Path) -> io::Result<bool> {
    let (open, named) = (file.metadata()?, std::fs::symlink_metadata(path)?);
    Ok((open.dev(), open.ino()) == (named.dev(), named.ino()))
}

impl Medium for Files {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let current = self
            .current
            .as_mut()
            .ok_or_else(|| failed("there is no file to append to"))?;
        if current.is_dirty {
            current.file.set_len(current.length)?;
            current.is_dirty = false;
        }
        let written = current.file.write_all(bytes);
        match written {
            Ok(()) => {
                let bytes = u64::try_from(bytes.len()).unwrap_or(0);
                current.length = current.length.saturating_add(bytes);
            }
            // a part may be there
            Err(_) => current.is_dirty = current.file.set_len(current.length).is_err(),
        }
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        match &self.current {
            Some(current) => current.file.sync_data(),
            None => Ok(()),
        }
    }

    fn cut(&mut self, length: u64) {
        if let Some(current) = &mut self.current {
            current.length = length;
            current.is_dirty = current.file.set_len(length).is_err();
        }
    }

    fn check(&mut self) -> io::Result<()> {
        let Some(current) = &self.current else {
            return Err(io::ErrorKind::NotFound.into());
        };
        if is_same(&current.file, &current.path)? {
            return Ok(());
        }
        Err(io::ErrorKind::NotFound.into())
    }

    fn begin(&mut self, first: u64, bytes: &[u8], durability: Durability) -> io::Result<Option<Rest>> {
        if !is_same(&self.lock, &self.directory.join("lock")).unwrap_or(false) {
            // the directory is another one, or none
            self.lock = lock(&self.directory)?;
        }
        let path = self.directory.join(file_name(first));
        let flags = OFlags::WRONLY
            | OFlags::APPEND
            | OFlags::CREATE
            | OFlags::EXCL
            | OFlags::NOFOLLOW
            | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let opened = match rustix::fs::open(&path, flags, mode) {
            Err(rustix::io::Errno::EXIST) => {
                put_aside(&path)?;
                rustix::fs::open(&path, flags, mode)
            }
            opened => opened,
        };
        let mut file = File::from(opened?);
        let mut begun = file.write_all(bytes);
        if begun.is_ok() && durability == Durability::Fsync {
            begun = file.sync_data().and_then(|()| sync_names(&self.directory));
        }
        if let Err(error) = begun {
            let _ = std::fs::remove_file(&path);
            return Err(error);
        }
        let begun = Current {
            file,
            path,
            length: u64::try_from(bytes.len()).unwrap_or(0),
            is_dirty: false,
        };
        let before = self.current.replace(begun);
        if durability == Durability::Fsync {
            return Ok(None);
        }
        let directory = self.directory.clone();
        Ok(Some(Box::new(move || {
            if let Some(before) = before {
                before.file.sync_data()?;
            }
            sync_names(&directory)
        })))
    }

    fn length(&self) -> Option<u64> {
        self.current.as_ref().map(|current| current.length)
    }

    fn name(&self) -> String {
        let path = self.current.as_ref().map(|current| current.path.as_path());
        let name = path.and_then(Path::file_name).unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    fn prune(&mut self, keep: usize) -> io::Result<Vec<String>> {
        let all = files(&self.directory)?;
        let mut removed = Vec::new();
        for file in all.iter().take(all.len().saturating_sub(keep.max(1))) {
            std::fs::remove_file(&file.path)?;
            removed.push(file.name.clone());
        }
        Ok(removed)
    }
}
