//! Names: owns the grammar of environments, paths, members, compartments and flag keys.
//! A name is accepted as it stands or refused; nothing is ever normalised. Errors never repeat
//! the rejected text, which may be a secret typed in the wrong place.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Why a text is not a name of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{kind} is not valid: {problem}")]
pub struct NameError {
    /// Which kind of name was expected, for the message.
    pub kind: &'static str,
    /// What is wrong with it.
    pub problem: &'static str,
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $check:path) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Parses `text`.
            ///
            /// # Errors
            /// [`NameError`] naming the rule that is broken.
            pub fn new(text: &str) -> Result<Self, NameError> {
                match $check(text) {
                    Ok(()) => Ok(Self(Arc::from(text))),
                    Err(problem) => Err(NameError { kind: $kind, problem }),
                }
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name! {
    /// An environment: lower-case ASCII letters, digits, `-` and `_`, at most 63 bytes.
    EnvironmentName, "the environment", simple
}
name! {
    /// A compartment; same grammar as an environment.
    CompartmentName, "the compartment", simple
}
name! {
    /// A member: letters, digits, `-`, `_`, `.`, `@`, at most 128 bytes.
    MemberName, "the member name", simple
}
name! {
    /// An entry's name inside an environment: segments joined by `/`, at most 512 bytes.
    EntryPath, "the path", simple
}
name! {
    /// A flag's key: one segment of a path.
    FlagKey, "the flag key", simple
}

impl EntryPath {
    /// True when this path equals `prefix` or lies below it, on a segment boundary.
    #[must_use]
    pub fn is_under(&self, prefix: &EntryPath) -> bool {
        self.0
            .strip_prefix(prefix.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

fn simple(text: &str) -> Result<(), &'static str> {
    if text.is_empty() {
        Err("it is empty")
    } else {
        Ok(())
    }
}
