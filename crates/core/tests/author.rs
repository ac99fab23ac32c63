//! Members who write to the storage around the vault's own check: every reader asks the policies
//! of the time whether they may.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod forge;
mod vault_kit;

use std::sync::Arc;

use forge::{append, commits, description, environments, newest_member, plant, refused};
use strongroom_core::Vault;
use strongroom_core::ambient::{Ambient, Clock, Entropy, EntropyError, Timestamp};
use strongroom_core::commit::{EntryChange, State, decode, encode_checkpoint};
use strongroom_core::config::Format;
use strongroom_core::crypto::identity::Identity;
use strongroom_core::crypto::seal::{Context, Purpose};
use strongroom_core::id::{EnvironmentId, Hash, MemberId, Version};
use strongroom_core::snapshot::{Kind, Role};
use strongroom_core::store::Store as _;
use strongroom_core::vault::{Break, CommitError, Edit, OpenError, OpenOptions};
use vault_kit::{World, change, compartment, delete, get, put, secret};

/// Admins do as they like; bob only under `web`.
const WEB_ONLY: &str = r#"
    permit (principal in Role::"admin", action, resource);
    permit (principal == Member::"bob", action == Action::"commit", resource in Path::"prod/web");
"#;

struct Scene {
    world: World,
    bob: Arc<Identity>,
    id: MemberId,
}

impl Scene {
    /// Bob may write everything in `prod`, by role and compartment, and wrote two entries.
    fn new() -> Self {
        let world = World::new();
        let bob = world.member("bob", Role::Writer, &["prod"]);
        let id = newest_member(&*world.store);
        let scene = Self { world, bob, id };
        let vault = scene.world.open(&scene.bob).unwrap();
        for path in ["web/key", "payments/key"] {
            vault.commit(&change(vec![secret("prod", path, b"one")])).unwrap();
        }
        scene
    }

    fn limit_bob(&self) {
        let edit = put(
            "prod",
            "policy/bob",
            Kind::Policy,
            Format::Text,
            WEB_ONLY.as_bytes(),
        );
        self.world.commit(vec![edit]).unwrap();
    }

    /// What bob's `nth` commit put.
    fn put_by_bob(&self, nth: usize) -> EntryChange {
        let all = commits(&*self.world.store);
        let by_bob = all.iter().filter_map(|stored| {
            let (commit, ..) = decode(&stored.bytes).unwrap();
            (commit.author == self.id).then(|| commit.entries[0])
        });
        by_bob.collect::<Vec<_>>()[nth]
    }

    /// Commits as bob, as a program without our checks would.
    fn forge(&self, change: EntryChange) {
        append(&*self.world.store, &self.bob, |commit| {
            commit.author = self.id;
            commit.entries = vec![change];
        });
    }

    fn forge_delete(&self, nth: usize) {
        let put = self.put_by_bob(nth);
        self.forge(EntryChange { value: None, ..put });
    }

    /// Plants a record of bob's for the entry of `change`.
    fn plant(&self, change: &EntryChange, purpose: Purpose, plain: &[u8]) -> Hash {
        let (commit, ..) = decode(&commits(&*self.world.store)[0].bytes).unwrap();
        let is_value = u32::from(purpose == Purpose::Value);
        let context = Context {
            store: commit.store,
            purpose,
            compartment: change.compartment,
            subject: change.id.0,
            version: change.version.0 * is_value,
            kind: Kind::Secret as u8 * u8::try_from(is_value).unwrap(),
        };
        // The admin's key file is the first one; the key in it is bob's too.
        plant(&self.world.store, &self.world.identity, &context, plain)
    }

    /// Version 2 of what bob's `nth` commit put.
    fn second(&self, nth: usize, meta: Option<(EnvironmentId, &str)>) -> EntryChange {
        let mut change = EntryChange {
            version: Version(2),
            ..self.put_by_bob(nth)
        };
        change.value = Some(self.plant(&change, Purpose::Value, b"two"));
        if let Some((environment, path)) = meta {
            let text = description(environment, Kind::Secret, path);
            change.meta = self.plant(&change, Purpose::Meta, &text);
        }
        change
    }

    /// Signs a checkpoint of the head as an admin whose program does not look.
    fn checkpoint(&self) {
        let all = commits(&*self.world.store);
        let first = State::genesis(&all[0]).unwrap();
        let head = all[1..]
            .iter()
            .fold(first, |state, stored| state.advance(stored).unwrap().0);
        let author = decode(&all[0].bytes).unwrap().0.author;
        let bytes = encode_checkpoint(&head, author, self.world.identity.signing_key());
        self.world.store.put_checkpoint(head.revision(), &bytes).unwrap();
    }
}

