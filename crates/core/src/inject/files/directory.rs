//! One target directory: owns the switch from one revision to the next and tidying up. It must
//! not know how a tree of files is written.

use std::collections::{BTreeSet, VecDeque};
use std::ffi::CStr;
use std::hash::{BuildHasher as _, Hasher as _};
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use rustix::fs::{AtFlags, FileType, Mode};
use rustix::io::Errno;

use super::error::{Failed, Trying as _};
use super::names::{Files, REVISION};
use super::tree::{self, Access};
use super::{FilesError, FilesSettings, Note, at, target};
use crate::inject::Material;

/// The symlink that is switched.
pub(super) const DATA: &str = "..data";
/// Names of symlinks that are not in use yet begin like this.
pub(super) const NEXT: &str = "..next-";

/// A directory that this process alone delivers files into.
#[derive(Debug)]
pub struct Directory {
    pub(super) settings: FilesSettings,
    pub(super) path: PathBuf,
    pub(super) fd: OwnedFd,
    pub(super) access: Access,
    pub(super) durable: bool,
    pub(super) notes: Vec<Note>,
    /// Data directories that were replaced and may still be there, oldest first.
    pub(super) replaced: VecDeque<Box<CStr>>,
}

/// The files of one revision, written but not in use yet: [`Directory::switch`] or
/// [`Directory::discard`] it.
#[derive(Debug)]
#[must_use]
pub struct Prepared {
    revision: u64,
    files: usize,
    /// The first segments of all names.
    tops: BTreeSet<String>,
    /// The new data directory; `None` when the one in use holds the same files.
    data: Option<String>,
}

/// What was delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The revision of the files that are there now.
    pub revision: u64,
    /// False when names, bytes, owner and mode were all as asked already: nothing was switched,
    /// only `.revision` says the new number.
    pub switched: bool,
    /// How many files there are, `.revision` not counted.
    pub files: usize,
    /// What the operator should know.
    pub notes: Vec<Note>,
}

impl Prepared {
    /// True when switching will change what consumers see.
    #[must_use]
    pub fn is_change(&self) -> bool {
        self.data.is_some()
    }
}

impl Directory {
    /// Opens (or makes) the directory, checks that nobody else can interfere, locks it against
    /// other processes and removes what an interrupted run left behind.
    ///
    /// # Errors
    /// [`FilesError`]; nothing was changed.
    pub fn open(settings: FilesSettings) -> Result<Self, FilesError> {
        let path: PathBuf = settings.directory.components().collect();
        let invalid = |problem| FilesError::Settings {
            directory: settings.directory.clone(),
            problem,
        };
        if path.file_name().is_none() {
            return Err(invalid("name a directory of its own, not / or .."));
        }
        if settings.mode & !0o777 != 0 || settings.mode & 0o400 == 0 {
            return Err(invalid(
                "the mode of files is at most 0777 and lets their owner read them (0400)",
            ));
        }
        if [settings.uid, settings.gid].contains(&Some(u32::MAX)) {
            return Err(invalid("4294967295 is not a user or group"));
        }
        let access = Access::of(&settings);
        let fd = target::open(&path, &settings)?;
        let durable = !target::is_volatile(&fd).map_err(|failed| FilesError::from_failed(failed, &path))?;
        let mut directory = Self {
            settings,
            path,
            fd,
            access,
            durable,
            notes: Vec::new(),
            replaced: VecDeque::new(),
        };
        if !matches!(
            at::kind(&directory.fd, DATA),
            Ok(FileType::Symlink) | Err(Errno::NOENT)
        ) {
            return Err(FilesError::Occupied {
                directory: directory.path.clone(),
                name: DATA.to_owned(),
            });
        }
        let failed = directory.recover();
        failed.map_err(|failed| FilesError::from_failed(failed, &directory.path))?;
        Ok(directory)
    }

    /// What the operator should know about the directory itself.
    #[must_use]
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// The settings it was opened with.
    #[must_use]
    pub fn settings(&self) -> &FilesSettings {
        &self.settings
    }

    /// The revision of the files that are in use.
    #[must_use]
    pub fn revision(&self) -> Option<u64> {
        tree::revision(&self.current().ok()??.1)
    }

    /// Delivers one revision: all its files appear, change and vanish at once.
    ///
    /// # Errors
    /// [`FilesError`]; the revision before stays in use, whole.
    pub fn apply(&mut self, material: &Material) -> Result<Applied, FilesError> {
        let prepared = self.prepare(material)?;
        self.switch(prepared)
    }

    /// Says that the files in use are those of a later revision too. Does nothing when there are
    /// none.
    ///
    /// # Errors
    /// [`FilesError`]; the files stay as they are.
    pub fn revise(&mut self, revision: u64) -> Result<(), FilesError> {
        self.try_revise(revision)
            .map_err(|failed| FilesError::from_failed(failed, &self.path))
    }

    /// Writes the files of one revision beside those in use; consumers see nothing yet.
    ///
    /// # Errors
    /// [`FilesError`]; nothing is left of the new files.
    pub fn prepare(&mut self, material: &Material) -> Result<Prepared, FilesError> {
        let files = self.settings.files(material)?;
        let mut tops: BTreeSet<String> = files
            .keys()
            .filter_map(|name| name.as_str().split('/').next())
            .map(str::to_owned)
            .collect();
        tops.insert(REVISION.to_owned());
        for name in tops.iter().map(String::as_str).chain([DATA]) {
            self.check_free(name)?;
        }
        let mut prepared = Prepared {
            revision: material.revision,
            files: files.len(),
            tops,
            data: None,
        };
        if let Ok(Some((_, root))) = self.current()
            && tree::holds(&root, &files, self.access).unwrap_or(false)
        {
            return Ok(prepared);
        }
        let name = format!("..{}-{:016x}", material.revision, unique());
        let mut written = self.write_tree(&name, &files, material.revision);
        if written.as_ref().is_err_and(Failed::is_for_want_of_room) && self.drop_replaced() {
            written = self.write_tree(&name, &files, material.revision);
        }
        written.map_err(|failed| FilesError::from_failed(failed, &self.path))?;
        prepared.data = Some(name);
        Ok(prepared)
    }

