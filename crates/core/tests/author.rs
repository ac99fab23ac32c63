//! Members who write to the storage around the vault's own check: every reader asks the policies
//! of the time whether they may.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod forge;
mod vault_kit;

use std::sync::Arc;

use forge::{append, commits, newest_member, refused};
use strongroom_core::commit::{EntryChange, decode};
use strongroom_core::config::Format;
use strongroom_core::crypto::identity::Identity;
use strongroom_core::id::MemberId;
use strongroom_core::snapshot::{Kind, Role};
use strongroom_core::store::Store as _;
use strongroom_core::vault::Break;
use vault_kit::{World, change, delete, get, put, secret};

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

    /// Deletes the entry that bob's `nth` commit put, as a program without our checks would.
    fn forge_delete(&self, nth: usize) {
        let all = commits(&*self.world.store);
        let by_bob = all.iter().filter_map(|stored| {
            let (commit, ..) = decode(&stored.bytes).unwrap();
            (commit.author == self.id).then(|| commit.entries[0])
        });
        let put: EntryChange = by_bob.collect::<Vec<_>>()[nth];
        append(&*self.world.store, &self.bob, |commit| {
            commit.author = self.id;
            commit.entries = vec![EntryChange { value: None, ..put }];
        });
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
