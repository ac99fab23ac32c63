//! The checks of a change that need no snapshot's keys: owns what messages, values, labels and
//! preconditions may be, and the words for what may not. It must not seal or resolve anything.

use super::change::{Expect, Put};
use super::error::CommitError;
use crate::config::{self, Format};
use crate::crypto::seal;
use crate::flag;
use crate::id::Version;
use crate::name::{self, EntryPath, EnvironmentName};
use crate::policy;
use crate::snapshot::{Entry, Kind, is_flag_set};
use crate::template::{Template, TemplateError};

/// Longest message, bytes.
const MAX_MESSAGE: usize = 4096;
/// Most labels of an entry; longest key and value, bytes.
const MAX_LABELS: usize = 64;
const MAX_LABEL: usize = 256;

/// Whether a commit may have that message.
pub(super) fn message(message: &str) -> Result<(), CommitError> {
    if message.len() > MAX_MESSAGE {
        Err(invalid("the message has more than 4096 bytes"))
    } else {
        Ok(())
    }
}

/// Whether an entry may have that value and those labels.
pub(super) fn put(put: &Put) -> Result<(), CommitError> {
    value(put)?;
    let mut count = 0;
    for (key, value) in put.labels.iter().flatten() {
        count += 1;
        if count > MAX_LABELS || !is_label_key(key) || !is_label_value(value) {
            return Err(invalid(format!(
                "{:?}: labels are at most 64, their keys of a-z, 0-9, `-`, `_`, `.`, `/`, keys and values \
                 at most 256 bytes without control characters",
                put.path
            )));
        }
    }
    Ok(())
}

fn value(put: &Put) -> Result<(), CommitError> {
    let path = &put.path;
    if put.value.len() > seal::MAX_PLAINTEXT {
        return Err(too_long(path, put.value.len()));
    }
    let checked = match put.kind {
        Kind::Config if path.is_template() => put.value.expose(|bytes| a_template(put.format, bytes)),
        Kind::Config => put
            .value
            .expose(|bytes| config::check(put.format, bytes))
            .map_err(|error| error.to_string()),
        Kind::Flag if is_flag_set(path) => put.value.expose(flag_set),
        Kind::Flag => put
            .value
            .expose(flag::Definition::parse)
            .map(|_| ())
            .map_err(|error| error.to_string()),
        Kind::Policy => put.value.expose(policy_text),
        Kind::Schema => put
            .value
            .expose(config::Schema::parse)
            .map(|_| ())
            .map_err(|error| error.to_string()),
        Kind::Secret => Ok(()),
    };
    checked.map_err(|problem| invalid(format!("{path:?}: {problem}")))
}

fn a_template(format: Format, bytes: &[u8]) -> Result<(), String> {
    if format != Format::Text {
        let under = name::TEMPLATES;
        return Err(format!(
            "what lies under {under}/ is a template, which is text: put it with the format text, or elsewhere"
        ));
    }
    let parsed = Template::parse("", bytes);
    let line = |error: TemplateError| format!("line {}: {}", error.line, error.problem);
    parsed.map(drop).map_err(line)
}

/// A set of flags without faults.
fn flag_set(bytes: &[u8]) -> Result<(), String> {
    let set = flag::Set::parse(bytes).map_err(|error| error.to_string())?;
    set.faults()
        .first()
        .map_or(Ok(()), |fault| Err(fault.to_string()))
}

fn policy_text(bytes: &[u8]) -> Result<(), String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "a policy is UTF-8 text".to_owned())?;
    policy::check(text).map(|_| ()).map_err(|fault| fault.to_string())
}

fn is_label_key(key: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_./".contains(&byte);
    !key.is_empty() && key.len() <= MAX_LABEL && key.bytes().all(allowed)
}

fn is_label_value(value: &str) -> bool {
    value.len() <= MAX_LABEL && !value.chars().any(char::is_control)
}

/// Whether a precondition holds for what is there.
pub(super) fn expect(
    expect: Expect,
    found: Option<&Entry>,
    environment: &EnvironmentName,
    path: &EntryPath,
) -> Result<(), CommitError> {
    let holds = match expect {
        Expect::Any => true,
        Expect::Absent => found.is_none(),
        Expect::Version(version) => found.is_some_and(|found| found.version == version),
        Expect::Revision(revision) => found.is_some_and(|found| found.changed_at() == revision),
    };
    if holds {
        return Ok(());
    }
    Err(CommitError::Stale {
        environment: environment.clone(),
        path: path.clone(),
        found: found.map_or(Version(0), |found| found.version),
    })
}

pub(super) fn too_long(path: &EntryPath, length: usize) -> CommitError {
    invalid(format!(
        "the value for {path:?} has {length} bytes; at most 1048576 (1 MiB) are allowed"
    ))
}

pub(super) fn invalid(problem: impl Into<String>) -> CommitError {
    CommitError::Invalid {
        problem: problem.into(),
    }
}

pub(super) fn denied(reason: impl Into<String>) -> CommitError {
    CommitError::Denied {
        reason: reason.into(),
    }
}
