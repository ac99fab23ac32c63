//! What a connection or a process noted last: owns telling in a few relaxed loads that a read is no news. It must
//! not know what is read.

use std::sync::atomic::{AtomicU64, Ordering};

use strongroom_core::id::{EntryId, Revision};

/// The reads that were noted, of about so many entries that are read in turn. Nothing is written where
/// all are known, so that many threads may ask at once.
#[derive(Debug)]
pub struct Noted<const SLOTS: usize>([AtomicU64; SLOTS]);

impl<const SLOTS: usize> Default for Noted<SLOTS> {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; SLOTS])
    }
}

impl<const SLOTS: usize> Noted<SLOTS> {
    /// True when the version of `entry` that `revision` made was noted already in this `epoch`; from
    /// now on it is.
    pub fn knows(&self, entry: EntryId, revision: Revision, epoch: u64) -> bool {
        let (first, second) = halves(entry);
        // ids are keyed hashes: nobody can choose two that meet
        let key = first ^ revision.0.rotate_left(20) ^ epoch.rotate_left(48);
        let slot = usize::try_from(second).unwrap_or_default() % SLOTS;
        let Some(slot) = self.0.get(slot) else {
            return false;
        };
        if slot.load(Ordering::Relaxed) == key {
            return true;
        }
        slot.store(key, Ordering::Relaxed);
        false
    }
}

fn halves(entry: EntryId) -> (u64, u64) {
    let whole = u128::from_be_bytes(entry.0);
    let low = |part: u128| u64::try_from(part & u128::from(u64::MAX)).unwrap_or_default();
    (low(whole >> 64), low(whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_is_news_once_for_each_version_and_epoch() {
        let noted = Noted::<16>::default();
        let entry = |byte| EntryId([byte; 16]);
        for byte in 1..=16 {
            assert!(!noted.knows(entry(byte), Revision(1), 0));
        }
        for byte in 1..=16 {
            assert!(noted.knows(entry(byte), Revision(1), 0));
        }
        assert!(!noted.knows(entry(3), Revision(2), 0));
        assert!(noted.knows(entry(3), Revision(2), 0));
        assert!(!noted.knows(entry(3), Revision(2), 1));
        assert!(noted.knows(entry(4), Revision(1), 0));
    }
}
