//! Building past snapshots: whoever asks and leaves does not make the store read twice at a time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use strongroom_core::id::Revision;
use strongroom_core::store::{Store, StoreError, StoredCommit};
use strongroom_sidecar::past::Past;

use crate::between::Between;
use crate::scene::Scene;

/// Makes readers of commits wait while it is shut, and counts them.
#[derive(Default)]
struct Gate {
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

impl Between for Gate {
    fn commits(
        &self,
        store: &dyn Store,
        from: Revision,
        limit: usize,
    ) -> Result<Vec<StoredCommit>, StoreError> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let is_shut = self.is_shut.lock().unwrap();
        drop(self.opened.wait_while(is_shut, |is_shut| *is_shut).unwrap());
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        store.commits(from, limit)
    }
}

#[test]
fn one_past_is_built_at_a_time_also_when_who_asked_has_left() {
    let scene = Scene::with_token();
    let first = Revision(scene.revision());
    scene.secret("web/token", "two");
    let second = Revision(scene.revision());
    scene.secret("web/token", "three");
    let (vault, store) = scene.open_over(Gate::default());
    let gate = &store.between;
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
