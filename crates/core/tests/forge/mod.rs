//! Forging: commits of whatever content at the end of a chain, signed by whoever holds a key, as a
//! program without our checks would store them; and what a vault says to them.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::panic)]

use strongroom_core::ambient::Timestamp;
use strongroom_core::commit::{AdminChange, Commit, Link, decode};
use strongroom_core::crypto::identity::Identity;
use strongroom_core::id::{Hash, MemberId, Revision};
use strongroom_core::store::{Head, Store, StoredCommit};
use strongroom_core::vault::{Break, OpenError};

/// All commits of a store.
pub fn commits(store: &dyn Store) -> Vec<StoredCommit> {
    store.commits(Revision(1), 1000).unwrap()
}

/// The member added last.
pub fn newest_member(store: &dyn Store) -> MemberId {
    let joined = |stored: &StoredCommit| {
        let (commit, ..) = decode(&stored.bytes).unwrap();
        commit.admin.iter().rev().find_map(|change| match change {
            AdminChange::MemberAdd { id, .. } => Some(*id),
            _ => None,
        })
    };
    commits(store).iter().rev().find_map(joined).unwrap()
}

/// What broke, of a result that must be a refusal.
pub fn refused<T: std::fmt::Debug>(result: Result<T, OpenError>) -> Break {
    match result {
        Err(OpenError::Integrity(error)) => error.what,
        other => panic!("not refused: {other:?}"),
    }
}

/// Appends a commit of whatever content.
pub fn append(store: &dyn Store, signer: &Identity, make: impl FnOnce(&mut Commit)) {
    let all = commits(store);
    let last = all.last().unwrap();
    let decoded = |stored: &StoredCommit| decode(&stored.bytes).unwrap().0;
    let authority = all
        .iter()
        .rev()
        .find(|each| decoded(each).is_administrative())
        .unwrap();
    let before = decoded(last);
    let mut commit = Commit {
        store: before.store,
        revision: last.head.revision.next(),
        previous: last.head.hash,
        authority: Link {
            revision: authority.head.revision,
            hash: authority.head.hash,
        },
        author: before.author,
        time: Timestamp(1),
        message: Vec::new(),
        admin: Vec::new(),
        entries: Vec::new(),
    };
    make(&mut commit);
    let bytes = commit.sign(signer.signing_key());
    let head = Head {
        revision: commit.revision,
        hash: Hash::of(&bytes),
    };
    store
        .append(Some(last.head), &StoredCommit { head, bytes }, &[])
        .unwrap();
}
