//! The faults of the memory store: each strikes once, where it was armed to.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod store_support;

use store_support::{SOON, append_until_in, commit, object, objects};
use strongroom_core::id::{Hash, Revision};
use strongroom_core::store::{AppendError, Fault, MemoryStore, Store, StoreError, Wake};

#[test]
fn strike_once_each() {
    let store = MemoryStore::new();
    let first = commit(None, "first");
    store.arm(Fault::Read);
    store.arm(Fault::AppendLost);
    let error = store.append(None, &first, &[object(1, 50)]).unwrap_err();
    assert!(
        matches!(error, AppendError::Store(StoreError::Unreachable { .. })),
        "{error:?}"
    );
    assert!(matches!(store.head(), Err(StoreError::Unreachable { .. })));
    assert_eq!(store.head().unwrap(), None);
    store.append(None, &first, &[object(1, 50)]).unwrap();
    assert_eq!(store.head().unwrap(), Some(first.head));
}

#[test]
fn every_read_can_fail() {
    let store = MemoryStore::new();
    for _ in 0..4 {
        store.arm(Fault::Read);
    }
    store.commits(Revision(1), 1).unwrap_err();
    store.objects(&[], &mut |_, _| true).unwrap_err();
    store.checkpoint().unwrap_err();
    store.head().unwrap_err();
    store.head().unwrap();
}

#[test]
fn an_unacknowledged_append_is_in_and_notified() {
    let store = MemoryStore::new();
    let mut watch = store.watch().unwrap();
    let first = commit(None, "first");
    store.arm(Fault::AppendUnacknowledged);
    store.append(None, &first, &[object(1, 50)]).unwrap_err();
    assert_eq!(store.head().unwrap(), Some(first.head));
    assert_eq!(objects(&store, &[object(1, 50).hash]), [object(1, 50)]);
    assert_eq!(watch.wait(SOON).unwrap(), Wake::Changed);
}

#[test]
fn a_conflict_does_not_use_up_a_fault() {
    let store = MemoryStore::new();
    store.append(None, &commit(None, "first"), &[]).unwrap();
    store.arm(Fault::AppendUnacknowledged);
    let error = store.append(None, &commit(None, "second"), &[]).unwrap_err();
    assert!(matches!(error, AppendError::Conflict { .. }), "{error:?}");
    let head = store.head().unwrap();
    store.append(head, &commit(head, "second"), &[]).unwrap_err();
    assert_eq!(store.head().unwrap().unwrap().revision, Revision(2));
}

#[test]
fn tampering_is_seen_by_everyone() {
    let store = MemoryStore::new();
    let other = store.clone();
    append_until_in(&store, "first", &[object(1, 50), object(2, 50)]);
    append_until_in(&store, "second", &[]);
    store.put_checkpoint(Revision(2), b"two").unwrap();
    let mut watch = other.watch().unwrap();
    store.tamper(|commits, objects, checkpoint| {
        commits.pop();
        objects.retain(|object| object.bytes[7] == 2);
        objects[0].bytes[0] ^= 1;
        *checkpoint = None;
    });
    assert_eq!(watch.wait(SOON).unwrap(), Wake::Changed);
    assert_eq!(other.head().unwrap().unwrap().revision, Revision(1));
    let found = objects(&other, &[object(1, 50).hash, object(2, 50).hash]);
    assert_eq!(found.len(), 1);
    assert_ne!(Hash::of(&found[0].bytes), found[0].hash);
    assert_eq!(other.checkpoint().unwrap(), None);
    store.put_checkpoint(Revision(1), b"one").unwrap();
    assert_eq!(other.checkpoint().unwrap().unwrap(), b"one");
    assert!(!format!("{store:?}").contains("bytes"));
}
