//! Who is waited for: owns the rules by which a consumer has a version or is still expected to. It
//! must not know how reports were verified.

use std::collections::HashMap;
use std::time::Duration;

use super::consumer::{Consumer, ConsumerKind, Presence, Seen, Use};
use crate::ambient::Timestamp;
use crate::id::{EntryId, MemberId, Revision, Version};

/// A sidecar that said nothing for so long may be gone; what it reported before may hold or not.
pub const SILENT_AFTER: Duration = Duration::from_secs(90);

/// What a sidecar reported is kept for so long after it was last heard of,
pub const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);
/// and of a consumer that ended for so long, so that it can be seen.
pub const KEPT_ENDED: Duration = Duration::from_secs(24 * 3600);

/// What a current member's sidecar reports of one consumer, verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reported {
    /// Who signed.
    pub author: MemberId,
    /// The same by name.
    pub member: String,
    /// Where it was reported, of this author: later reports take its place.
    pub place: [u8; 16],
    /// The number of the report.
    pub counter: u64,
    /// When, by its author's clock.
    pub time: Timestamp,
    /// What.
    pub consumer: Consumer,
}

/// Everything that counts of what is reported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uptake {
    /// By member, host, sidecar, kind and name.
    pub reported: Vec<Reported>,
    /// How many reports do not count: no member signed them for this store, or they do not open.
    pub refused: usize,
}

/// What a consumer has not done yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// It has not read the version.
    Read,
    /// It read the version and has not confirmed it, as it does otherwise.
    Confirm,
    /// The files or environment are of an older revision.
    Deliver,
    /// The values are there, and the reload or start has not succeeded.
    Reload,
}

impl Missing {
    /// What it is waited for to do, in messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Confirm => "confirm",
            Self::Deliver => "deliver",
            Self::Reload => "reload",
        }
    }
}

/// A consumer that is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lag<'a> {
    /// Which.
    pub reported: &'a Reported,
    /// What it has not done.
    pub missing: Missing,
}

impl Uptake {
    /// Which consumers that read `entry` in the time `within` before `now` do not have `version` of it
    /// yet, which `revision` made current. Files and processes count as reading for as long as they are
    /// there. Nobody is waited for who reported that it ended; who merely fell silent is, for `within`.
    #[must_use]
    pub fn waiting(
        &self,
        entry: EntryId,
        version: Version,
        revision: Revision,
        now: Timestamp,
        within: Duration,
    ) -> Vec<Lag<'_>> {
        let within = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
        let since = Timestamp(now.0.saturating_sub(within));
        let heard = self.heard();
        let is_gone = |reported| {
            let last = heard.get(&sidecar(reported)).copied().unwrap_or(now);
            last < since && is_over(last, now, SILENT_AFTER)
        };
        let all = self.reported.iter().filter_map(|reported| {
            let missing = reported.consumer.lacks(entry, version, revision, since)?;
            (!is_gone(reported)).then_some(Lag { reported, missing })
        });
        all.collect()
    }

    /// What need not be kept: of consumers that ended for longer than [`KEPT_ENDED`], and of sidecars
    /// that said nothing for longer than [`KEPT`].
    pub fn outdated(&self, now: Timestamp) -> impl Iterator<Item = &Reported> {
        let heard = self.heard();
        self.reported.iter().filter(move |one| {
            let has_ended = one.consumer.presence == Presence::Ended;
            let is_silent = || {
                heard
                    .get(&sidecar(one))
                    .is_some_and(|last| is_outdated(*last, now))
            };
            (has_ended && is_over(one.time, now, KEPT_ENDED)) || is_silent()
        })
    }

    /// When each sidecar said anything last.
    fn heard(&self) -> HashMap<Sidecar<'_>, Timestamp> {
        let mut heard = HashMap::new();
        for one in &self.reported {
            let last = heard.entry(sidecar(one)).or_insert(one.time);
            *last = one.time.max(*last);
        }
        heard
    }

    /// When the sidecar that reported something last said that it lives, if that is too long before
    /// `now`.
    #[must_use]
    pub fn silent_since(&self, of: &Reported, now: Timestamp) -> Option<Timestamp> {
        let same = self.reported.iter().filter(|other| sidecar(other) == sidecar(of));
        let last = same.map(|one| one.time).max()?;
        is_over(last, now, SILENT_AFTER).then_some(last)
    }
}

