//! Members, past and present, who can also write to the storage: what their keys allow them, and
//! nothing beyond it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod between;
mod forge;
mod vault_kit;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use between::{Between, Over};
use forge::{append, commits, newest_member, refused};
use strongroom_core::Vault;
use strongroom_core::commit::{Link, State, decode, encode_checkpoint};
use strongroom_core::crypto::identity::Identity;
use strongroom_core::id::{Hash, MemberId, Revision, Version};
use strongroom_core::snapshot::Role;
use strongroom_core::store::{AppendError, Head, MemoryStore, Store, StoreError, StoredCommit, StoredObject};
use strongroom_core::vault::{Break, CommitError, Edit, Event, Expect, OpenError, OpenOptions, Scope, Trust};
use vault_kit::*;

fn walk(chain: &[StoredCommit]) -> State {
    let mut state = State::genesis(&chain[0]).unwrap();
    for each in &chain[1..] {
        state = state.advance(each).unwrap().0;
    }
    state
}

fn trusting(world: &World, identity: &Arc<Identity>, trust: Trust) -> Result<Vault, OpenError> {
    let options = OpenOptions {
        trust: Some(trust),
        fingerprint: Some(trust.fingerprint),
        ..OpenOptions::default()
    };
    Vault::open(world.store.clone(), identity.clone(), options)
}

#[test]
fn only_admins_put_entries_into_the_compartment_of_names() {
    let world = World::new();
    let writer = world.open(&world.member("w", Role::Writer, &["prod"])).unwrap();
    let mut edit = secret("prod", "x", b"1");
    set_compartment(&mut edit, "common");
    let error = writer.commit(&change(vec![edit])).unwrap_err();
    assert!(matches!(error, CommitError::Denied { .. }), "{error}");
    world.put("prod", "y", b"the store goes on");
}

/// Answers the first question for commit 1 from another store.
struct TwoFaced {
    shown: Arc<MemoryStore>,
    asked: AtomicUsize,
}

impl Between for TwoFaced {
    fn commits(
        &self,
        used: &dyn Store,
        from: Revision,
        limit: usize,
    ) -> Result<Vec<StoredCommit>, StoreError> {
        if from == Revision(1) && self.asked.fetch_add(1, Ordering::SeqCst) == 0 {
            return self.shown.commits(from, limit);
        }
        used.commits(from, limit)
    }
}

#[test]
fn a_pin_holds_against_a_store_with_two_faces() {
    let good = World::new();
    let web = good.member("web", Role::Reader, &["prod"]);
    // Public keys are public: an attacker can make web a member of a store of its own.
    let evil = World::new();
    evil.commit(vec![Edit::AddMember {
        name: name("web"),
        public: web.public(),
        role: Role::Reader,
        compartments: vec![compartment("prod")],
    }])
    .unwrap();
    evil.put("prod", "a", b"a lie");
    assert!(evil.vault.checkpoint().unwrap());
    let two_faced = TwoFaced {
        shown: good.store.clone(),
        asked: AtomicUsize::new(0),
    };
    let store = Over::new(evil.store.clone(), two_faced);
    let options = OpenOptions {
        fingerprint: Some(good.vault.trust().fingerprint),
        ..OpenOptions::default()
    };
    assert_eq!(refused(Vault::open(store, web, options)), Break::Fingerprint);
}

/// The checkpoint of `state`, relabelled as one of `link` and signed again.
fn relabelled(state: &State, link: Link, id: MemberId, identity: &Identity) -> Vec<u8> {
    let mut bytes = encode_checkpoint(state, id, identity.signing_key());
    bytes.truncate(bytes.len() - 64);
    bytes[58..66].copy_from_slice(&link.revision.0.to_be_bytes());
    bytes[66..98].copy_from_slice(&link.hash.0);
    let signed = [b"SRCHECKP".as_slice(), &Hash::of(&bytes).0].concat();
    bytes.extend(identity.signing_key().sign(&signed));
    bytes
}

#[test]
fn a_removed_admin_cannot_forge_the_state_by_a_checkpoint() {
    let world = World::new();
    let mallory = world.member("mallory", Role::Admin, &[]);
    let id = newest_member(&*world.store);
    let web = world.member("web", Role::Reader, &["prod"]);
    world.put("prod", "a", b"old");
    let old = walk(&commits(&*world.store));
    world.put("prod", "a", b"new");
    let last = walk(&commits(&*world.store));
    world
        .commit(vec![Edit::RemoveMember {
            name: name("mallory"),
        }])
        .unwrap();
    world.put("prod", "b", b"later");
    let trust = world.open(&web).unwrap().trust();

    // Old entries under a genuine commit from before the removal: passed over.
    let before = Link {
        revision: last.revision(),
        hash: last.hash(),
    };
    let forged = relabelled(&old, before, id, &mallory);
    world.store.tamper(|_, _, checkpoint| *checkpoint = Some(forged));
    let vault = trusting(&world, &web, trust).unwrap();
    assert_eq!(get(&vault, "prod", "a").unwrap(), b"new");

    // The same under the head that was verified before, as if the removal had never been.
    let head = Link {
        revision: trust.revision,
        hash: trust.hash,
    };
    let forged = relabelled(&old, head, id, &mallory);
    world.store.tamper(|_, _, checkpoint| *checkpoint = Some(forged));
    assert_eq!(refused(trusting(&world, &web, trust)), Break::Checkpoint);
    // A vault that runs proves it without the checkpoint's word.
    assert_eq!(refused(world.vault.verify(&mut |_, _| {})), Break::Checkpoint);
}

