//! The embedded store: one SQLite file in WAL mode, many reading processes beside one writer.

use std::path::Path;

use super::{AppendError, Head, Store, StoreError, StoreWatch, StoredCommit, StoredObject};
use crate::id::{Hash, Revision};

/// A store in one SQLite file.
#[derive(Debug)]
pub struct SqliteStore {}

impl SqliteStore {
    /// Makes a new store file of mode 0660 at most, never wider than its directory allows.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn create(path: &Path) -> Result<Self, StoreError> {
        let _ = path;
        todo!()
    }

    /// Opens a store file.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open(path: &Path, writable: bool) -> Result<Self, StoreError> {
        let _ = (path, writable);
        todo!()
    }
}

impl Store for SqliteStore {
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
