//! Environment variables: owns the rule from path to variable name and which values a variable
//! can hold. It must not start processes.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::process::Command;
use std::str::FromStr;

use super::{Listed, Material, Missing, below};
use crate::name::EntryPath;
use crate::secret::Secret;

/// The most that the kernel lets one variable take: name, `=`, value and a closing NUL.
const LONGEST: usize = 128 * 1024;

/// Own variables begin with this; a child never inherits them.
pub const OWN: &str = "STRONGROOM_";

/// Which entries become variables, and under which names.
#[derive(Clone, Debug)]
pub struct EnvSettings {
    /// Derive variables from the entries at or below this path only; it is stripped from names.
    pub prefix: Option<EntryPath>,
    /// False: deliver only what [`EnvSettings::names`] lists.
    pub derive: bool,
    /// Explicit names. Such an entry is required, need not lie below the prefix, and gets no
    /// derived name.
    pub names: Vec<(VariableName, EntryPath)>,
}

impl Default for EnvSettings {
    fn default() -> Self {
        Self {
            prefix: None,
            derive: true,
            names: Vec::new(),
        }
    }
}

/// A variable's name: ASCII letters, digits and `_`, not beginning with a digit, at most 1024 bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VariableName(Box<str>);

/// The text cannot be a variable's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a variable's name is 1 to 1024 ASCII letters, digits and _, and does not begin with a digit")]
pub struct VariableNameError;

impl VariableName {
    /// Parses `text`.
    ///
    /// # Errors
    /// [`VariableNameError`].
    pub fn new(text: &str) -> Result<Self, VariableNameError> {
        let valid = (1..=1024).contains(&text.len())
            && !text.starts_with(|first: char| first.is_ascii_digit())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if valid {
            Ok(Self(text.into()))
        } else {
            Err(VariableNameError)
        }
    }

    /// The name that an entry gets when none is given: `database/password` (what is left of the
    /// path after the prefix) becomes `DATABASE_PASSWORD`. Upper case, one `_` for every character
    /// that is not an ASCII letter or digit, and a `_` before a leading digit.
    #[must_use]
    pub fn derive(rest: &str) -> Self {
        Self(crate::name::variable(rest).into_boxed_str())
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True for variables that decide what a program loads or runs, and for those that these
    /// programs take settings from: an entry gets such a name only when an operator gives it, never
    /// by where it happens to lie.
    fn is_reserved(&self) -> bool {
        self.0.starts_with("LD_")
            || self.0.starts_with(OWN)
            || matches!(&*self.0, "PATH" | "HOME" | "IFS" | "ENV" | "BASH_ENV")
    }
}

impl FromStr for VariableName {
    type Err = VariableNameError;
    fn from_str(text: &str) -> Result<Self, VariableNameError> {
        Self::new(text)
    }
}

impl fmt::Display for VariableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for VariableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

/// Why one entry cannot be a variable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvProblem {
    /// Two entries would get one name.
    #[error("{first} and {second} would both be ${name}: give one of them another name (NAME=path)")]
    Collision {
        /// The name.
        name: VariableName,
        /// One entry.
        first: EntryPath,
        /// The other.
        second: EntryPath,
    },
    /// The value holds a NUL byte.
    #[error("{path} holds a NUL byte, which no environment variable can: deliver it as a file")]
    Nul {
        /// The entry.
        path: EntryPath,
    },
    /// The value is longer than the kernel allows.
    #[error("{path} is too long for an environment variable (128 KiB with its name): deliver it as a file")]
    TooLong {
        /// The entry.
        path: EntryPath,
    },
    /// Something that was made cannot be a variable under its name.
    #[error("{of} cannot be ${name}: {problem}")]
    Made {
        /// The name it would have.
        name: String,
        /// What it was made of.
        of: String,
        /// Why not.
        problem: &'static str,
    },
    /// The derived name would change how programs are found and loaded, or is a setting of these
    /// programs.
    #[error(
        "{path} would be ${name}, which is reserved: if that is meant, say so with {name}={path}; if not, use \
         a prefix"
    )]
    Reserved {
        /// The name.
        name: VariableName,
        /// The entry.
        path: EntryPath,
    },
}

/// Why no environment could be made; lists everything that is wrong, not only the first.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvError {
    /// Named entries are not there.
    #[error(transparent)]
    Missing(#[from] Missing),
    /// Entries cannot be variables.
    #[error("{}", Listed(.0))]
    Problems(Vec<EnvProblem>),
}

/// The variables of one revision, borrowed from its material.
pub struct Variables<'a>(Vec<(VariableName, &'a Secret)>);