#[test]
fn removing_an_admin_renews_the_checkpoint() {
    let world = World::new();
    let second = world.member("second", Role::Admin, &[]);
    assert!(world.open(&second).unwrap().checkpoint().unwrap());
    let mut before = None;
    world.store.tamper(|_, _, checkpoint| before = checkpoint.clone());
    world
        .commit(vec![Edit::RemoveMember { name: name("second") }])
        .unwrap();
    let mut after = None;
    world.store.tamper(|_, _, checkpoint| after = checkpoint.clone());
    assert_ne!(before, after);
    world.open(&world.identity).unwrap();
}

#[test]
fn the_past_leads_to_what_is_known_or_is_refused() {
    let world = World::new();
    let writer = world.member("w", Role::Writer, &["prod"]);
    world.put("prod", "a", b"truth");
    let fork_at = commits(&*world.store).len() - 1;
    world
        .commit(vec![Edit::RemoveMember { name: name("w") }])
        .unwrap();
    let vault = world.open(&world.identity).unwrap();
    let all = commits(&*world.store);
    // The removed writer makes another past, offline.
    let fork = Arc::new(MemoryStore::new());
    let mut objects = Vec::new();
    world.store.tamper(|_, stored, _| objects = stored.clone());
    fork.tamper(|c, o, _| (*c, *o) = (all[..fork_at].to_vec(), objects));
    let forked = Vault::open(fork.clone(), writer, OpenOptions::default()).unwrap();
    forked
        .commit(&change(vec![secret("prod", "a", b"a lie")]))
        .unwrap();
    let (mut chain, mut objects) = (Vec::new(), Vec::new());
    fork.tamper(|c, o, _| (chain, objects) = (c.clone(), o.clone()));
    chain.extend_from_slice(&all[fork_at + 1..]);
    world.store.tamper(|c, o, _| (*c, *o) = (chain, objects));
    let then = Revision(fork_at as u64 + 1);
    assert_eq!(refused(vault.at(then)), Break::BrokenChain);
    let back = vault.rollback(&Scope::entry(env("prod"), path("a")), then);
    assert!(matches!(back, Err(CommitError::Open(OpenError::Integrity(_)))));
}

#[test]
fn readers_commit_nothing_and_nobody_commits_emptiness() {
    for (role, expected) in [
        (Role::Reader, Break::Unauthorised),
        (Role::Writer, Break::Contradiction),
    ] {
        let world = World::new();
        let member = world.member("m", role, &["prod"]);
        let id = newest_member(&*world.store);
        append(&*world.store, &member, |commit| commit.author = id);
        assert_eq!(refused(world.vault.refresh()), expected);
    }
}

#[test]
fn a_message_that_does_not_open_breaks_nothing() {
    let world = World::new();
    let writer = world.member("w", Role::Writer, &["prod"]);
    let id = newest_member(&*world.store);
    world.put("prod", "a", b"1");
    let entry = decode(&commits(&*world.store).last().unwrap().bytes)
        .unwrap()
        .0
        .entries[0];
    append(&*world.store, &writer, |commit| {
        commit.author = id;
        commit.message = b"not a record".to_vec();
        commit
            .entries
            .push(strongroom_core::commit::EntryChange { value: None, ..entry });
    });
    world.vault.refresh().unwrap();
    world.vault.verify(&mut |_, _| {}).unwrap();
    assert_eq!(world.vault.history(None, 1).unwrap()[0].message, "");
}

#[test]
fn history_with_withheld_names_is_refused_not_shortened() {
    let world = World::new();
    world.put("prod", "a", b"1");
    let meta = decode(&commits(&*world.store).last().unwrap().bytes)
        .unwrap()
        .0
        .entries[0]
        .meta;
    world.commit(vec![delete("prod", "a")]).unwrap();
    world
        .store
        .tamper(|_, objects, _| objects.retain(|object| object.hash != meta));
    let history = world.vault.history(Some((&env("prod"), &path("a"))), 9);
    assert_eq!(refused(history), Break::MissingObject);
}

