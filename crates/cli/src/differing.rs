//! Two values told apart by the keys of their documents, never by what is under them: owns which
//! values have keys, and the signs. It must not know where values come from.

use serde_json::Value;
use strongroom_core::config::{self, Differs, Format, Key};
use strongroom_core::snapshot::Kind;

use crate::tree;

/// A value as a document with keys; `None` when it has none.
pub(crate) fn document(kind: Kind, format: Format, bytes: &[u8]) -> Option<Value> {
    match (kind, format) {
        (Kind::Flag | Kind::Schema, _) | (Kind::Config, Format::Json) => serde_json::from_slice(bytes).ok(),
        (Kind::Config, Format::Toml) => tree::parse_toml(bytes).ok(),
        (Kind::Config, Format::Text) | (Kind::Secret | Kind::Policy, _) => None,
    }
}

/// The keys in which two documents differ, each with its sign; none when one of them is no document.
pub(crate) fn keys(before: Option<&Value>, after: Option<&Value>) -> Vec<String> {
    let (Some(before), Some(after)) = (before, after) else {
        return Vec::new();
    };
    let line = |(key, differs): (Key, Differs)| format!("{} {key}", differs.sign());
    config::differing(before, after).into_iter().map(line).collect()
}
