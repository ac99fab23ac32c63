//! A file of cases: owns its format. It must not know how cases are decided.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::described::Described;
use super::files;
use crate::error::CliError;

/// A file of cases.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CaseFile {
    /// Whose policies they are, if they say so.
    pub(super) environment: Option<String>,
    /// What that environment inherits from, nearest first.
    #[serde(default)]
    pub(super) inherits: Vec<String>,
    #[serde(default)]
    pub(super) principals: BTreeMap<String, Asking>,
    #[serde(rename = "case")]
    pub(super) cases: Vec<Case>,
}

/// Who asks.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Asking {
    Member(AskingMember),
    Guest(AskingGuest),
    Workload(Box<Described>),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AskingMember {
    pub(super) member: String,
    pub(super) role: String,
}

/// Whoever asks through a listener.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AskingGuest {
    pub(super) listener: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    pub(super) principal: String,
    pub(super) action: String,
    pub(super) resource: Asked,
    /// When it is asked; 2000-01-01 if nothing is said.
    pub(super) now: Option<String>,
    pub(super) decision: Expected,
    /// The deciding policies, in any order.
    #[serde(default)]
    pub(super) policies: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Asked {
    Path(String),
    Entry(AskedEntry),
}

/// An entry that is not the plain one its action is about.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AskedEntry {
    pub(super) path: String,
    pub(super) kind: Option<String>,
    pub(super) compartment: Option<String>,
    #[serde(default)]
    pub(super) labels: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Expected {
    Allow,
    Deny,
}

impl Expected {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

impl Asked {
    pub(super) fn path(&self) -> &str {
        match self {
            Self::Path(path) => path,
            Self::Entry(entry) => &entry.path,
        }
    }
}

impl CaseFile {
    /// Reads one; what is wrong is said with its line, and not in the words of the file.
    pub(super) fn read(file: &Path) -> Result<Self, CliError> {
        let text = files::text(file)?;
        toml::from_str(&text).map_err(|error| {
            let before = error
                .span()
                .and_then(|span| text.get(..span.start))
                .unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            CliError::failed(format!(
                "{}: line {line}: {}",
                file.display(),
                without_input(error.message())
            ))
        })
    }
}

/// serde puts the name it did not expect between backquotes first; what may stand there follows.
fn without_input(message: &str) -> String {
    for unexpected in ["unknown field `", "unknown variant `"] {
        if let Some(rest) = message.strip_prefix(unexpected) {
            let expected = rest.rfind("`, expected ").or_else(|| rest.rfind("`, there are "));
            let known = expected.and_then(|at| rest.get(at..)).unwrap_or_default();
            let what = unexpected.trim_end_matches(" `");
            return format!("{what}{}", known.trim_start_matches('`'));
        }
    }
    if message.starts_with("invalid") && message.contains('"') {
        return "a value of another type is expected here".to_owned();
    }
    message.to_owned()
}
