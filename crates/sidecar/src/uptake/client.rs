//! One process at the socket: owns what it read and confirmed, and bringing together those that go by
//! one name. It must not know who reports it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;

use strongroom_core::ambient::Timestamp;
use strongroom_core::id::{EntryId, Revision, Version};
use strongroom_core::uptake::{MAX_USES, Seen, Use};

use super::lock;
use crate::peer::Peer;

/// What was read or confirmed.
#[derive(Clone, Copy, Debug)]
pub struct Took {
    /// The entry.
    pub entry: EntryId,
    /// Its version.
    pub version: Version,
    /// The revision that made this version current.
    pub made: Revision,
    /// The revision that was served.
    pub revision: Revision,
    /// When.
    pub at: Timestamp,
}

impl Took {
    fn seen(self) -> Seen {
        Seen {
            version: self.version,
            revision: self.revision,
            at: self.at,
        }
    }
}

/// A process, over all its connections.
#[derive(Debug)]
pub struct Client {
    peer: Peer,
    uses: Mutex<Uses>,
}

#[derive(Debug, Default)]
struct Uses {
    all: BTreeMap<EntryId, Use>,
    is_cut: bool,
}

impl Client {
    pub(super) fn new(peer: Peer) -> Self {
        Self {
            peer,
            uses: Mutex::default(),
        }
    }

    /// True when `peer` is the same process: its number is its own while it lives.
    pub(super) fn is_of(&self, peer: &Peer) -> bool {
        self.peer.pid == peer.pid && self.peer.is_alive()
    }

    /// True while it lives and is the program that connected, as far as this thread may know.
    pub(super) fn is_there(&self) -> bool {
        self.peer.is_same()
    }

    /// Notes a read; true when the version is news.
    pub fn read(&self, took: Took) -> bool {
        self.note(took, |one| &mut one.read)
    }

    /// Notes a confirmation, which is a read too; true when the version is news.
    pub fn confirmed(&self, took: Took) -> bool {
        let read = self.read(took);
        self.note(took, |one| &mut one.confirmed) | read
    }

    fn note(&self, took: Took, which: impl Fn(&mut Use) -> &mut Seen) -> bool {
        let mut uses = lock(&self.uses);
        if uses.all.len() >= MAX_USES && !uses.all.contains_key(&took.entry) {
            uses.is_cut = true;
            return false;
        }
        let used = uses.all.entry(took.entry).or_insert(Use {
            entry: took.entry,
            read: Seen::default(),
            confirmed: Seen::default(),
        });
        let seen = which(used);
        let is_news = seen.version != took.version || seen.revision < took.made;
        *seen = took.seen();
        is_news
    }
}

/// The processes of one name.
pub(super) struct Together {
    pub(super) uses: Vec<Use>,
    /// Whether that is everything they use.
    pub(super) is_whole: bool,
    /// Whether any is still there.
    pub(super) is_there: bool,
    /// Those that are not.
    pub(super) ended: Vec<Arc<Client>>,
}

/// What the processes of one name use: of each entry that which is furthest behind, among those that
/// are still there; of all of them, when none is.
pub(super) fn together(clients: &[Arc<Client>]) -> Together {
    let (there, ended): (Vec<_>, Vec<_>) = clients.iter().partition(|one| one.is_there());
    let is_there = !there.is_empty();
    let of = if is_there { there } else { clients.iter().collect() };
    let mut all: BTreeMap<EntryId, Use> = BTreeMap::new();
    let mut is_whole = true;
    for client in of {
        let uses = lock(&client.uses);
        is_whole &= !uses.is_cut;
        for (entry, one) in &uses.all {
            all.entry(*entry)
                .and_modify(|kept| {
                    kept.read = behind(kept.read, one.read);
                    kept.confirmed = behind(kept.confirmed, one.confirmed);
                })
                .or_insert(*one);
        }
    }
    Together {
        uses: all.into_values().collect(),
        is_whole,
        is_there,
        ended: ended.into_iter().map(Arc::clone).collect(),
    }
}

/// The one of the lower revision, at the later time: one of them was still active then.
fn behind(a: Seen, b: Seen) -> Seen {
    let last = if (b.revision, b.version) < (a.revision, a.version) {
        b
    } else {
        a
    };
    Seen {
        at: a.at.max(b.at),
        ..last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_processes_the_one_that_is_furthest_behind_counts() {
        let seen = |version, revision, at| Seen {
            version: Version(version),
            revision: Revision(revision),
            at: Timestamp(at),
        };
        assert_eq!(behind(seen(2, 20, 1), seen(1, 10, 5)), seen(1, 10, 5));
        assert_eq!(behind(seen(1, 10, 1), seen(2, 20, 5)), seen(1, 10, 5));
        // who never confirmed has not
        assert_eq!(behind(seen(2, 20, 1), Seen::default()), seen(0, 0, 1));
    }
}
