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
    /// An environment: lower-case ASCII letters, digits, `-` and `_`, the first a letter or a
    /// digit, at most 63 bytes.
    EnvironmentName, "the environment", scope
}
name! {
    /// A compartment; same grammar as an environment.
    CompartmentName, "the compartment", scope
}
name! {
    /// A member: ASCII letters, digits, `-`, `_`, `.`, `@`, the first not `.` or `-`, at most
    /// 128 bytes.
    MemberName, "the member name", member
}
name! {
    /// An entry's name inside an environment: segments joined by `/`, at most 512 bytes; each
    /// segment 1 to 128 bytes of letters and digits of any script and `-_.@:+=~`, in NFC, not `.`
    /// and not starting with `..`.
    EntryPath, "the path", path
}
name! {
    /// A flag's key: one segment of a path.
    FlagKey, "the flag key", segment
}

impl EntryPath {
    /// True for the paths at which templates lie: below [`TEMPLATES`].
    #[must_use]
    pub fn is_template(&self) -> bool {
        let below = self.0.strip_prefix(TEMPLATES);
        below.is_some_and(|below| below.starts_with('/'))
    }

    /// True when this path equals `prefix` or lies below it, on a segment boundary.
    #[must_use]
    pub fn is_under(&self, prefix: &EntryPath) -> bool {
        self.0
            .strip_prefix(prefix.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// The name of a variable for `text`: upper case, one `_` for every character that is not an ASCII letter
/// or digit, and a `_` before a leading digit.
pub(crate) fn variable(text: &str) -> String {
    let mut name = String::with_capacity(text.len().saturating_add(1));
    if text.starts_with(|first: char| first.is_ascii_digit()) {
        name.push('_');
    }
    name.extend(text.chars().map(|letter| {
        if letter.is_ascii_alphanumeric() {
            letter.to_ascii_uppercase()
        } else {
            '_'
        }
    }));
    name
}

/// Templates that are entries lie under this path, as texts.
pub const TEMPLATES: &str = "template";

type Check = Result<(), &'static str>;

/// Environments and compartments.
fn scope(text: &str) -> Check {
    let bytes = text.as_bytes();
    match bytes.first() {
        None => Err("it is empty"),
        Some(b'-' | b'_') => Err("it starts with something else than a letter or a digit"),
        Some(_) if bytes.len() > 63 => Err("it is longer than 63 bytes"),
        Some(_) if bytes.iter().any(u8::is_ascii_uppercase) => Err("it has an upper-case letter"),
        Some(_) if bytes.iter().all(|byte| is_scope_byte(*byte)) => Ok(()),
        Some(_) => Err("only the letters a to z, digits, `-` and `_` are allowed"),
    }
}

fn is_scope_byte(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_')
}

fn member(text: &str) -> Check {
    let bytes = text.as_bytes();
    match bytes.first() {
        None => Err("it is empty"),
        Some(b'.' | b'-') => Err("it starts with `.` or `-`"),
        Some(_) if bytes.len() > 128 => Err("it is longer than 128 bytes"),
        Some(_) if bytes.iter().all(|byte| is_member_byte(*byte)) => Ok(()),
        Some(_) => Err("only the letters a to z and A to Z, digits, `-`, `_`, `.` and `@` are allowed"),
    }
}

fn is_member_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'@')
}

fn path(text: &str) -> Check {
    if text.is_empty() {
        Err("it is empty")
    } else if text.len() > 512 {
        Err("it is longer than 512 bytes")
    } else if text.starts_with('/') {
        Err("it starts with `/`")
    } else if text.ends_with('/') {
        Err("it ends with `/`")
    } else if text.contains("//") {
        Err("it has an empty segment: `//`")
    } else {
        text.split('/').try_for_each(segment)
    }
}

/// One segment of a path, a flag's key. Segments that start with `..` are refused beside `.` and
/// `..` themselves, since directories of files keep such names for their own use.
fn segment(text: &str) -> Check {
    if text.is_empty() {
        Err("it is empty")
    } else if text.len() > 128 {
        Err("a segment is longer than 128 bytes")
    } else if text == "." || text.starts_with("..") {
        Err("a segment is `.` or starts with `..`")
    } else if text.bytes().all(is_plain_segment_byte) {
        // what nearly every segment is made of passes all that follows
        Ok(())
    } else if text.contains('/') {
        Err("it has a `/`")
    } else if text.chars().any(char::is_control) {
        Err("it has a control character")
    } else if text.chars().any(char::is_whitespace) {
        Err("it has a space")
    } else if !unicode_normalization::is_nfc(text) {
        Err("it is not in Unicode's composed form (NFC)")
    } else if !text.chars().all(is_segment_char) {
        Err("only letters, digits and `-_.@:+=~` are allowed in a segment")
    } else {
        Ok(())
    }
}

fn is_plain_segment_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'@' | b':' | b'+' | b'=' | b'~')
}

/// Letters and digits of any script. Nothing that steers or hides text is one of those, but for
/// the Hangul fillers, which are letters and invisible.
fn is_segment_char(char: char) -> bool {
    const FILLERS: [char; 4] = ['\u{115f}', '\u{1160}', '\u{3164}', '\u{ffa0}'];
    (char.is_alphanumeric() && !FILLERS.contains(&char)) || "-_.@:+=~".contains(char)
}
