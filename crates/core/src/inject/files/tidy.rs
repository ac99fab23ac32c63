//! What is out of use in a target directory: owns recognising and removing it. It must not put
//! anything into use.

use std::collections::{BTreeSet, HashSet};
use std::ffi::CStr;
use std::time::Duration;

use rustix::fs::{AtFlags, FileType};
use rustix::io::Errno;

use super::directory::{DATA, Directory, NEXT};
use super::error::{Failed, Trying as _};
use super::{Note, at};

/// How long files that were replaced stay: a consumer that has opened `..data`, or is half-way
/// through the links, still finds all of them.
const LINGER: Duration = Duration::from_secs(1);
/// So many replaced revisions stay at most; fewer when room is short.
const KEPT: usize = 8;

impl Directory {
    /// Removes a data directory that was just replaced, a while from now.
    pub(super) fn expire(&mut self, name: Box<CStr>) {
        self.replaced.push_back(name.clone());
        if self.replaced.len() > KEPT {
            // what is not listed here is removed when tidying up
            self.replaced.pop_front();
        }
        // a descriptor of its own: the lock must not outlive this
        let Ok(fd) = at::open_directory(&self.fd, c".") else {
            return;
        };
        let later = std::thread::Builder::new().name("expire".into());
        // without a thread it stays until enough others were replaced
        let _ = later.spawn(move || {
            std::thread::sleep(LINGER);
            let _ = at::remove(&fd, &name);
        });
    }

    /// Removes the data directories that were replaced at once. False when there was none.
    pub(super) fn drop_replaced(&mut self) -> bool {
        let replaced = std::mem::take(&mut self.replaced);
        let removed = replaced.iter().filter(|name| at::remove(&self.fd, name).is_ok());
        removed.count() > 0
    }

    pub(super) fn recover(&mut self) -> Result<(), Failed> {
        if self.durable {
            let directory = self.path.clone();
            self.notes.push(Note::OnDisk { directory });
        }
        // links stay as they are: the first revision that is applied settles them
        let keep = self.links()?;
        let Tidied { removed: count, left } = self.tidy(&keep)?;
        if count > 0 {
            let directory = self.path.clone();
            self.notes.push(Note::Leftovers { directory, count });
        }
        let left = left.into_iter().map(|(name, _)| self.not_removed(name));
        self.notes.extend(left.collect::<Vec<_>>());
        Ok(())
    }

    /// What is in the directory; nothing when it is gone itself.
    fn names(&self) -> Result<Vec<(Box<CStr>, FileType)>, Failed> {
        match at::list(&self.fd) {
            Err(Errno::NOENT) => Ok(Vec::new()),
            other => other.trying("list files"),
        }
    }

    fn links(&self) -> Result<BTreeSet<String>, Failed> {
        let mut links = BTreeSet::new();
        for (name, kind) in self.names()? {
            let Ok(name) = name.to_str() else { continue };
            if kind == FileType::Symlink && self.is_own_link(name)? {
                links.insert(name.to_owned());
            }
        }
        Ok(links)
    }

    /// What the operator should know after a switch: tidying up that failed does not undo it.
    pub(super) fn tidied(&self, tops: &BTreeSet<String>) -> Vec<Note> {
        match self.tidy(tops) {
            Ok(tidied) => {
                let left = tidied.left.into_iter();
                left.map(|(name, _)| self.not_removed(name)).collect()
            }
            Err(Failed { action, errno }) => vec![Note::NotTidied {
                directory: self.path.clone(),
                action,
                reason: errno.to_string(),
            }],
        }
    }

    fn not_removed(&self, name: String) -> Note {
        let directory = self.path.clone();
        Note::NotRemoved { directory, name }
    }

    /// Removes every name of ours that is not in use: links other than `tops`, data directories
    /// other than the current one and those just replaced. Nothing is when that cannot be told.
    pub(super) fn tidy(&self, tops: &BTreeSet<String>) -> Result<Tidied, Failed> {
        let current = at::read_link(&self.fd, DATA).trying("look at the files in use")?;
        let links = self.links()?;
        let stale: HashSet<&String> = links.difference(tops).collect();
        let mut tidied = Tidied::default();
        for (name, _) in self.names()? {
            let text = name.to_string_lossy().into_owned();
            let unused = text.starts_with(NEXT)
                || stale.contains(&text)
                || (is_data_name(&name) && current.as_ref() != Some(&name) && !self.replaced.contains(&name));
            if !unused {
                continue;
            }
            match at::remove(&self.fd, &name) {
                Ok(()) => tidied.removed += 1,
                Err(errno) => tidied.left.push((text, errno)),
            }
        }
        Ok(tidied)
    }

    /// Removes a name that was never in use; what cannot be removed is found at the next start.
    pub(super) fn remove(&self, name: &str) {
        if let Ok(name) = std::ffi::CString::new(name) {
            let _ = at::remove(&self.fd, &name);
        }
    }

    /// True for a link of this layout that nobody else can redirect.
    pub(super) fn is_own_link(&self, name: &str) -> Result<bool, Failed> {
        let target = self.own_target(name).trying("look at names")?;
        Ok(target.is_some_and(|target| target.to_bytes() == format!("{DATA}/{name}").as_bytes()))
    }

    /// The data directory that [`DATA`] names; `None` when there is no such link, or one that was
    /// not made here.
    pub(super) fn own_data(&self) -> Result<Option<Box<CStr>>, Errno> {
        Ok(self.own_target(DATA)?.filter(|name| is_data_name(name)))
    }

    /// Where a symlink points that nobody else made.
    fn own_target(&self, name: &str) -> Result<Option<Box<CStr>>, Errno> {
        let stat = match rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(errno),
        };
        let own = rustix::process::geteuid().as_raw();
        let is_link = FileType::from_raw_mode(stat.st_mode) == FileType::Symlink;
        if is_link && (stat.st_uid == own || stat.st_uid == 0) {
            at::read_link(&self.fd, name)
        } else {
            Ok(None)
        }
    }
}

/// What tidying up did.
#[derive(Debug, Default)]
pub(super) struct Tidied {
    /// How many names were removed.
    pub(super) removed: usize,
    /// The names that could not be, and why.
    pub(super) left: Vec<(String, Errno)>,
}

/// `..REVISION-` and 16 hexadecimal digits.
pub(super) fn is_data_name(name: &CStr) -> bool {
    let parts = name
        .to_str()
        .ok()
        .and_then(|text| text.strip_prefix(".."))
        .and_then(|text| text.split_once('-'));
    parts.is_some_and(|(revision, random)| {
        !revision.is_empty()
            && revision.bytes().all(|byte| byte.is_ascii_digit())
            && random.len() == 16
            && random.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}
