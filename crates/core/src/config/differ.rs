//! What differs between two documents: owns naming the keys, never their values.

use serde_json::Value;

use super::key::Key;

/// How a key differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Differs {
    /// Only the later document has it.
    Added,
    /// Both have it, with other values.
    Changed,
    /// Only the earlier document has it.
    Removed,
}

impl Differs {
    /// `+`, `~` or `-`.
    #[must_use]
    pub fn sign(self) -> char {
        match self {
            Self::Added => '+',
            Self::Changed => '~',
            Self::Removed => '-',
        }
    }
}

/// The keys that differ, in the order of the earlier document, then of the later one. A table that
/// only one of them has is named once, not key by key.
#[must_use]
pub fn differing(before: &Value, after: &Value) -> Vec<(Key, Differs)> {
    let mut found = Vec::new();
    visit(&mut Vec::new(), before, after, &mut found);
    found
}

fn visit(names: &mut Vec<String>, before: &Value, after: &Value, found: &mut Vec<(Key, Differs)>) {
    let (Value::Object(old), Value::Object(new)) = (before, after) else {
        if before != after {
            found.push((Key::of(names.clone()), Differs::Changed));
        }
        return;
    };
    let only_new = new.keys().filter(|name| !old.contains_key(*name));
    for name in old.keys().chain(only_new) {
        names.push(name.clone());
        match (old.get(name), new.get(name)) {
            (Some(old), Some(new)) => visit(names, old, new, found),
            (None, _) => found.push((Key::of(names.clone()), Differs::Added)),
            (_, None) => found.push((Key::of(names.clone()), Differs::Removed)),
        }
        names.pop();
    }
}