#[test]
fn a_rollback_never_widens_who_opens_a_value() {
    let world = World::new();
    world
        .commit(vec![Edit::AddCompartment {
            name: compartment("narrow"),
        }])
        .unwrap();
    let mut edit = secret("prod", "k", b"for few");
    set_compartment(&mut edit, "narrow");
    let then = world.commit(vec![edit]).unwrap().revision;
    world.commit(vec![delete("prod", "k")]).unwrap();
    let gone = world.vault.snapshot().revision();
    world.put("prod", "k", b"for all");
    let back = world.vault.rollback(&Scope::default(), then).unwrap();
    assert!(matches!(
        world.vault.commit(&back),
        Err(CommitError::Invalid { .. })
    ));
    assert_eq!(world.get("prod", "k").unwrap(), b"for all");
    // Once it is gone again, it comes back to where it was.
    let back = world.vault.rollback(&Scope::default(), gone).unwrap();
    world.vault.commit(&back).unwrap();
    let back = world.vault.rollback(&Scope::default(), then).unwrap();
    world.vault.commit(&back).unwrap();
    let entry = world.vault.snapshot().entry(&env("prod"), &path("k")).unwrap();
    assert_eq!(entry.compartment, compartment("narrow"));
}

#[test]
fn a_revision_tells_one_life_of_a_path_from_the_next() {
    let world = World::new();
    let first = world.put("prod", "k", b"one").revision;
    world.commit(vec![delete("prod", "k")]).unwrap();
    world.put("prod", "k", b"another life");
    for stale in [Expect::Revision(first), Expect::Version(Version(2))] {
        let mut edit = secret("prod", "k", b"mine");
        set_expect(&mut edit, stale);
        assert!(matches!(world.commit(vec![edit]), Err(CommitError::Stale { .. })));
        let edit = Edit::Delete {
            environment: env("prod"),
            path: path("k"),
            expect: stale,
        };
        assert!(matches!(world.commit(vec![edit]), Err(CommitError::Stale { .. })));
    }
}

#[test]
fn a_store_that_is_good_again_says_so_and_verify_sees_one_that_went_back() {
    let world = World::new();
    let mut watch = world.vault.watch();
    let all = commits(&*world.store);
    world.store.tamper(|commits, _, _| commits.truncate(1));
    assert_eq!(refused(world.vault.refresh()), Break::RolledBack);
    assert!(matches!(watch.try_next(), Some(Event::Refused { .. })));
    assert_eq!(refused(world.vault.verify(&mut |_, _| {})), Break::RolledBack);
    world.store.tamper(|commits, _, _| *commits = all);
    world.vault.refresh().unwrap();
    assert!(matches!(watch.try_next(), Some(Event::StoreBack)));
    assert!(world.vault.freshness().refused.is_none());
}

#[test]
fn an_admin_cannot_remove_itself() {
    let world = World::new();
    let second = world.open(&world.member("second", Role::Admin, &[])).unwrap();
    let removal = change(vec![Edit::RemoveMember { name: name("second") }]);
    assert!(matches!(
        second.commit(&removal),
        Err(CommitError::Invalid { .. })
    ));
    world.vault.commit(&removal).unwrap();
}

type Then = Box<dyn FnOnce() + Send>;

/// Loses the answer to one append, after something else has happened.
#[derive(Default)]
struct LateAnswer(Mutex<Option<Then>>);

impl Between for LateAnswer {
    fn append(
        &self,
        store: &dyn Store,
        expected: Option<Head>,
        commit: &StoredCommit,
        objects: &[StoredObject],
    ) -> Result<(), AppendError> {
        store.append(expected, commit, objects)?;
        if let Some(then) = self.0.lock().unwrap().take() {
            then();
            return Err(AppendError::Store(StoreError::Unreachable {
                location: store.location(),
                reason: "the answer was lost".into(),
            }));
        }
        Ok(())
    }
}

#[test]
fn a_lost_answer_is_found_below_another_writers_commit() {
    let world = World::new();
    let other = world.open(&world.identity).unwrap();
    let store = Over::new(world.store.clone(), LateAnswer::default());
    let vault = Vault::open(store.clone(), world.identity.clone(), OpenOptions::default()).unwrap();
    *store.between.0.lock().unwrap() = Some(Box::new(move || {
        other.commit(&change(vec![secret("prod", "z", b"z")])).unwrap();
    }));
    let receipt = vault.commit(&change(vec![secret("prod", "k", b"1")])).unwrap();
    assert!(receipt.committed);
    vault.refresh().unwrap();
    assert_eq!(get(&vault, "prod", "z").unwrap(), b"z");
    assert_eq!(get(&vault, "prod", "k").unwrap(), b"1");
}

#[test]
fn a_trust_file_never_goes_back() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("trust");
    let world = World::new();
    let older = world.vault.trust();
    world.put("prod", "a", b"1");
    let newer = world.vault.trust();
    std::thread::scope(|scope| {
        for n in 0..8 {
            let (trust, file) = (if n % 2 == 0 { older } else { newer }, &file);
            scope.spawn(move || (0..20).for_each(|_| trust.save(file).unwrap()));
        }
    });
    assert_eq!(Trust::load(&file).unwrap(), Some(newer));
    std::fs::write(&file, "nonsense").unwrap();
    assert!(Trust::load(&file).is_err());
    assert!(
        newer.save(&file).is_err(),
        "what is not understood is not overwritten"
    );
}
