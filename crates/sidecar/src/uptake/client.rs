//! One process at the socket, or many that are not told apart: owns what was read and confirmed, and
//! bringing together those that go by one name. It must not know who reports it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;

use strongroom_core::ambient::Timestamp;
use strongroom_core::id::{EntryId, Revision, Version};
use strongroom_core::uptake::{MAX_USES, Seen, Use};

use super::{Noted, lock};
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

/// A process, over all its connections; or all those that are not kept track of one by one.
#[derive(Debug)]
pub struct Client {
    /// None of those who are many.
    peer: Option<Peer>,
    noted: Noted<512>,
    uses: Mutex<Uses>,
}

#[derive(Clone, Debug, Default)]
struct Uses {
    all: BTreeMap<EntryId, Use>,
    is_cut: bool,
}

impl Client {
    pub(super) fn new(peer: Peer) -> Self {
        Self {
            peer: Some(peer),
            ..Self::many()
        }
    }

    pub(super) fn many() -> Self {
        Self {
            peer: None,
            noted: Noted::default(),
            uses: Mutex::default(),
        }
    }

    /// True when it is one process, which may confirm for itself.
    #[must_use]
    pub fn is_one(&self) -> bool {
        self.peer.is_some()
    }

    /// True when `peer` is the same process: its number is its own while it lives.
    pub(super) fn is_of(&self, peer: &Peer) -> bool {
        let own = self.peer.as_ref();
        own.is_some_and(|own| own.pid == peer.pid && own.is_alive())
    }

    pub(super) fn is_of_user(&self, uid: u32) -> bool {
        self.peer.as_ref().is_some_and(|own| own.uid == uid)
    }

    /// True while it lives: a process that goes on as another program takes what it read along.
    pub(super) fn is_there(&self) -> bool {
        self.peer.as_ref().is_some_and(Peer::is_alive)
    }

    /// Has read what any of `many` read: it was one of them.
    pub(super) fn take_over(&self, many: &Self) {
        let of = lock(&many.uses).clone();
        *lock(&self.uses) = of;
    }

    /// What it uses, and whether that is all.
    pub(super) fn uses(&self) -> (Vec<Use>, bool) {
        let uses = lock(&self.uses);
        (uses.all.values().copied().collect(), !uses.is_cut)
    }

    /// True when the version of `entry` that `made` made was noted in this `epoch`: a process that reads
    /// many entries over many connections need not be waited for by itself.
    pub fn knows(&self, entry: EntryId, made: Revision, epoch: u64) -> bool {
        self.noted.knows(entry, made, epoch)
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
            return !std::mem::replace(&mut uses.is_cut, true);
        }
        let used = uses.all.entry(took.entry).or_insert(Use {
            entry: took.entry,
            read: Seen::default(),
            confirmed: Seen::default(),
        });
        let seen = which(used);
        if self.peer.is_none() && seen.is_some() {
            // whoever read the older one of them may still have it
            *seen = behind(*seen, took.seen());
            return false;
        }
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
                    kept.confirmed = unconfirmed(kept.confirmed, one.confirmed);
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
pub(super) fn behind(a: Seen, b: Seen) -> Seen {
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

/// The same of confirmations: where one did confirm and the other did not, nothing counts, and that it
/// is done by others of this name is told: who does it is waited for to do so again.
fn unconfirmed(a: Seen, b: Seen) -> Seen {
    let version = a.version.max(b.version);
    match behind(a, b) {
        last if last.is_some() => last,
        last => Seen { version, ..last },
    }
}

/// What was confirmed in an earlier run of this sidecar is not known to hold; that it was, is.
pub(super) fn remember(uses: &mut [Use], earlier: &[Use]) {
    for one in uses.iter_mut().filter(|one| !one.confirmed.is_some()) {
        let before = earlier.iter().find(|before| before.entry == one.entry);
        if let Some(before) = before.filter(|before| before.confirmed.is_some()) {
            one.confirmed.version = before.confirmed.version;
        }
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
        // who never confirmed has not, and is to
        for (a, b) in [
            (seen(2, 20, 1), Seen::default()),
            (Seen::default(), seen(2, 20, 1)),
        ] {
            assert_eq!(unconfirmed(a, b), seen(2, 0, 1));
        }
        assert_eq!(unconfirmed(Seen::default(), Seen::default()), Seen::default());
        assert_eq!(unconfirmed(seen(2, 20, 1), seen(1, 10, 5)), seen(1, 10, 5));
    }

    #[test]
    fn who_confirmed_in_an_earlier_run_is_to_do_so_again() {
        let used = |read, version, revision| Use {
            entry: EntryId([1; 16]),
            read: Seen {
                version: Version(read),
                revision: Revision(revision),
                at: Timestamp(1),
            },
            confirmed: Seen {
                version: Version(version),
                revision: Revision(revision),
                at: Timestamp(1),
            },
        };
        let mut uses = [Use {
            confirmed: Seen::default(),
            ..used(2, 0, 20)
        }];
        remember(&mut uses, &[used(1, 1, 10)]);
        let [one] = uses;
        assert_eq!(
            (one.confirmed.version, one.confirmed.revision),
            (Version(1), Revision(0))
        );
        let mut uses = [used(2, 2, 20)];
        remember(&mut uses, &[used(1, 1, 10)]);
        assert_eq!(uses, [used(2, 2, 20)]);
    }
}
