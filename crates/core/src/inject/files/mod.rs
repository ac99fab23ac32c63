//! A directory of files: owns the layout in which all files of one revision switch at once.
//!
//! ```text
//! DIR/..12-9f3a61c04e7b2d58/database/password     the files of revision 12
//! DIR/..12-9f3a61c04e7b2d58/.revision             "12\n"
//! DIR/..data       -> ..12-9f3a61c04e7b2d58       renamed over: this is the switch
//! DIR/database     -> ..data/database             what consumers open
//! DIR/.revision    -> ..data/.revision
//! ```
//!
//! It must not know who consumes the files. Every access goes through the directory's own
//! descriptor and follows no symlink.

mod at;
mod directory;
mod error;
mod names;
mod target;
mod tidy;
mod tree;

use std::path::PathBuf;

pub use directory::{Applied, Directory, Prepared};
pub use error::{FileProblem, FilesError, Note};
pub use names::{FileName, FileNameError};

use crate::name::EntryPath;

/// Where files go, which entries become files, and who may read them.
#[derive(Clone, Debug)]
pub struct FilesSettings {
    /// The directory; created when only its last part is missing. Normally on tmpfs, and what
    /// containers mount: a mounted single file never sees a switch.
    pub directory: PathBuf,
    /// Make files of the entries at or below this path only; it is stripped from names.
    pub prefix: Option<EntryPath>,
    /// False: write only what [`FilesSettings::names`] lists.
    pub derive: bool,
    /// Explicit names. Such an entry is required, need not lie below the prefix, and is not
    /// written under its derived name.
    pub names: Vec<(FileName, EntryPath)>,
    /// Permission bits of every file, at most 0o777. Directories get the matching search bits.
    pub mode: u32,
    /// Owner of the files; this process's own when `None`.
    pub uid: Option<u32>,
    /// Group of the files; this process's own when `None`.
    pub gid: Option<u32>,
}

impl FilesSettings {
    /// Every entry into `directory`, readable by the own user only (0o400).
    #[must_use]
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            prefix: None,
            derive: true,
            names: Vec::new(),
            mode: 0o400,
            uid: None,
            gid: None,
        }
    }

    /// The paths that [`FilesSettings::names`] makes required.
    pub fn required(&self) -> impl Iterator<Item = &EntryPath> {
        self.names.iter().map(|(_, path)| path)
    }
}