impl fmt::Debug for Variables<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|(name, _)| name))
            .finish()
    }
}

impl<'a> Variables<'a> {
    /// Names and values, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&VariableName, &'a Secret)> {
        self.0.iter().map(|(name, value)| (name, *value))
    }

    /// Gives the variables to a command that is about to start, and takes the own ones
    /// ([`OWN`]) that this process has from it.
    pub fn apply(&self, command: &mut Command) {
        for (name, _) in std::env::vars_os() {
            if name.as_bytes().starts_with(OWN.as_bytes()) {
                command.env_remove(name);
            }
        }
        for (name, value) in self.iter() {
            value.expose(|bytes| command.env(name.as_str(), OsStr::from_bytes(bytes)));
        }
    }
}

/// Why a value cannot be the variable of a name.
enum Fault {
    Reserved,
    Nul,
    TooLong,
}

fn fault(name: &VariableName, is_named: bool, value: &Secret) -> Option<Fault> {
    if !is_named && name.is_reserved() {
        Some(Fault::Reserved)
    } else if value.expose(|bytes| bytes.contains(&0)) {
        Some(Fault::Nul)
    } else if name.as_str().len() + value.len() + 2 > LONGEST {
        Some(Fault::TooLong)
    } else {
        None
    }
}

/// The name of what was made.
fn variable(made: &super::Made, taken: &HashSet<VariableName>) -> Result<VariableName, &'static str> {
    let name = VariableName::new(&made.name).map_err(|_| "that is no variable's name")?;
    if taken.contains(&name) {
        return Err("something else is that variable already: name one of them otherwise");
    }
    match fault(&name, made.is_named, &made.bytes) {
        None => Ok(name),
        Some(Fault::Reserved) => Err("that name is reserved: choose another for the document"),
        Some(Fault::Nul) => {
            Err("it holds a NUL byte, which no environment variable can: deliver it as a file")
        }
        Some(Fault::TooLong) => {
            Err("it is too long for an environment variable (128 KiB with its name): deliver it as a file")
        }
    }
}

impl EnvSettings {
    /// The paths that [`EnvSettings::names`] makes required.
    pub fn required(&self) -> impl Iterator<Item = &EntryPath> {
        self.names.iter().map(|(_, path)| path)
    }

    /// Names the values of `material`.
    ///
    /// # Errors
    /// [`EnvError`]: entries that are missing, collide or cannot be variables; all of them.
    pub fn variables<'a>(&self, material: &'a Material) -> Result<Variables<'a>, EnvError> {
        material.require(self.required())?;
        let mut problems = Vec::new();
        let mut taken: HashMap<VariableName, &EntryPath> = HashMap::new();
        let mut variables = Vec::new();
        for (name, value, explicit) in self.named(material) {
            let path = value.path.clone();
            if let Some(first) = taken.insert(name.clone(), &value.path) {
                if *first != path {
                    let (first, second) = (first.clone(), path);
                    problems.push(EnvProblem::Collision { name, first, second });
                }
                continue;
            }
            match fault(&name, explicit, &value.bytes) {
                Some(Fault::Reserved) => problems.push(EnvProblem::Reserved { name, path }),
                Some(Fault::Nul) => problems.push(EnvProblem::Nul { path }),
                Some(Fault::TooLong) => problems.push(EnvProblem::TooLong { path }),
                None => variables.push((name, &value.bytes)),
            }
        }
        let mut names: HashSet<VariableName> = taken.into_keys().collect();
        for made in &material.made {
            match variable(made, &names) {
                Ok(name) => {
                    names.insert(name.clone());
                    variables.push((name, &made.bytes));
                }
                Err(problem) => problems.push(EnvProblem::Made {
                    name: made.name.clone(),
                    of: made.of.clone(),
                    problem,
                }),
            }
        }
        if !problems.is_empty() {
            return Err(EnvError::Problems(problems));
        }
        variables.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(Variables(variables))
    }

    /// Every value with its name and whether the name was given.
    fn named<'a>(&self, material: &'a Material) -> Vec<(VariableName, &'a super::Value, bool)> {
        let mut named = Vec::new();
        for value in &material.values {
            let mut explicit = false;
            for (name, _) in self.names.iter().filter(|(_, path)| *path == value.path) {
                explicit = true;
                named.push((name.clone(), value, true));
            }
            if self.derive
                && !explicit
                && let Some(rest) = below(&value.path, self.prefix.as_ref())
            {
                named.push((VariableName::derive(rest), value, false));
            }
        }
        named
    }
}
