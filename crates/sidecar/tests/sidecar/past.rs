//! Building past snapshots: whoever asks and leaves does not make the store read twice at a time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use strongroom_core::Vault;
use strongroom_core::ambient::Ambient;
use strongroom_core::crypto::identity::Identity;
use strongroom_core::id::{Hash, Revision};
use strongroom_core::store::{
    AppendError, Head, SqliteStore, Store, StoreError, StoreWatch, StoredCommit, StoredObject,
};
use strongroom_core::vault::{OpenOptions, Trust};
use strongroom_sidecar::past::Past;

use crate::scene::Scene;

/// A store that makes readers of commits wait while it is shut, and counts them.
struct Gate {
    store: SqliteStore,
    is_shut: Mutex<bool>,
    opened: Condvar,
    waiting: AtomicUsize,
}

impl Gate {
    fn shut(&self, is_shut: bool) {
        *self.is_shut.lock().unwrap() = is_shut;
        self.opened.notify_all();
    }
}

impl Store for Gate {
    fn location(&self) -> String {
        self.store.location()
    }

    fn head(&self) -> Result<Option<Head>, StoreError> {
        self.store.head()
    }

    fn commits(&self, from: Revision, limit: usize) -> Result<Vec<StoredCommit>, StoreError> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let is_shut = self.is_shut.lock().unwrap();
        drop(self.opened.wait_while(is_shut, |is_shut| *is_shut).unwrap());
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        self.store.commits(from, limit)
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
        self.store.append(expected, commit, objects)
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
}

#[test]
fn one_past_is_built_at_a_time_also_when_who_asked_has_left() {
    let scene = Scene::with_token();
    let first = Revision(scene.revision());
    scene.secret("web/token", "two");
    let second = Revision(scene.revision());
    scene.secret("web/token", "three");
    let gate = Arc::new(Gate {
        store: SqliteStore::open(&scene.file("store.db"), false).unwrap(),
        is_shut: Mutex::new(false),
        opened: Condvar::new(),
        waiting: AtomicUsize::new(0),
    });
    let identity = Identity::read_file(&scene.file("web.identity"), || None).unwrap();
    let options = OpenOptions {
        fingerprint: None,
        trust: None::<Trust>,
        ambient: Ambient::system(),
    };
    let store: Arc<dyn Store> = Arc::<Gate>::clone(&gate);
    let vault = Arc::new(Vault::open(store, Arc::new(identity), options).unwrap());
    let past = Past::default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        gate.shut(true);
        for revision in [first, second] {
            let asked = past.at(Arc::clone(&vault), revision);
            let left = tokio::time::timeout(Duration::from_millis(200), asked).await;
            assert!(left.is_err(), "the store is shut");
        }
        let waiting = gate.waiting.load(Ordering::SeqCst);
        gate.shut(false);
        assert_eq!(waiting, 1);
        let then = past.at(vault, second).await.unwrap();
        assert_eq!(then.snapshot.revision(), second);
    });
}
