//! File names: owns the rule from path to name and what a name may be. It must not touch disks.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::super::{Material, below};
use super::{FileProblem, FilesError, FilesSettings};
use crate::name::EntryPath;
use crate::secret::Secret;

/// So many files at most in one directory: each costs an inode and a page of memory, and all are
/// written before they are switched.
const MOST: usize = 10_000;
/// Beside the files, this one holds their revision.
pub(super) const REVISION: &str = ".revision";

/// A file's name inside the directory: segments joined by `/`, each 1 to 255 bytes, none `.` or
/// `..`, no control characters. The first does not begin with `..` and is not `.revision`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileName(Box<str>);

/// The text cannot be a file's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FileNameError {
    /// A segment is empty.
    #[error("a file name has no empty part between slashes")]
    Empty,
    /// A segment is `.` or `..`.
    #[error("a file name has no part that is . or ..")]
    Dots,
    /// Control characters.
    #[error("a file name has no control characters")]
    Control,
    /// Over the limit of file systems.
    #[error("a part of a file name has at most 255 bytes")]
    TooLong,
    /// Names of our own.
    #[error("names that begin with .. and the name .revision are taken")]
    Reserved,
}

impl FileName {
    /// Parses `text`.
    ///
    /// # Errors
    /// [`FileNameError`].
    pub fn new(text: &str) -> Result<Self, FileNameError> {
        if text.chars().any(char::is_control) {
            return Err(FileNameError::Control);
        }
        for segment in text.split('/') {
            match segment {
                "" => return Err(FileNameError::Empty),
                "." | ".." => return Err(FileNameError::Dots),
                long if long.len() > 255 => return Err(FileNameError::TooLong),
                _ => {}
            }
        }
        if text.starts_with("..") || text.split('/').next() == Some(REVISION) {
            return Err(FileNameError::Reserved);
        }
        Ok(Self(text.into()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for FileName {
    type Err = FileNameError;
    fn from_str(text: &str) -> Result<Self, FileNameError> {
        Self::new(text)
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

/// What becomes a file.
#[derive(Clone, Copy)]
enum Owner<'a> {
    Entry(&'a EntryPath),
    Made(&'a str),
}

impl Owner<'_> {
    fn cannot(self, name: &str, problem: impl fmt::Display) -> FileProblem {
        FileProblem::Made {
            name: name.to_owned(),
            of: self.to_string(),
            problem: problem.to_string(),
        }
    }

    /// Both would have this name.
    fn collides(self, name: FileName, second: Owner<'_>) -> FileProblem {
        match (self, second) {
            (Self::Entry(first), Owner::Entry(second)) => FileProblem::Collision {
                name,
                first: first.clone(),
                second: second.clone(),
            },
            (first, second) => second.cannot(
                name.as_str(),
                format_args!("{first} is that file already: name one of them otherwise"),
            ),
        }
    }

    /// `inside`, which is to be `name`, would lie below this file.
    fn is_directory_of(self, name: &FileName, inside: Owner<'_>) -> FileProblem {
        match (self, inside) {
            (Self::Entry(file), Owner::Entry(inside)) => FileProblem::FileAndDirectory {
                file: file.clone(),
                inside: inside.clone(),
            },
            (file, inside) => inside.cannot(
                name.as_str(),
                format_args!("{file} is a file where its directory would be: name one of them otherwise"),
            ),
        }
    }
}

impl fmt::Display for Owner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entry(path) => write!(f, "{path}"),
            Self::Made(of) => f.write_str(of),
        }
    }
}

/// The files of one revision: values by name, `.revision` not among them.
pub(super) type Files<'a> = BTreeMap<FileName, &'a Secret>;

impl FilesSettings {
    /// Whether `material` can be delivered as files, but for what is in the way on the disk.
    ///
    /// # Errors
    /// As where it is delivered.
    pub fn check(&self, material: &Material) -> Result<(), FilesError> {
        self.files(material).map(drop)
    }

    /// Names the values of `material`.
    ///
    /// # Errors
    /// [`FilesError::Missing`] or [`FilesError::Problems`], with everything that is wrong;
    /// [`FilesError::TooMany`].
    pub(super) fn files<'a>(&self, material: &'a Material) -> Result<Files<'a>, FilesError> {
        material.require(self.required())?;
        let mut problems = Vec::new();
        let mut taken: BTreeMap<FileName, (Owner<'a>, &Secret)> = BTreeMap::new();
        for value in &material.values {
            let owner = Owner::Entry(&value.path);
            for name in self.names_of(&value.path) {
                let path = value.path.clone();
                match name {
                    Err(problem) => problems.push(FileProblem::Name { path, problem }),
                    Ok(name) => match taken.get(&name) {
                        Some((first, _)) => problems.push(first.collides(name, owner)),
                        None => {
                            taken.insert(name, (owner, &value.bytes));
                        }
                    },
                }
            }
        }
        for made in &material.made {
            let owner = Owner::Made(&made.of);
            match FileName::new(&made.name) {
                Err(problem) => problems.push(owner.cannot(&made.name, problem)),
                Ok(name) => match taken.get(&name) {
                    Some((first, _)) => problems.push(first.collides(name, owner)),
                    None => {
                        taken.insert(name, (owner, &made.bytes));
                    }
                },
            }
        }
        if taken.len() > MOST {
            return Err(FilesError::TooMany {
                count: taken.len(),
                most: MOST,
            });
        }
        for (name, (inside, _)) in &taken {
            let above = name
                .as_str()
                .match_indices('/')
                .map(|(end, _)| &name.as_str()[..end]);
            for (file, _) in above.filter_map(|above| taken.get(above)) {
                problems.push(file.is_directory_of(name, *inside));
            }
        }
        if problems.is_empty() {
            Ok(taken
                .into_iter()
                .map(|(name, (_, value))| (name, value))
                .collect())
        } else {
            Err(FilesError::Problems(problems))
        }
    }

    fn names_of(&self, path: &EntryPath) -> Vec<Result<FileName, FileNameError>> {
        let mut names: Vec<_> = self
            .names
            .iter()
            .filter(|(_, named)| named == path)
            .map(|(name, _)| Ok(name.clone()))
            .collect();
        if self.derive
            && names.is_empty()
            && let Some(rest) = below(path, self.prefix.as_ref())
        {
            names.push(FileName::new(rest));
        }
        names
    }
}

impl std::borrow::Borrow<str> for FileName {
    fn borrow(&self) -> &str {
        &self.0
    }
}
