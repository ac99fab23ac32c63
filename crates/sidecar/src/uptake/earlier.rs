//! Clients of earlier runs of this sidecar: owns what they read and nobody of their name read again
//! since. Nobody tells whether they are still there. It must not know who is at the socket now.

use std::collections::{HashMap, HashSet};

use strongroom_core::ambient::Timestamp;
use strongroom_core::id::EntryId;
use strongroom_core::uptake::{Consumer, Presence, Use, is_outdated};

use super::client::{behind, remember};

/// What was reported of them last, by name.
#[derive(Debug, Default)]
pub(super) struct Earlier(HashMap<String, Before>);

#[derive(Debug)]
struct Before {
    consumer: Consumer,
    /// What was read or confirmed again by one of that name that may be there.
    again: HashSet<EntryId>,
}

impl Earlier {
    /// Takes up a report that an earlier run left, of clients that were there.
    pub(super) fn take(&mut self, consumer: Consumer) {
        let again = HashSet::new();
        self.0.insert(consumer.name.clone(), Before { consumer, again });
    }

    /// Forgets what was read so long ago that nobody asks for it any more.
    pub(super) fn forget(&mut self, now: Timestamp) {
        self.0.retain(|_, before| {
            let uses = &mut before.consumer.uses;
            uses.retain(|one| !is_outdated(one.read.at.max(one.confirmed.at), now));
            !uses.is_empty() || (!before.consumer.is_whole && !is_outdated(before.consumer.since, now))
        });
    }

    /// What is to be said of clients that are told apart, of whom `now` is known and who took `again`,
    /// and of those of their name from before. Of each entry the newest counts. Where all of `now`
    /// ended, there may be others that did not come back yet.
    pub(super) fn join(&mut self, mut now: Consumer, again: impl Iterator<Item = EntryId>) -> Consumer {
        let Some(before) = self.0.get_mut(&now.name) else {
            return now;
        };
        before.again.extend(again);
        if now.presence == Presence::Ended {
            let again = std::mem::take(&mut before.again);
            before.consumer.uses.retain(|one| !again.contains(&one.entry));
            if before.is_of_use() {
                return before.consumer.clone();
            }
            self.0.remove(&now.name);
            return now;
        }
        remember(&mut now.uses, &before.consumer.uses);
        now.uses.extend(before.left());
        now.is_whole &= before.consumer.is_whole;
        now
    }

    /// The same of clients that are not told apart: who read again may be another one, so that of each
    /// entry the oldest counts.
    pub(super) fn join_many(&self, mut now: Consumer) -> Consumer {
        let Some(before) = self.0.get(&now.name) else {
            return now;
        };
        if now.presence == Presence::Ended {
            return before.consumer.clone();
        }
        for one in &mut now.uses {
            if let Some(earlier) = before.consumer.of(one.entry) {
                one.read = behind(one.read, earlier.read);
            }
        }
        let is_there: HashSet<EntryId> = now.uses.iter().map(|one| one.entry).collect();
        let all = before.consumer.uses.iter();
        now.uses.extend(all.filter(|one| !is_there.contains(&one.entry)));
        now.is_whole &= before.consumer.is_whole;
        now
    }

    /// Those of whose name nobody is among `there`.
    pub(super) fn others(&self, there: &HashSet<String>) -> Vec<Consumer> {
        let others = self.0.iter().filter(|(name, _)| !there.contains(*name));
        others
            .map(|(_, before)| Consumer {
                uses: before.left().copied().collect(),
                ..before.consumer.clone()
            })
            .collect()
    }
}

impl Before {
    fn left(&self) -> impl Iterator<Item = &Use> {
        let all = self.consumer.uses.iter();
        all.filter(|one| !self.again.contains(&one.entry))
    }

    /// A list that was cut may have what is not in it.
    fn is_of_use(&self) -> bool {
        !self.consumer.uses.is_empty() || !self.consumer.is_whole
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use strongroom_core::id::{Revision, Version};
    use strongroom_core::name::EnvironmentName;
    use strongroom_core::uptake::{ConsumerKind, KEPT, Reaction, Seen};

    use super::*;

    const NOW: Timestamp = Timestamp(1_700_000_000_000);

    fn entry(id: u8) -> EntryId {
        EntryId([id; 16])
    }

    fn consumer(name: &str, uses: &[(u8, u32)]) -> Consumer {
        let used = |(id, version): &(u8, u32)| Use {
            entry: entry(*id),
            read: Seen {
                version: Version(*version),
                revision: Revision(u64::from(*version)),
                at: NOW,
            },
            confirmed: Seen::default(),
        };
        Consumer {
            kind: ConsumerKind::Socket,
            reaction: Reaction::default(),
            presence: Presence::Present,
            host: String::new(),
            sidecar: String::new(),
            name: name.to_owned(),
            environment: EnvironmentName::new("prod").unwrap(),
            revision: Revision(0),
            since: NOW,
            problem: String::new(),
            is_whole: true,
            uses: uses.iter().map(used).collect(),
        }
    }

    fn versions(of: &Consumer) -> Vec<(u8, u32)> {
        let uses = of.uses.iter();
        uses.map(|one| (one.entry.0[0], one.read.version.0)).collect()
    }

    fn of_two() -> Earlier {
        let mut earlier = Earlier::default();
        earlier.take(consumer("one", &[(1, 1), (2, 1)]));
        earlier.take(consumer("other", &[(1, 1)]));
        earlier
    }

    #[test]
    fn what_one_read_again_does_not_come_back_when_it_ends() {
        let mut earlier = of_two();
        // another process of that name is there, and read something else
        let now = earlier.join(consumer("one", &[(3, 1)]), [entry(1), entry(3)].into_iter());
        assert_eq!(versions(&now), [(3, 1), (2, 1)]);
        let mut ended = consumer("one", &[(3, 1)]);
        ended.presence = Presence::Ended;
        let left = earlier.join(ended.clone(), [entry(3)].into_iter());
        assert_eq!(
            (left.presence, versions(&left)),
            (Presence::Present, vec![(2, 1)])
        );
        let over = earlier.join(ended, [entry(2)].into_iter());
        assert_eq!(over.presence, Presence::Ended);
        let others = earlier.others(&HashSet::new());
        assert_eq!(others, [consumer("other", &[(1, 1)])]);
    }

    #[test]
    fn of_those_who_are_not_told_apart_the_oldest_counts() {
        let earlier = of_two();
        let now = earlier.join_many(consumer("one", &[(1, 5), (3, 5)]));
        assert_eq!(versions(&now), [(1, 1), (3, 5), (2, 1)]);
        let mut ended = consumer("one", &[(1, 5)]);
        ended.presence = Presence::Ended;
        assert_eq!(earlier.join_many(ended), consumer("one", &[(1, 1), (2, 1)]));
    }

    #[test]
    fn what_nobody_asks_for_any_more_is_forgotten() {
        let kept = u64::try_from(KEPT.as_millis()).unwrap();
        let mut earlier = of_two();
        let cut = Consumer {
            is_whole: false,
            ..consumer("cut", &[])
        };
        earlier.take(cut);
        let later = |more| Timestamp(NOW.0 + kept + more);
        let nobody = HashSet::new();
        earlier.forget(later(0));
        assert_eq!(earlier.others(&nobody).len(), 3);
        earlier.forget(later(1));
        assert_eq!(earlier.others(&nobody), []);
    }
}
