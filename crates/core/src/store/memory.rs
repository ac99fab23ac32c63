//! A store in memory with fault injection, for tests of everything above a store.

use super::{AppendError, Head, Store, StoreError, StoreWatch, StoredCommit, StoredObject};
use crate::id::{Hash, Revision};

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The next read fails as unreachable.
    Read,
    /// The next append fails and nothing is stored.
    AppendLost,
    /// The next append is stored, then reported as failed.
    AppendUnacknowledged,
}

/// A store in memory; clones share it, as processes share a file.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Arms one fault; it strikes the next matching call once.
    pub fn arm(&self, fault: Fault) {
        let _ = fault;
        todo!()
    }

    /// Changes stored bytes behind the reader's back, as a hostile storage would.
    pub fn tamper(
        &self,
        f: impl FnOnce(&mut Vec<StoredCommit>, &mut Vec<StoredObject>, &mut Option<Vec<u8>>),
    ) {
        let _ = f;
        todo!()
    }
}

impl Store for MemoryStore {
    fn location(&self) -> String {
        todo!()
    }
    fn head(&self) -> Result<Option<Head>, StoreError> {
        todo!()
    }
    fn commits(&self, _from: Revision, _limit: usize) -> Result<Vec<StoredCommit>, StoreError> {
        todo!()
    }
    fn objects(
        &self,
        _wanted: &[Hash],
        _each: &mut dyn FnMut(Hash, &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        todo!()
    }
    fn append(
        &self,
        _expected: Option<Head>,
        _commit: &StoredCommit,
        _objects: &[StoredObject],
    ) -> Result<(), AppendError> {
        todo!()
    }
    fn checkpoint(&self) -> Result<Option<Vec<u8>>, StoreError> {
        todo!()
    }
    fn put_checkpoint(&self, _revision: Revision, _bytes: &[u8]) -> Result<(), StoreError> {
        todo!()
    }
    fn watch(&self) -> Result<Box<dyn StoreWatch>, StoreError> {
        todo!()
    }
}
