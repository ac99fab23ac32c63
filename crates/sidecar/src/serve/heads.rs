//! The headers that tell which version an answer is of: owns making them, and remembering those
//! that a connection was told last, since a client that asks often asks for the same.

use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use hyper::header::HeaderValue;
use strongroom_core::config::Format;
use strongroom_core::id::{EntryId, Revision, Version};
use strongroom_core::kind::Kind;
use strongroom_core::name::EnvironmentName;
use strongroom_core::snapshot::{Entry, Local, Snapshot};

use super::text::Text;
use crate::change;

/// The headers of one answer.
#[derive(Clone, Debug)]
pub(super) struct Heads {
    of: Of,
    pub(super) version: HeaderValue,
    pub(super) etag: HeaderValue,
    pub(super) revision: HeaderValue,
}

/// What they are of: an entry as one revision has it, in one form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Of {
    entry: EntryId,
    /// Two labels may point at versions of one revision.
    version: Version,
    version_of: Revision,
    revision: Revision,
    /// What this machine says of it, which changes within a revision, and says nothing of the past.
    local: Option<u64>,
    raw: bool,
}

/// Those that were told last.
#[derive(Debug, Default)]
pub(super) struct Told(Mutex<Option<Heads>>);

impl Told {
    /// Forgets them.
    pub(super) fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// The headers for `entry` of `snapshot`, as bytes if `raw`.
    pub(super) fn heads(
        &self,
        environment: &EnvironmentName,
        snapshot: &Snapshot,
        entry: &Entry,
        raw: bool,
    ) -> Heads {
        let of = Of {
            entry: entry.id,
            version: entry.version,
            version_of: entry.revision,
            revision: snapshot.revision(),
            local: snapshot.local(environment, &entry.path).map(Local::mark),
            raw,
        };
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(heads) = told.as_ref().filter(|heads| heads.of == of) {
            return heads.clone();
        }
        let heads = Heads {
            of,
            version: Text::number(entry.version.0.into()).header(),
            etag: etag(environment, snapshot, entry, raw),
            revision: Text::number(snapshot.revision().0).header(),
        };
        told.insert(heads).clone()
    }
}

/// The version and its revision, which another life of its path has not, and, where a document is
/// merged, what else it is made of; then the form, because JSON and bytes are two
/// representations.
fn etag(environment: &EnvironmentName, snapshot: &Snapshot, entry: &Entry, raw: bool) -> HeaderValue {
    let form = if raw { "r\"" } else { "j\"" };
    if entry.kind != Kind::Config || entry.format == Format::Text {
        let mut text = Text::default();
        text.push(b"\"");
        text.push_number(entry.version.0.into());
        text.push(b"-");
        text.push_number(entry.revision.0);
        text.push(form.as_bytes());
        return text.header();
    }
    let mut out = format!("\"{}-{}", entry.version.0, entry.revision.0);
    let layers = change::parts(snapshot, environment, &entry.path);
    // the nearest is the entry itself; a farther one may be of the same revision, and counts
    for layer in layers.into_iter().skip(1) {
        let _ = write!(out, ".{layer}");
    }
    out.push_str(form);
    // digits, dots, hyphens and quotes are legal in a header
    HeaderValue::from_str(&out).unwrap_or(HeaderValue::from_static("\"\""))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use strongroom_core::Vault;
    use strongroom_core::ambient::Ambient;
    use strongroom_core::crypto::identity::Identity;
    use strongroom_core::name::{EntryPath, MemberName};
    use strongroom_core::secret::Secret;
    use strongroom_core::store::MemoryStore;
    use strongroom_core::vault::{Change, Edit, Expect, Put};

    use super::*;

    #[test]
    fn no_two_versions_share_a_tag() {
        let identity = Arc::new(Identity::generate(&Ambient::system()).unwrap());
        let name = MemberName::new("alice").unwrap();
        let store = Arc::new(MemoryStore::new());
        let vault = Vault::create(store, &name, identity, Ambient::system()).unwrap();
        let environment = EnvironmentName::new("prod").unwrap();
        let path = EntryPath::new("web/token").unwrap();
        let added = Edit::AddEnvironment {
            name: environment.clone(),
            parent: None,
            compartment: None,
        };
        let put = Edit::Put(Put {
            environment: environment.clone(),
            path: path.clone(),
            kind: Kind::Secret,
            value: Secret::new(b"one".to_vec()),
            format: Format::Text,
            labels: None,
            compartment: None,
            expect: Expect::Any,
        });
        for edit in [added, put] {
            let change = Change {
                message: String::new(),
                edits: vec![edit],
            };
            vault.commit(&change).unwrap();
        }
        let snapshot = vault.snapshot();
        let one = snapshot.entry(&environment, &path).unwrap();
        // As two labels may point at versions that one commit put in their place.
        let mut other = Entry::clone(&one);
        other.version = Version(u32::MAX);
        let told = Told::default();
        let heads = |entry: &Entry| told.heads(&environment, &snapshot, entry, true);
        let (one, other) = (heads(&one), heads(&other));
        assert_ne!(one.etag, other.etag);
        assert_ne!(one.version, other.version);
    }
}
