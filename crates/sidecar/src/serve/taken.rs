//! What one connection took: owns telling the table of uptake which versions were given out on it. What
//! it was told already costs a few relaxed loads. It must not open values.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, OnceLock};

use hyper::Response;
use strongroom_core::config::Key;
use strongroom_core::id::{EntryId, Revision, Version};
use strongroom_core::snapshot::{Entry, Snapshot};

use super::answer::Refusal;
use super::body::Body;
use super::route::Part;
use super::service::{Asked, Service};
use super::{list, value};
use crate::grant::Grant;
use crate::uptake::{Client, Noted, Took};

/// What belongs to one connection.
#[derive(Debug, Default)]
pub(super) struct Taken {
    noted: Noted<16>,
    client: OnceLock<Arc<Client>>,
}

/// Which version of an entry is given out, without a hold on the entry: threads that read the same one
/// would take turns at counting those.
#[derive(Clone, Copy, Debug)]
pub(super) struct Given {
    entry: EntryId,
    version: Version,
    made: Revision,
}

impl Given {
    pub(super) fn of(entry: &Arc<Entry>) -> Self {
        Self {
            entry: entry.id,
            version: entry.version,
            made: entry.revision,
        }
    }
}

impl Service {
    /// Answers with one entry that was granted.
    pub(super) fn one(
        &self,
        asked: &Asked<'_>,
        snapshot: &Snapshot,
        grant: Grant,
        part: Option<&Part>,
        is_taken: bool,
    ) -> Result<Response<Body>, Refusal> {
        let entry = Given::of(grant.entry());
        let secrets = match part {
            Some(Part::Key(key)) if is_taken => secrets_under(asked, snapshot, &grant, key),
            _ => grant.secrets().iter().map(Given::of).collect(),
        };
        let response = value::answer(asked, snapshot, grant, part)?;
        if is_taken {
            self.took(snapshot, entry);
            for secret in secrets {
                self.took(snapshot, secret);
            }
        }
        Ok(response)
    }

    /// Notes that something was given out as it is served now.
    pub(super) fn took(&self, snapshot: &Snapshot, given: Given) {
        let epoch = self.state.uptake().epoch();
        if !self.own.taken.noted.knows(given.entry, given.made, epoch)
            && let Some(client) = self.client()
            && !client.knows(given.entry, given.made, epoch)
            && is_told(&client, client.read(self.taking(snapshot, given)))
        {
            self.state.uptake().ring();
        }
    }

    /// Answers with every value that was granted.
    pub(super) fn values(
        &self,
        asked: &Asked<'_>,
        snapshot: &Snapshot,
        grants: Vec<Grant>,
        is_taken: bool,
    ) -> Result<Response<Body>, Refusal> {
        let epoch = self.state.uptake().epoch();
        // the same list of the same revision
        let is_known = || {
            self.own
                .taken
                .noted
                .knows(list_of(&grants), snapshot.revision(), epoch)
        };
        if !is_taken || is_known() {
            return list::values(asked, snapshot, grants);
        }
        let parts = |grant: &Grant| {
            let parts = std::iter::once(grant.entry()).chain(grant.secrets());
            parts.map(Given::of).collect::<Vec<_>>()
        };
        let all: Vec<_> = grants.iter().flat_map(parts).collect();
        let response = list::values(asked, snapshot, grants)?;
        if let Some(client) = self.client() {
            let mut is_news = false;
            for given in all {
                is_news |= is_told(&client, client.read(self.taking(snapshot, given)));
            }
            if is_news {
                self.state.uptake().ring();
            }
        }
        Ok(response)
    }

    /// What is noted of the process at the other end, if it is one. One that is beyond those that are kept track of may
    /// be among them later.
    pub(super) fn client(&self) -> Option<Arc<Client>> {
        if let Some(client) = self.own.taken.client.get() {
            return Some(Arc::clone(client));
        }
        let identity = self.own.identity.asker()?.principal()?.identity();
        let client = self.state.uptake().client(self.caller.peer()?, &identity);
        if !client.is_one() {
            return Some(client);
        }
        Some(Arc::clone(self.own.taken.client.get_or_init(|| client)))
    }

    pub(super) fn taking(&self, snapshot: &Snapshot, given: Given) -> Took {
        Took {
            entry: given.entry,
            version: given.version,
            made: given.made,
            revision: snapshot.revision(),
            at: self.state.now(),
        }
    }
}

/// Whether the thread that reports is to look: at news, and whether those that ended make room.
fn is_told(client: &Client, is_news: bool) -> bool {
    is_news || !client.is_one()
}

/// The secrets of a document that its value at or under `key` has in it.
fn secrets_under(asked: &Asked<'_>, snapshot: &Snapshot, grant: &Grant, key: &Key) -> Vec<Given> {
    let secrets = grant.secrets();
    if secrets.is_empty() {
        return Vec::new();
    }
    // one that cannot be read is not given out either
    let references = snapshot.references(asked.environment, &grant.entry().path);
    let references = references.unwrap_or_default();
    let is_given = |secret: &&Arc<Entry>| {
        let mut under = references.iter().filter(|reference| key.holds(&reference.key));
        under.any(|reference| reference.secret == secret.path)
    };
    secrets.iter().filter(is_given).map(Given::of).collect()
}

/// A number for the entries of a list and the secrets in them, which is no entry's.
fn list_of(grants: &[Grant]) -> EntryId {
    let mut hasher = DefaultHasher::new();
    for grant in grants {
        grant.entry().id.hash(&mut hasher);
        // what this machine says may refer to others within a revision
        for secret in grant.secrets() {
            secret.id.hash(&mut hasher);
        }
    }
    let hash = u128::from(hasher.finish());
    EntryId((hash << 64 | hash).to_be_bytes())
}
