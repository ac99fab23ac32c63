//! Why files were not delivered, and what to tell the operator: owns the words for both.

use std::io;
use std::path::PathBuf;

use rustix::io::Errno;

use super::super::{Listed, Missing};
use super::names::FileName;
use crate::name::EntryPath;

/// Why one entry cannot be a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileProblem {
    /// Two entries would get one name.
    #[error("{first} and {second} would both be the file {name}: name one of them otherwise")]
    Collision {
        /// The name.
        name: FileName,
        /// One entry.
        first: EntryPath,
        /// The other.
        second: EntryPath,
    },
    /// One entry's file would have to be the directory of another's.
    #[error("{file} would be a file and also the directory of {inside}: name one of them otherwise")]
    FileAndDirectory {
        /// The entry that is a file.
        file: EntryPath,
        /// The entry below it.
        inside: EntryPath,
    },
    /// Something that was made cannot have its name.
    #[error("{of} cannot be the file {name:?}: {problem}")]
    Made {
        /// The name it would have.
        name: String,
        /// What it was made of.
        of: String,
        /// Why not.
        problem: String,
    },
    /// The name is not one that a file here may have.
    #[error("{path} cannot be a file under its own name ({problem}): give it another name")]
    Name {
        /// The entry.
        path: EntryPath,
        /// Which rule is broken.
        problem: super::FileNameError,
    },
}

/// Why files were not delivered. The revision that was there before is still there, whole.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// The settings contradict themselves.
    #[error("{}: {problem}", directory.display())]
    Settings {
        /// The directory.
        directory: PathBuf,
        /// What is wrong.
        problem: &'static str,
    },
    /// The target is a symlink.
    #[error("{} is a symlink, which someone could point elsewhere: give the directory itself", directory.display())]
    Symlink {
        /// The directory.
        directory: PathBuf,
    },
    /// The target is something else than a directory.
    #[error("{} is not a directory: give a directory, normally a tmpfs", directory.display())]
    NotDirectory {
        /// The directory.
        directory: PathBuf,
    },
    /// Others may rename what is in the target.
    #[error(
        "{} is writable by its group or by others, who could replace files in it: \
         `chmod go-w` it (or set its sticky bit)",
        directory.display()
    )]
    Writable {
        /// The directory.
        directory: PathBuf,
    },
    /// Somebody else owns the target.
    #[error(
        "{} belongs to uid {owner}, who could replace files in it: \
         it must belong to uid {own} (this process) or to root",
        directory.display()
    )]
    Owner {
        /// The directory.
        directory: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Whose it should be.
        own: u32,
    },
    /// Another process delivers into the target.
    #[error("another process delivers files into {}: give each its own directory", directory.display())]
    Busy {
        /// The directory.
        directory: PathBuf,
    },
    /// The file system is mounted read-only.
    #[error("{} is on a read-only file system: mount a tmpfs there", directory.display())]
    ReadOnly {
        /// The directory.
        directory: PathBuf,
    },
    /// No room.
    #[error(
        "{} is full: the files already there stay; give the tmpfs more room (size=) or its user more quota",
        directory.display()
    )]
    Full {
        /// The directory.
        directory: PathBuf,
    },
    /// Not allowed.
    #[error("this process may not {action} in {}: check its owner and mode", directory.display())]
    Denied {
        /// The directory.
        directory: PathBuf,
        /// What was tried.
        action: &'static str,
    },
    /// The owner of files cannot be set.
    #[error(
        "this process may not give files in {} to another owner: run it as that user, \
         or with CAP_CHOWN, or leave the owner unset",
        directory.display()
    )]
    Chown {
        /// The directory.
        directory: PathBuf,
    },
    /// A name is taken by something that was not put there by this program.
    #[error("{}/{name} exists and is not ours: remove it, or use a directory of its own", directory.display())]
    Occupied {
        /// The directory.
        directory: PathBuf,
        /// The name in it.
        name: String,
    },
    /// Named entries are not there.
    #[error(transparent)]
    Missing(#[from] Missing),
    /// Entries cannot be files; all of them.
    #[error("{}", Listed(.0))]
    Problems(Vec<FileProblem>),
    /// More files than one directory is given.
    #[error(
        "there would be {count} files in one directory, and at most {most} are written: choose fewer with a \
         prefix or by name"
    )]
    TooMany {
        /// How many there would be.
        count: usize,
        /// How many there may be.
        most: usize,
    },
    /// Anything else the system refused.
    #[error("could not {action} in {}", directory.display())]
    Io {
        /// The directory.
        directory: PathBuf,
        /// What was tried.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

/// Something the operator should know although files were delivered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Note {
    /// The directory is on a disk.
    #[error(
        "{} is not on a tmpfs: values are written to a disk, where they can outlive their removal",
        directory.display()
    )]
    OnDisk {
        /// The directory.
        directory: PathBuf,
    },
    /// What an earlier run left behind was removed.
    #[error("removed {count} leftovers of an interrupted run from {}", directory.display())]
    Leftovers {
        /// The directory.
        directory: PathBuf,
        /// How many names.
        count: usize,
    },
    /// Old files could not be removed.
    #[error("{}/{name} is out of use but could not be removed: remove it", directory.display())]
    NotRemoved {
        /// The directory.
        directory: PathBuf,
        /// The name in it.
        name: String,
    },
    /// It is not known what is out of use, so that nothing was removed.
    #[error(
        "the files in {} are in place, but old ones were not looked for: could not {action}: {reason}",
        directory.display()
    )]
    NotTidied {
        /// The directory.
        directory: PathBuf,
        /// What was tried.
        action: &'static str,
        /// What the system said.
        reason: String,
    },
}