#[test]
fn what_policy_allows_is_read_however_it_was_written() {
    let scene = Scene::new();
    scene.limit_bob();
    scene.forge_delete(0);
    scene.world.vault.refresh().unwrap();
    scene.world.get("prod", "web/key").unwrap_err();
    scene.world.open(&scene.bob).unwrap();
}

#[test]
fn what_policy_does_not_allow_is_refused_by_every_reader() {
    let scene = Scene::new();
    scene.limit_bob();
    let last = scene.world.vault.snapshot().revision();
    scene.forge_delete(1);
    assert_eq!(refused(scene.world.vault.refresh()), Break::Unauthorised);
    assert_eq!(scene.world.vault.snapshot().revision(), last);
    assert_eq!(scene.world.get("prod", "payments/key").unwrap(), b"one");
    assert_eq!(refused(scene.world.open(&scene.bob)), Break::Unauthorised);
    // from a checkpoint as from the first commit
    scene.world.store.tamper(|_, _, checkpoint| *checkpoint = None);
    assert_eq!(
        refused(scene.world.open(&scene.world.identity)),
        Break::Unauthorised
    );
}

#[test]
fn a_commit_is_judged_by_the_policies_it_was_made_under() {
    let scene = Scene::new();
    scene.limit_bob();
    let admin = &scene.world;
    admin.commit(vec![delete("prod", "policy/bob")]).unwrap();
    // no policy holds bob back any more
    scene.forge_delete(1);
    admin.vault.refresh().unwrap();
    scene.limit_bob();
    admin.store.tamper(|_, _, checkpoint| *checkpoint = None);
    // what he did before and between stays valid
    let vault = admin.open(&admin.identity).unwrap();
    assert_eq!(get(&vault, "prod", "web/key").unwrap(), b"one");
    get(&vault, "prod", "payments/key").unwrap_err();
    assert_eq!(
        admin.store.head().unwrap().unwrap().revision,
        vault.snapshot().revision()
    );
}

#[test]
fn whoever_does_not_open_a_compartment_reads_on() {
    let scene = Scene::new();
    let stranger = scene.world.member("stranger", Role::Reader, &[]);
    scene.limit_bob();
    scene.forge_delete(1);
    let vault = scene.world.open(&stranger).unwrap();
    assert_eq!(vault.snapshot().len(), 1, "the policy alone");
}

#[test]
fn an_entry_is_judged_as_what_it_is_whatever_its_author_calls_it() {
    let scene = Scene::new();
    scene.world.environment("dev");
    scene.limit_bob();
    let [prod, dev] = environments(&*scene.world.store)[..] else {
        panic!("two environments")
    };
    let length = commits(&*scene.world.store).len();
    for (environment, path) in [(dev, "payments/key"), (prod, "web/key"), (prod, "web/other")] {
        scene.world.store.tamper(|commits, _, checkpoint| {
            commits.truncate(length);
            *checkpoint = None;
        });
        // It goes under another name before anybody looks, so that no reader ever places it.
        let renamed = scene.second(1, Some((environment, path)));
        scene.forge(renamed);
        scene.forge(EntryChange {
            value: None,
            ..renamed
        });
        let vault = &scene.world.vault;
        assert_eq!(refused(vault.refresh()), Break::Contradiction);
        assert_eq!(refused(scene.world.open(&scene.bob)), Break::Contradiction);
        assert_eq!(refused(vault.verify(&mut |_, _| {})), Break::Contradiction);
        assert_eq!(scene.world.get("prod", "payments/key").unwrap(), b"one");
    }
}

#[test]
fn one_description_is_of_one_entry() {
    for first in [0, 1] {
        let scene = Scene::new();
        scene.limit_bob();
        let borrowed = EntryChange {
            meta: scene.put_by_bob(0).meta,
            ..scene.second(1, None)
        };
        let web = scene.second(0, None);
        // Bob may change the entry whose description it is; before or after.
        if first == 0 {
            scene.forge(web);
        }
        scene.forge(borrowed);
        scene.forge(EntryChange {
            value: None,
            ..borrowed
        });
        if first == 1 {
            scene.forge(web);
        }
        assert_eq!(refused(scene.world.vault.refresh()), Break::Contradiction);
        let verified = scene.world.vault.verify(&mut |_, _| {});
        assert_eq!(refused(verified), Break::Contradiction);
    }
}