    /// Puts prepared files into use.
    ///
    /// # Errors
    /// [`FilesError`]; the revision before stays in use, whole.
    pub fn switch(&mut self, prepared: Prepared) -> Result<Applied, FilesError> {
        let before = match self.try_switch(&prepared) {
            Ok(before) => before,
            Err(failed) => {
                let error = FilesError::from_failed(failed, &self.path);
                self.discard(prepared);
                return Err(error);
            }
        };
        let mut applied = Applied {
            revision: prepared.revision,
            switched: prepared.data.is_some(),
            files: prepared.files,
            notes: Vec::new(),
        };
        if let Some(before) = before {
            self.expire(before);
        }
        applied.notes = self.tidied(&prepared.tops);
        Ok(applied)
    }

    /// Removes prepared files that are not wanted any more.
    pub fn discard(&mut self, prepared: Prepared) {
        if let Some(name) = prepared.data {
            self.remove(&name);
        }
    }

    /// Removes everything that was delivered; the directory itself stays.
    ///
    /// # Errors
    /// [`FilesError`] when files could not be removed.
    pub fn clear(&mut self) -> Result<(), FilesError> {
        self.try_clear()
            .map_err(|failed| FilesError::from_failed(failed, &self.path))
    }

    fn try_clear(&mut self) -> Result<(), Failed> {
        self.replaced.clear();
        if self.own_data().trying("look at the files in use")?.is_some() {
            match rustix::fs::unlinkat(&self.fd, DATA, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(errno) => return Err(errno).trying("remove files"),
            }
        }
        match self.tidy(&BTreeSet::new())?.left.pop() {
            None => Ok(()),
            Some((_, errno)) => Err(errno).trying("remove files"),
        }
    }

    /// Tells the data directory that was replaced.
    fn try_switch(&self, prepared: &Prepared) -> Result<Option<Box<CStr>>, Failed> {
        // New names are linked before the switch: until then they lead nowhere, which to a
        // consumer is the same as not being there.
        for name in &prepared.tops {
            self.link(name)?;
        }
        let Some(data) = &prepared.data else {
            self.try_revise(prepared.revision)?;
            return Ok(None);
        };
        let before = self.own_data().trying("look at the files in use")?;
        let next = format!("{NEXT}{:016x}", unique());
        rustix::fs::symlinkat(data.as_str(), &self.fd, &next).trying("make symlinks")?;
        if let Err(errno) = rustix::fs::renameat(&self.fd, &next, &self.fd, DATA) {
            self.remove(&next);
            return Err(errno).trying("switch to the new files");
        }
        if self.durable {
            // the switch is done; that it is on disk already is not promised to anyone
            let _ = rustix::fs::fsync(&self.fd);
        }
        Ok(before)
    }

    fn try_revise(&self, revision: u64) -> Result<(), Failed> {
        match self.current().trying("open the files in use")? {
            Some((_, root)) if tree::revision(&root) != Some(revision) => {
                tree::freshen(&root, revision, self.access, self.durable)
            }
            _ => Ok(()),
        }
    }

    fn link(&self, name: &str) -> Result<(), Failed> {
        let target = format!("{DATA}/{name}");
        match rustix::fs::symlinkat(target, &self.fd, name) {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(errno) => Err(errno).trying("make symlinks"),
        }
    }

    fn check_free(&self, name: &str) -> Result<(), FilesError> {
        let free = match at::kind(&self.fd, name) {
            Err(Errno::NOENT) => Ok(true),
            Err(errno) => Err(errno).trying("look at names"),
            Ok(FileType::Symlink) if name == DATA => {
                self.own_data().map(|data| data.is_some()).trying("look at names")
            }
            Ok(FileType::Symlink) => self.is_own_link(name),
            Ok(_) => Ok(false),
        };
        if free.map_err(|failed| FilesError::from_failed(failed, &self.path))? {
            return Ok(());
        }
        Err(FilesError::Occupied {
            directory: self.path.clone(),
            name: name.to_owned(),
        })
    }

    /// The data directory that is in use, by name, and open.
    fn current(&self) -> Result<Option<(Box<CStr>, OwnedFd)>, Errno> {
        let Some(name) = self.own_data()? else {
            return Ok(None);
        };
        match at::open_directory(&self.fd, &*name) {
            Ok(fd) => Ok(Some((name, fd))),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    /// Writes a new data directory; nothing is left of it when that fails.
    fn write_tree(&self, name: &str, files: &Files<'_>, revision: u64) -> Result<(), Failed> {
        let write = || {
            rustix::fs::mkdirat(&self.fd, name, Mode::RWXU).trying("make directories")?;
            let root = at::open_directory(&self.fd, name).trying("open directories")?;
            tree::write(&root, files, revision, self.access, self.durable)
        };
        write().inspect_err(|_| self.remove(name))
    }
}

impl Drop for Directory {
    /// Gives the lock back itself: a child that is being started at this moment holds a copy of
    /// the descriptor until it runs its program, and closing ours alone would leave it locked.
    fn drop(&mut self) {
        self.drop_replaced();
        let _ = rustix::fs::flock(&self.fd, rustix::fs::FlockOperation::Unlock);
    }
}

/// A number for names that must not meet one left behind; nothing depends on it being secret.
fn unique() -> u64 {
    std::hash::RandomState::new().build_hasher().finish()
}
