//! The first commit: owns how a store begins, with one admin and the compartment `common`.

use super::error::{CommitError, OpenError};
use crate::ambient::Ambient;
use crate::commit::{AdminChange, Commit, Link, Role};
use crate::crypto::identity::Identity;
use crate::crypto::keyring;
use crate::crypto::seal::{self, Context, Kek};
use crate::id::{CompartmentId, Hash, MemberId, Revision, StoreId, Term};
use crate::name::MemberName;
use crate::snapshot::{index_context, name_context};
use crate::store::{AppendError, Head, Store, StoredCommit, StoredObject};
use zeroize::Zeroizing;

/// The compartment of names and messages.
const COMMON: &str = "common";

/// Stores the first commit of an empty store.
pub(super) fn create(
    store: &dyn Store,
    admin: &MemberName,
    identity: &Identity,
    ambient: &Ambient,
) -> Result<(), CommitError> {
    let id = StoreId(ambient.random()?);
    let member = MemberId(ambient.random()?);
    let common = CompartmentId(ambient.random()?);
    let kek = Kek::generate(ambient.entropy())?;
    let mut index = Zeroizing::new([0; 32]);
    ambient.entropy().fill(index.as_mut_slice())?;
    let public = identity.public();
    let mut objects = Vec::new();
    let mut keep = |bytes: Vec<u8>| {
        let hash = Hash::of(&bytes);
        objects.push(StoredObject { hash, bytes });
        hash
    };
    let record =
        |context: &Context, plain: &[u8]| seal::seal(&kek, Term(1), context, plain, ambient.entropy());
    let common_name = keep(record(&name_context(id, common, common.0), COMMON.as_bytes())?);
    let member_name = keep(record(
        &name_context(id, common, member.0),
        admin.as_str().as_bytes(),
    )?);
    let index = keep(record(&index_context(id, common), &*index)?);
    let file = keep(
        keyring::wrap(&kek, &[&public]).map_err(|error| CommitError::Invalid {
            problem: error.to_string(),
        })?,
    );
    let commit = Commit {
        store: id,
        revision: Revision(1),
        previous: Hash::ZERO,
        authority: Link::NONE,
        author: member,
        time: ambient.now(),
        message: Vec::new(),
        admin: vec![
            AdminChange::CompartmentAdd {
                id: common,
                name: common_name,
            },
            AdminChange::MemberAdd {
                id: member,
                role: Role::Admin,
                public,
                name: member_name,
                compartments: Vec::new(),
            },
            AdminChange::Index { record: index },
            AdminChange::KeyFile {
                compartment: common,
                term: Term(1),
                file,
            },
        ],
        entries: Vec::new(),
        rewraps: Vec::new(),
    };
    let bytes = commit.sign(identity.signing_key());
    let head = Head {
        revision: Revision(1),
        hash: Hash::of(&bytes),
    };
    match store.append(None, &StoredCommit { head, bytes }, &objects) {
        Ok(()) => Ok(()),
        Err(AppendError::Store(_)) if store.head().ok().flatten() == Some(head) => Ok(()),
        Err(AppendError::Conflict { .. }) => Err(CommitError::Store(crate::store::StoreError::Exists {
            location: store.location(),
        })),
        Err(AppendError::Store(error)) => Err(CommitError::Open(OpenError::Store(error))),
    }
}
