//! A map of limited size: owns forgetting what was used the longest time ago.

use std::collections::HashMap;
use std::hash::Hash;

/// At most `most` values.
#[derive(Debug)]
pub(super) struct Bounded<K, V> {
    most: usize,
    uses: u64,
    kept: HashMap<K, (u64, V)>,
}

impl<K: Eq + Hash + Clone, V: Clone> Bounded<K, V> {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            uses: 0,
            kept: HashMap::new(),
        }
    }

    pub(super) fn get(&mut self, key: &K) -> Option<V> {
        self.uses = self.uses.wrapping_add(1);
        let (used, value) = self.kept.get_mut(key)?;
        *used = self.uses;
        Some(value.clone())
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        if self.kept.len() >= self.most && !self.kept.contains_key(&key) {
            let oldest = self.kept.iter().min_by_key(|(_, (used, _))| *used);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                self.kept.remove(&oldest);
            }
        }
        self.uses = self.uses.wrapping_add(1);
        self.kept.insert(key, (self.uses, value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_used_is_forgotten_first() {
        let mut map = Bounded::new(2);
        map.insert(1, 'a');
        map.insert(2, 'b');
        assert_eq!(map.get(&1), Some('a'));
        map.insert(3, 'c');
        assert_eq!(
            (map.get(&1), map.get(&2), map.get(&3)),
            (Some('a'), None, Some('c'))
        );
        map.insert(3, 'd');
        assert_eq!((map.get(&1), map.get(&3)), (Some('a'), Some('d')));
    }
}
