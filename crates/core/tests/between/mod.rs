//! A store with something between it and its readers: owns handing on what is not changed. What fails,
//! waits or lies is a test's own.
#![allow(dead_code, unreachable_pub)]

use std::sync::Arc;

use strongroom_core::id::{Hash, Revision};
use strongroom_core::store::{
    AppendError, Head, Store, StoreError, StoreWatch, StoredCommit, StoredObject, StoredReport,
};

/// What is done in place of the store's own.
pub trait Between: Send + Sync {
    fn commits(
        &self,
        store: &dyn Store,
        from: Revision,
        limit: usize,
    ) -> Result<Vec<StoredCommit>, StoreError> {
        store.commits(from, limit)
    }
    fn append(
        &self,
        store: &dyn Store,
        expected: Option<Head>,
        commit: &StoredCommit,
        objects: &[StoredObject],
    ) -> Result<(), AppendError> {
        store.append(expected, commit, objects)
    }
}

pub struct Over<B> {
    pub store: Arc<dyn Store>,
    pub between: B,
}

impl<B: Between> Over<B> {
    pub fn new(store: Arc<dyn Store>, between: B) -> Arc<Self> {
        Arc::new(Self { store, between })
    }
}

impl<B: Between> Store for Over<B> {
    fn location(&self) -> String {
        self.store.location()
    }
    fn head(&self) -> Result<Option<Head>, StoreError> {
        self.store.head()
    }
    fn commits(&self, from: Revision, limit: usize) -> Result<Vec<StoredCommit>, StoreError> {
        self.between.commits(&*self.store, from, limit)
    }
    fn objects(&self, wanted: &[Hash], each: &mut dyn FnMut(Hash, &[u8]) -> bool) -> Result<(), StoreError> {
        self.store.objects(wanted, each)
    }
    fn append(
        &self,
        expected: Option<Head>,
        commit: &StoredCommit,
        objects: &[StoredObject],
    ) -> Result<(), AppendError> {
        self.between.append(&*self.store, expected, commit, objects)
    }
    fn checkpoint(&self) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.checkpoint()
    }
    fn put_checkpoint(&self, revision: Revision, bytes: &[u8]) -> Result<(), StoreError> {
        self.store.put_checkpoint(revision, bytes)
    }
    fn watch(&self) -> Result<Box<dyn StoreWatch>, StoreError> {
        self.store.watch()
    }
    fn put_reports(&self, reports: &[StoredReport]) -> Result<(), StoreError> {
        self.store.put_reports(reports)
    }
    fn drop_reports(&self, reports: &[([u8; 32], u64)]) -> Result<(), StoreError> {
        self.store.drop_reports(reports)
    }
    fn reports(&self) -> Result<Vec<StoredReport>, StoreError> {
        self.store.reports()
    }
    fn reports_place(&self) -> Option<(u64, u64)> {
        self.store.reports_place()
    }
    fn watch_reports(&self) -> Result<Box<dyn StoreWatch>, StoreError> {
        self.store.watch_reports()
    }
}
