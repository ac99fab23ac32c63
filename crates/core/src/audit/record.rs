//! What is recorded: owns the record of one decision and its bytes. No field of it can hold a
//! value: there are names, ids, counters and words fixed in the program. It must not know the
//! chain or files.

use std::fmt;
use std::sync::Arc;

use super::text::{LONGEST, push_escaped, push_number, push_text};
use crate::crypto::index::IndexKey;
use crate::hex;
use crate::id::{EntryId, Revision};
use crate::name::{EntryPath, EnvironmentName};
use crate::snapshot::Snapshot;
use crate::workload::Workload;

/// Deciding policies that one record names; of more only the number is told.
const POLICIES: usize = 16;
/// Bytes of a program's path that are recorded.
const PROGRAM: usize = 1024;
/// How a hashed name begins, where a clear one has an environment.
const HASHED: &str = "hmac-sha256:";

/// One decision, or one action of a member.
#[derive(Clone, Debug)]
pub struct Record<'a> {
    /// The revision that was decided at.
    pub revision: Revision,
    /// Who wanted it.
    pub subject: &'a Subject,
    /// What was wanted: `readSecret`.
    pub action: &'static str,
    /// The entry it is about.
    pub entry: Option<EntryId>,
    /// Its name, or the part of the tree that was asked about.
    pub name: Option<Name<'a>>,
    /// What was decided.
    pub decision: Decision,
    /// Why, in words fixed in the program.
    pub reason: Option<&'static str>,
    /// The policies that decided.
    pub policies: &'a [Arc<str>],
    /// The request it was decided for.
    pub request: Option<RequestId>,
}

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It may.
    Allow,
    /// It may not.
    Deny,
    /// It could not be done.
    Error,
}

impl Decision {
    pub(super) const ALL: [Self; 3] = [Self::Allow, Self::Deny, Self::Error];

    /// The word in the record.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The number of a request; the same in the answer, the log and the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestId(pub u64);

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Who wanted something, already in the record's spelling: it is made once a connection.
#[derive(Clone, PartialEq, Eq)]
pub struct Subject(Arc<[u8]>);

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

impl Subject {
    /// A process at the socket.
    #[must_use]
    pub fn workload(workload: &Workload) -> Self {
        let kernel = &workload.kernel;
        let mut out = b"\"workload\":{\"uid\":".to_vec();
        push_number(&mut out, u64::from(kernel.uid));
        out.extend_from_slice(b",\"gid\":");
        push_number(&mut out, u64::from(kernel.gid));
        if let Some(pid) = kernel.pid.and_then(|pid| u64::try_from(pid).ok()) {
            out.extend_from_slice(b",\"pid\":");
            push_number(&mut out, pid);
        }
        if let Some(container) = &kernel.container {
            push_field(&mut out, ",\"container\":", &container.id, LONGEST);
            if let Some(user) = container.user {
                out.extend_from_slice(b",\"container_of\":");
                push_number(&mut out, u64::from(user));
            }
        }
        if let Some(unit) = &kernel.unit {
            push_field(&mut out, ",\"unit\":", unit, LONGEST);
        }
        if let Some(executable) = &kernel.executable {
            push_field(&mut out, ",\"executable\":", &executable.path, PROGRAM);
        }
        out.push(b'}');
        Self(out.into())
    }

    /// A member by name, or by its id when it is none any more.
    #[must_use]
    pub fn member(name: &str) -> Self {
        Self::named("\"member\":", name)
    }

    /// A directory or process of the settings, by its target.
    #[must_use]
    pub fn injection(target: &str) -> Self {
        Self::named("\"injection\":", target)
    }

    /// Whoever asks through a listener of that name, where no kernel says who it is.
    #[must_use]
    pub fn guest(listener: &str) -> Self {
        Self::named("\"listener\":", listener)
    }

    /// The store at `location`, which offered a revision.
    #[must_use]
    pub fn store(location: &str) -> Self {
        Self::named("\"store\":", location)
    }