/// What was tried when the system refused.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) action: &'static str,
    pub(super) errno: Errno,
}

impl Failed {
    /// True when there was no room, on the file system or within the user's quota.
    pub(super) fn is_for_want_of_room(&self) -> bool {
        matches!(self.errno, Errno::NOSPC | Errno::DQUOT)
    }
}

/// Names what was tried when a system call fails.
pub(super) trait Trying<T> {
    fn trying(self, action: &'static str) -> Result<T, Failed>;
}

impl<T> Trying<T> for Result<T, Errno> {
    fn trying(self, action: &'static str) -> Result<T, Failed> {
        self.map_err(|errno| Failed { action, errno })
    }
}

impl FilesError {
    /// True when the same files may be delivered a while later, without another revision.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        !matches!(
            self,
            Self::Problems(_) | Self::Missing(_) | Self::TooMany { .. } | Self::Settings { .. }
        )
    }

    pub(super) fn from_failed(failed: Failed, directory: &std::path::Path) -> Self {
        let full = failed.is_for_want_of_room();
        let Failed { action, errno } = failed;
        let directory = directory.to_owned();
        match errno {
            _ if full => Self::Full { directory },
            Errno::ROFS => Self::ReadOnly { directory },
            Errno::ACCESS | Errno::PERM if action == CHOWN => Self::Chown { directory },
            Errno::ACCESS | Errno::PERM => Self::Denied { directory, action },
            _ => Self::Io {
                directory,
                action,
                source: errno.into(),
            },
        }
    }
}

/// The one action whose refusal needs another remedy than the rest.
pub(super) const CHOWN: &str = "set the owner of files";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_that_is_used_up_is_told_like_a_full_disk() {
        for errno in [Errno::NOSPC, Errno::DQUOT] {
            let failed = Failed {
                action: "write files",
                errno,
            };
            // what makes room is tried for both
            assert!(failed.is_for_want_of_room());
            let error = FilesError::from_failed(failed, std::path::Path::new("/run/files"));
            assert!(matches!(error, FilesError::Full { .. }), "{error}");
            assert!(error.is_temporary());
        }
    }
}
