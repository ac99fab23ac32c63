//! Forging: commits of whatever content at the end of a chain, signed by whoever holds a key, as a
//! program without our checks would store them; and what a vault says to them.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::panic)]

use strongroom_core::ambient::{Ambient, Timestamp};
use strongroom_core::commit::{AdminChange, Commit, Link, decode};
use strongroom_core::crypto::identity::Identity;
use strongroom_core::crypto::keyring;
use strongroom_core::crypto::seal::{Context, seal};
use strongroom_core::id::{EnvironmentId, Hash, MemberId, Revision, Term};
use strongroom_core::snapshot::Kind;
use strongroom_core::store::{Head, MemoryStore, Store, StoredCommit, StoredObject};
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

/// All environments, in the order they were added.
pub fn environments(store: &dyn Store) -> Vec<EnvironmentId> {
    let added = |change: AdminChange| match change {
        AdminChange::EnvironmentAdd { id, .. } => Some(id),
        _ => None,
    };
    let all = commits(store).into_iter();
    all.flat_map(|stored| decode(&stored.bytes).unwrap().0.admin)
        .filter_map(added)
        .collect()
}

/// The bytes of a description without labels.
pub fn description(environment: EnvironmentId, kind: Kind, path: &str) -> Vec<u8> {
    let mut meta = environment.0.to_vec();
    meta.extend([kind as u8, 1]);
    meta.extend(u32::try_from(path.len()).unwrap().to_be_bytes());
    meta.extend(path.as_bytes());
    meta.extend([0; 4]);
    meta
}

/// A record under the first key of the context's compartment, which `opener` opens.
pub fn sealed(store: &dyn Store, opener: &Identity, context: &Context, plain: &[u8]) -> StoredObject {
    let key_file = |change: AdminChange| match change {
        AdminChange::KeyFile {
            compartment, file, ..
        } if compartment == context.compartment => Some(file),
        _ => None,
    };
    let mut changes = commits(store)
        .into_iter()
        .flat_map(|stored| decode(&stored.bytes).unwrap().0.admin);
    let file = changes.find_map(key_file).unwrap();
    let mut kek = None;
    let mut unwrap = |_, bytes: &[u8]| {
        kek = Some(keyring::unwrap(bytes, opener).unwrap());
        true
    };
    store.objects(&[file], &mut unwrap).unwrap();
    let bytes = seal(
        &kek.unwrap(),
        Term(1),
        context,
        plain,
        Ambient::system().entropy(),
    );
    let bytes = bytes.unwrap();
    StoredObject {
        hash: Hash::of(&bytes),
        bytes,
    }
}

/// Seals a record and stores it.
pub fn plant(store: &MemoryStore, opener: &Identity, context: &Context, plain: &[u8]) -> Hash {
    let object = sealed(store, opener, context, plain);
    let hash = object.hash;
    store.tamper(|_, objects, _| objects.push(object));
    hash
}

/// What broke, of a result that must be a refusal.
pub fn refused<T: std::fmt::Debug>(result: Result<T, OpenError>) -> Break {
    match result {
        Err(OpenError::Integrity(error)) => error.what,
        other => panic!("not refused: {other:?}"),
    }
}

/// Appends what is no commit at all.
pub fn append_unsigned(store: &dyn Store) {
    let head = store.head().unwrap();
    let bytes = b"not signed by anyone".to_vec();
    let forged = StoredCommit {
        head: Head {
            revision: head.unwrap().revision.next(),
            hash: Hash::of(&bytes),
        },
        bytes,
    };
    store.append(head, &forged, &[]).unwrap();
}

/// Appends a commit of whatever content.
pub fn append(store: &dyn Store, signer: &Identity, make: impl FnOnce(&mut Commit)) {
    append_with(store, signer, &[], make);
}

/// The same with new records.
pub fn append_with(
    store: &dyn Store,
    signer: &Identity,
    objects: &[StoredObject],
    make: impl FnOnce(&mut Commit),
) {
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
        rewraps: Vec::new(),
    };
    make(&mut commit);
    let bytes = commit.sign(signer.signing_key());
    let head = Head {
        revision: commit.revision,
        hash: Hash::of(&bytes),
    };
    store
        .append(Some(last.head), &StoredCommit { head, bytes }, objects)
        .unwrap();
}