    fn named(key: &str, name: &str) -> Self {
        let mut out = key.as_bytes().to_vec();
        push_text(&mut out, name, PROGRAM);
        Self(out.into())
    }
}

fn push_field(out: &mut Vec<u8>, key: &str, text: &str, most: usize) {
    out.extend_from_slice(key.as_bytes());
    push_text(out, text, most);
}

/// A name as it was asked for.
#[derive(Clone, Copy, Debug)]
pub struct Name<'a> {
    /// The environment.
    pub environment: &'a EnvironmentName,
    /// The path in it; all of it when `None`.
    pub path: Option<&'a EntryPath>,
}

/// How names stand in records.
#[derive(Clone, Debug)]
pub enum Names {
    /// As they are.
    Clear,
    /// As keyed hashes: who lacks the key learns nothing, who has it can test a name.
    Hashed(NameKey),
}

/// The key that names are hashed under. Every member of the store has it.
#[derive(Clone)]
pub struct NameKey(Arc<IndexKey>);

impl fmt::Debug for NameKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NameKey([redacted])")
    }
}

impl NameKey {
    /// The key of the store that `snapshot` is of; it never changes.
    #[must_use]
    pub fn of(snapshot: &Snapshot) -> Self {
        Self(Arc::clone(&snapshot.directory().index))
    }
}

impl Names {
    /// `name` as it stands in records, between its quotes.
    #[must_use]
    pub fn text(&self, name: Name<'_>) -> String {
        let mut out = Vec::new();
        self.push(name, &mut out);
        String::from_utf8(out).unwrap_or_default()
    }

    /// True when `text` is the name of a record that was hashed.
    #[must_use]
    pub fn is_hashed(text: &str) -> bool {
        text.starts_with(HASHED)
    }

    fn push(&self, name: Name<'_>, out: &mut Vec<u8>) {
        let path = name.path.map_or("", EntryPath::as_str);
        match self {
            Self::Clear => {
                push_escaped(out, name.environment.as_str());
                out.push(b'/');
                push_escaped(out, path);
            }
            Self::Hashed(key) => {
                out.extend_from_slice(HASHED.as_bytes());
                hex::push(out, &key.0.name_tag(name.environment.as_str(), path));
            }
        }
    }
}

impl Record<'_> {
    /// Appends the record's bytes: the members of its line that are its own.
    pub fn encode(&self, names: &Names, out: &mut Vec<u8>) {
        out.extend_from_slice(b"\"revision\":");
        push_number(out, self.revision.0);
        out.push(b',');
        out.extend_from_slice(&self.subject.0);
        out.extend_from_slice(b",\"action\":");
        push_text(out, self.action, LONGEST);
        if let Some(entry) = self.entry {
            out.extend_from_slice(b",\"entry\":\"");
            hex::push(out, &entry.0);
            out.push(b'"');
        }
        if let Some(name) = self.name {
            out.extend_from_slice(b",\"name\":\"");
            names.push(name, out);
            out.push(b'"');
        }
        out.extend_from_slice(b",\"decision\":\"");
        out.extend_from_slice(self.decision.as_str().as_bytes());
        out.push(b'"');
        if let Some(reason) = self.reason {
            out.extend_from_slice(b",\"reason\":");
            push_text(out, reason, LONGEST);
        }
        if !self.policies.is_empty() {
            self.encode_policies(out);
        }
        if let Some(request) = self.request {
            out.extend_from_slice(b",\"request\":\"");
            hex::push(out, &request.0.to_be_bytes());
            out.push(b'"');
        }
    }

    fn encode_policies(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b",\"policies\":[");
        for (at, policy) in self.policies.iter().take(POLICIES).enumerate() {
            if at > 0 {
                out.push(b',');
            }
            push_text(out, policy, LONGEST);
        }
        out.push(b']');
        if let Some(more) = self.policies.len().checked_sub(POLICIES).filter(|more| *more > 0) {
            out.extend_from_slice(b",\"more\":");
            push_number(out, u64::try_from(more).unwrap_or(u64::MAX));
        }
    }
}