#[test]
fn verification_judges_what_lies_before_a_checkpoint() {
    let scene = Scene::new();
    scene.limit_bob();
    scene.world.vault.verify(&mut |_, _| {}).unwrap();
    scene.forge_delete(1);
    let at = scene.world.store.head().unwrap().unwrap().revision;
    scene.checkpoint();
    // Its signer vouches for it; who wants to know better asks.
    let vault = scene.world.open(&scene.world.identity).unwrap();
    vault.commit(&change(vec![secret("prod", "more", b"1")])).unwrap();
    match vault.verify(&mut |_, _| {}) {
        Err(OpenError::Integrity(error)) => {
            assert_eq!((error.what, error.revision), (Break::Unauthorised, at));
        }
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn a_commit_is_judged_with_what_it_changed_and_what_is_at_hand() {
    let scene = Scene::new();
    scene.limit_bob();
    let alice = &scene.world.vault;
    let prod = environments(&*scene.world.store)[0];
    let change = scene.second(0, Some((prod, "web/key")));
    scene.forge(change);
    // Neither policies nor names are there to be read again.
    let before = scene.put_by_bob(0).meta;
    let needed = [Some(before), Some(change.meta), change.value];
    scene
        .world
        .store
        .tamper(|_, objects, _| objects.retain(|object| needed.contains(&Some(object.hash))));
    alice.refresh().unwrap();
    assert_eq!(scene.world.get("prod", "web/key").unwrap(), b"two");
}

/// Bob may change `web` for ever, and `payments` until 2001-09-09T01:46:40Z.
const UNTIL: &str = r#"
    permit (principal == Member::"bob", action == Action::"commit", resource in Path::"prod/web");
    permit (principal == Member::"bob", action == Action::"commit", resource in Path::"prod/payments")
    when { context.now < datetime("2001-09-09T01:46:40Z") };
"#;
const END: u64 = 1_000_000_000_000;

struct At(u64);

impl Clock for At {
    fn now(&self) -> Timestamp {
        Timestamp(self.0)
    }
}

impl Entropy for At {
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyError> {
        Ambient::system().entropy().fill(out)
    }
}

impl Scene {
    /// Deletes what bob's `nth` commit put, at a time of his choice.
    fn delete_at(&self, nth: usize, time: u64) {
        let put = self.put_by_bob(nth);
        append(&*self.world.store, &self.bob, |commit| {
            commit.author = self.id;
            commit.time = Timestamp(time);
            commit.entries = vec![EntryChange { value: None, ..put }];
        });
    }

    /// A vault whose clock says `time`.
    fn open_at(&self, who: &Arc<Identity>, time: u64) -> Vault {
        let options = OpenOptions {
            ambient: Ambient::new(Arc::new(At(time)), Arc::new(At(time))),
            ..OpenOptions::default()
        };
        Vault::open(self.world.store.clone(), who.clone(), options).unwrap()
    }

    /// The admin limits bob at `time`, by her clock.
    fn until(time: u64) -> Self {
        let scene = Self::new();
        let edit = put("prod", "policy/bob", Kind::Policy, Format::Text, UNTIL.as_bytes());
        let alice = scene.open_at(&scene.world.identity, time);
        alice.commit(&change(vec![edit])).unwrap();
        scene.world.vault.refresh().unwrap();
        scene
    }
}

#[test]
fn a_permission_that_ended_is_not_prolonged_by_an_earlier_date() {
    let scene = Scene::until(END + 5);
    let vault = &scene.world.vault;
    // Not by one date, nor by one that goes back first.
    scene.delete_at(0, 1);
    vault.refresh().unwrap();
    scene.delete_at(1, END - 1);
    assert_eq!(refused(vault.refresh()), Break::Unauthorised);
    assert_eq!(refused(scene.world.open(&scene.bob)), Break::Unauthorised);
    assert_eq!(refused(vault.verify(&mut |_, _| {})), Break::Unauthorised);

    let scene = Scene::until(END - 5);
    scene.delete_at(1, END - 1);
    scene.world.vault.refresh().unwrap();
}

#[test]
fn a_date_in_the_future_ends_permissions_until_an_admin_commits() {
    let scene = Scene::until(END - 5);
    scene.delete_at(0, END + 5);
    scene.world.vault.refresh().unwrap();
    let bob = scene.open_at(&scene.bob, END - 4);
    let edit = || change(vec![delete("prod", "payments/key")]);
    let error = bob.commit(&edit()).unwrap_err();
    assert!(matches!(error, CommitError::Denied { .. }), "{error}");
    let alice = scene.open_at(&scene.world.identity, END - 3);
    let note = Edit::AddCompartment {
        name: compartment("later"),
    };
    alice.commit(&change(vec![note])).unwrap();
    bob.commit(&edit()).unwrap();
    scene.world.vault.refresh().unwrap();
    scene.world.vault.verify(&mut |_, _| {}).unwrap();
    // A checkpoint carries the time.
    assert!(scene.world.vault.checkpoint().unwrap());
    scene.open_at(&scene.bob, END - 2).verify(&mut |_, _| {}).unwrap();
}
