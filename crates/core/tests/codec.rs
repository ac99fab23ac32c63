//! Commits and checkpoints as untrusted bytes: what decodes is canonical, and nothing panics.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use proptest::prelude::*;
use strongroom_core::ambient::{Ambient, Timestamp};
use strongroom_core::commit::{
    AdminChange, Checkpoint, Commit, EntryChange, Labels, Link, Rewrap, Role, decode,
};
use strongroom_core::crypto::identity::PublicIdentity;
use strongroom_core::crypto::sign::{SigningKey, VerifyKey};
use strongroom_core::id::{
    CompartmentId, EntryId, EnvironmentId, Hash, MemberId, Revision, StoreId, Term, Version,
};

fn hash() -> impl Strategy<Value = Hash> {
    any::<[u8; 32]>().prop_map(Hash)
}

fn admin() -> impl Strategy<Value = AdminChange> {
    let role = prop::sample::select(vec![Role::Admin, Role::Writer, Role::Rotator, Role::Reader]);
    let compartments = prop::collection::btree_set(any::<[u8; 16]>(), 0..4);
    let id = any::<[u8; 16]>;
    prop_oneof![
        (
            id(),
            role,
            "[a-z0-9]{0,70}",
            any::<[u8; 32]>(),
            hash(),
            compartments
        )
            .prop_map(
                |(member, role, recipient, key, name, compartments)| AdminChange::MemberAdd {
                    id: MemberId(member),
                    role,
                    public: PublicIdentity {
                        recipient,
                        verify_key: VerifyKey(key)
                    },
                    name,
                    compartments: compartments.into_iter().map(CompartmentId).collect(),
                }
            ),
        id().prop_map(|id| AdminChange::MemberRemove { id: MemberId(id) }),
        (id(), id()).prop_map(|(member, compartment)| AdminChange::Grant {
            member: MemberId(member),
            compartment: CompartmentId(compartment)
        }),
        (id(), hash()).prop_map(|(id, name)| AdminChange::CompartmentAdd {
            id: CompartmentId(id),
            name
        }),
        (id(), hash()).prop_map(|(id, record)| AdminChange::EnvironmentAdd {
            id: EnvironmentId(id),
            record
        }),
        (id(), any::<u32>(), hash()).prop_map(|(compartment, term, file)| AdminChange::KeyFile {
            compartment: CompartmentId(compartment),
            term: Term(term),
            file
        }),
        hash().prop_map(|record| AdminChange::Index { record }),
    ]
}

fn commit() -> impl Strategy<Value = Commit> {
    let label = || prop::option::of((1..u32::MAX).prop_map(Version));
    let labels = (any::<bool>(), label(), label(), prop::option::of(hash())).prop_map(
        |(moves, pending, previous, rotation)| Labels {
            moves,
            pending,
            previous,
            rotation,
        },
    );
    let labels = prop::option::weighted(0.3, labels);
    let entry = (
        any::<[u8; 16]>(),
        any::<u32>(),
        hash(),
        prop::option::of(hash()),
        labels,
    );
    let entries = prop::collection::btree_map(any::<[u8; 16]>(), entry, 0..6);
    let marked = || prop::option::of(hash());
    let rewrap = (hash(), hash(), marked(), marked(), marked());
    let rewraps = prop::collection::btree_map(any::<[u8; 16]>(), rewrap, 0..3);
    (
        any::<[u8; 16]>(),
        any::<u64>(),
        hash(),
        (any::<u64>(), hash()),
        any::<[u8; 16]>(),
        any::<u64>(),
        prop::collection::vec(any::<u8>(), 0..200),
        prop::collection::vec(admin(), 0..5),
        (entries, rewraps),
    )
        .prop_map(
            |(store, revision, previous, authority, author, time, message, admin, (entries, rewraps))| {
                Commit {
                    store: StoreId(store),
                    revision: Revision(revision),
                    previous,
                    authority: Link {
                        revision: Revision(authority.0),
                        hash: authority.1,
                    },
                    author: MemberId(author),
                    time: Timestamp(time),
                    message,
                    admin,
                    entries: entries
                        .into_iter()
                        .map(|(id, (compartment, version, meta, value, labels))| EntryChange {
                            id: EntryId(id),
                            compartment: CompartmentId(compartment),
                            version: Version(version),
                            meta,
                            value,
                            labels,
                        })
                        .collect(),
                    rewraps: rewraps
                        .into_iter()
                        .map(|(id, (meta, value, pending, previous, rotation))| Rewrap {
                            id: EntryId(id),
                            meta,
                            value,
                            pending,
                            previous,
                            rotation,
                        })
                        .collect(),
                }
            },
        )
}

fn key() -> SigningKey {
    SigningKey::generate(Ambient::system().entropy()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_commit_decodes_to_itself(commit in commit()) {
        let key = key();
        let bytes = commit.sign(&key);
        let (again, body, signature) = decode(&bytes).unwrap();
        prop_assert_eq!(&again, &commit);
        prop_assert!(key.verify_key().verify(body, signature).is_ok());
    }

    #[test]
    fn what_decodes_has_no_other_encoding(commit in commit(), at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let key = key();
        let mut bytes = commit.sign(&key);
        let at = at.index(bytes.len());
        bytes[at] = to;
        if let Ok((changed, body, _)) = decode(&bytes) {
            let again = changed.sign(&key);
            prop_assert_eq!(&again[..again.len() - 64], body);
        }
    }

    #[test]
    fn cut_and_extended_commits_are_refused(commit in commit(), cut in any::<prop::sample::Index>(), more in 1_usize..80) {
        let bytes = commit.sign(&key());
        prop_assert!(decode(&bytes[..cut.index(bytes.len())]).is_err());
        let mut longer = bytes;
        longer.extend(std::iter::repeat_n(0, more));
        prop_assert!(decode(&longer).is_err());
    }

    #[test]
    fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = decode(&bytes);
        let _ = Checkpoint::decode(&bytes);
        let mut commit = b"SRCOMMIT\0\x01".to_vec();
        commit.extend(&bytes);
        let _ = decode(&commit);
        let mut checkpoint = b"SRCHECKP\0\x01".to_vec();
        checkpoint.extend(&bytes);
        let _ = Checkpoint::decode(&checkpoint);
    }
}
