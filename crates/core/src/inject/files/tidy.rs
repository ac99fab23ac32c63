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
        let keep = self.links().trying("list files")?;
        let (count, notes) = self.tidy(&keep);
        if count > 0 {
            let directory = self.path.clone();
            self.notes.push(Note::Leftovers { directory, count });
        }
        self.notes.extend(notes);
        Ok(())
    }

    pub(super) fn links(&self) -> Result<BTreeSet<String>, Errno> {
        let names = at::list(&self.fd)?;
        let links = names.into_iter().filter_map(|(name, kind)| {
            let name = name.to_str().ok()?.to_owned();
            (kind == FileType::Symlink && self.is_own_link(&name)).then_some(name)
        });
        Ok(links.collect())
    }

    /// Removes every name of ours that is not in use: links other than `tops`, data directories
    /// other than the current one and those just replaced. Tells how many were removed, and what
    /// could not be.
    pub(super) fn tidy(&self, tops: &BTreeSet<String>) -> (usize, Vec<Note>) {
        let current = at::read_link(&self.fd, DATA).ok().flatten();
        let links = self.links().unwrap_or_default();
        let stale: HashSet<&String> = links.difference(tops).collect();
        let mut removed = 0;
        let mut notes = Vec::new();
        for (name, _) in at::list(&self.fd).unwrap_or_default() {
            let text = name.to_string_lossy().into_owned();
            let unused = text.starts_with(NEXT)
                || stale.contains(&text)
                || (is_data_name(&name) && current.as_ref() != Some(&name) && !self.replaced.contains(&name));
            if !unused {
                continue;
            }
            match at::remove(&self.fd, &name) {
                Ok(()) | Err(Errno::NOENT) => removed += 1,
                Err(_) => notes.push(Note::NotRemoved {
                    directory: self.path.clone(),
                    name: text,
                }),
            }
        }
        (removed, notes)
    }

    /// Removes a name that was never in use; what cannot be removed is found at the next start.
    pub(super) fn remove(&self, name: &str) {
        if let Ok(name) = std::ffi::CString::new(name) {
            let _ = at::remove(&self.fd, &name);
        }
    }

    /// True for a link of this layout that nobody else can redirect.
    pub(super) fn is_own_link(&self, name: &str) -> bool {
        let Ok(stat) = rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) else {
            return false;
        };
        let own = rustix::process::geteuid().as_raw();
        (stat.st_uid == own || stat.st_uid == 0)
            && matches!(at::read_link(&self.fd, name), Ok(Some(target))
                if target.to_bytes() == format!("{DATA}/{name}").as_bytes())
    }
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