/// What tells one sidecar from another: member, host, socket.
type Sidecar<'a> = (MemberId, &'a str, &'a str);

fn sidecar(of: &Reported) -> Sidecar<'_> {
    (of.author, &of.consumer.host, &of.consumer.sidecar)
}

/// True when `time` is longer before `now` than a report is kept.
#[must_use]
pub fn is_outdated(time: Timestamp, now: Timestamp) -> bool {
    is_over(time, now, KEPT)
}

fn is_over(time: Timestamp, now: Timestamp, limit: Duration) -> bool {
    u128::from(now.0.saturating_sub(time.0)) > limit.as_millis()
}

impl Consumer {
    /// What it uses `entry` for.
    #[must_use]
    pub fn of(&self, entry: EntryId) -> Option<&Use> {
        let at = self.uses.binary_search_by_key(&entry, |one| one.entry).ok()?;
        self.uses.get(at)
    }

    /// What it has not done with `version` of `entry`, which `revision` made current; nothing when it
    /// did not use the entry after `since`.
    #[must_use]
    pub fn lacks(
        &self,
        entry: EntryId,
        version: Version,
        revision: Revision,
        since: Timestamp,
    ) -> Option<Missing> {
        if self.presence == Presence::Ended || self.kind == ConsumerKind::Sidecar {
            return None;
        }
        let has = |seen: Seen| seen.version == version && seen.revision >= revision;
        let Some(found) = self.of(entry) else {
            // what is not listed of a list that was cut may be used
            let is_behind = !self.is_whole && self.revision < revision;
            return is_behind.then_some(Missing::Deliver);
        };
        match self.kind {
            ConsumerKind::Sidecar => None,
            ConsumerKind::Files | ConsumerKind::Process => match (has(found.read), has(found.confirmed)) {
                (_, true) => None,
                (true, false) => Some(Missing::Reload),
                (false, false) => Some(Missing::Deliver),
            },
            ConsumerKind::Socket if found.read.at.max(found.confirmed.at) < since => None,
            ConsumerKind::Socket => match (has(found.read), has(found.confirmed)) {
                (_, true) => None,
                (true, false) => self.confirms().then_some(Missing::Confirm),
                (false, false) => Some(Missing::Read),
            },
        }
    }
}

#[cfg(test)]
#[allow(clippy::expect_used)]
mod tests {
    use super::*;
    use crate::name::EnvironmentName;
    use crate::uptake::Reaction;

    const ENTRY: EntryId = EntryId([1; 16]);
    const HOUR: Duration = Duration::from_secs(3600);
    const NOW: Timestamp = Timestamp(100_000_000);

    fn seen(version: u32, revision: u64) -> Seen {
        Seen {
            version: Version(version),
            revision: Revision(revision),
            at: Timestamp(NOW.0 - 1000),
        }
    }

    fn reported(kind: ConsumerKind, (read, confirmed): (Seen, Seen)) -> Reported {
        let consumer = Consumer {
            kind,
            reaction: Reaction::default(),
            presence: Presence::Present,
            host: String::new(),
            sidecar: String::new(),
            name: String::new(),
            environment: EnvironmentName::new("prod").expect("a name"),
            revision: Revision(0),
            since: NOW,
            problem: String::new(),
            is_whole: true,
            uses: vec![Use {
                entry: ENTRY,
                read,
                confirmed,
            }],
        };
        Reported {
            author: MemberId([2; 16]),
            member: "web".to_owned(),
            place: [3; 16],
            counter: 1,
            time: NOW,
            consumer,
        }
    }

    fn lacks(kind: ConsumerKind, seen: (Seen, Seen), change: impl Fn(&mut Consumer)) -> Option<Missing> {
        let mut reported = reported(kind, seen);
        change(&mut reported.consumer);
        let uptake = Uptake {
            reported: vec![reported],
            refused: 0,
        };
        // version 2 is current since revision 10
        let waiting = uptake.waiting(ENTRY, Version(2), Revision(10), NOW, HOUR);
        waiting.first().map(|lag| lag.missing)
    }

    const NEVER: Seen = Seen {
        version: Version(0),
        revision: Revision(0),
        at: Timestamp(0),
    };

    #[test]
    fn reading_is_enough_for_who_never_confirms_and_not_for_who_does() {
        let socket = |uses| lacks(ConsumerKind::Socket, uses, |_| {});
        assert_eq!(socket((seen(1, 9), NEVER)), Some(Missing::Read));
        assert_eq!(socket((seen(2, 10), NEVER)), None);
        assert_eq!(socket((seen(2, 10), seen(1, 9))), Some(Missing::Confirm));
        assert_eq!(socket((seen(2, 10), seen(2, 11))), None);
        // the same version before it was taken back, and delivered again since
        assert_eq!(socket((seen(2, 5), NEVER)), Some(Missing::Read));
    }

    #[test]
    fn files_and_processes_must_have_taken_them_up() {
        for kind in [ConsumerKind::Files, ConsumerKind::Process] {
            let of = |uses| lacks(kind, uses, |_| {});
            assert_eq!(of((seen(1, 9), seen(1, 9))), Some(Missing::Deliver));
            assert_eq!(of((seen(2, 10), seen(1, 9))), Some(Missing::Reload));
            assert_eq!(of((seen(2, 10), NEVER)), Some(Missing::Reload));
            assert_eq!(of((seen(2, 10), seen(2, 10))), None);
        }
    }

    #[test]
    fn nobody_waits_for_who_ended_or_did_not_read_for_long() {
        let old = (seen(1, 9), NEVER);
        assert_eq!(
            lacks(ConsumerKind::Socket, old, |one| one.presence = Presence::Ended),
            None
        );
        let long_ago = |one: &mut Consumer| {
            for used in &mut one.uses {
                used.read.at = Timestamp(NOW.0 - 3_600_001);
            }
        };
        assert_eq!(lacks(ConsumerKind::Socket, old, long_ago), None);
        // a directory has what it has, however long ago it was written
        assert_eq!(lacks(ConsumerKind::Files, old, long_ago), Some(Missing::Deliver));
        assert_eq!(lacks(ConsumerKind::Socket, old, |one| one.uses.clear()), None);
    }

    #[test]
    fn a_sidecar_that_fell_silent_is_waited_for_only_so_long() {
        let of = |heard: u64| {
            let mut one = reported(ConsumerKind::Files, (seen(1, 9), seen(1, 9)));
            one.time = Timestamp(NOW.0 - heard);
            let mut other = one.clone();
            other.consumer.host = "another".to_owned();
            other.time = NOW;
            other.consumer.presence = Presence::Ended;
            let uptake = Uptake {
                reported: vec![one, other],
                refused: 0,
            };
            let waiting = uptake.waiting(ENTRY, Version(2), Revision(10), NOW, HOUR);
            waiting.len()
        };
        assert_eq!(of(3_600_000), 1);
        assert_eq!(of(3_600_001), 0);
    }

    #[test]
    fn what_a_cut_list_does_not_show_is_waited_for() {
        let cut = |revision: u64| {
            move |one: &mut Consumer| {
                one.uses.clear();
                one.is_whole = false;
                one.revision = Revision(revision);
            }
        };
        let files = |revision| lacks(ConsumerKind::Files, (NEVER, NEVER), cut(revision));
        assert_eq!(files(9), Some(Missing::Deliver));
        assert_eq!(files(10), None);
    }
}
