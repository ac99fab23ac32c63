//! Policies as entries: who may change them, what they allow members to commit, and what readers
//! refuse.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod forge;
mod policy_kit;
mod vault_kit;

use std::sync::Arc;

use forge::{append, commits, description, environments, newest_member, plant, refused};
use policy_kit::{Plain, prepared, user};
use strongroom_core::ambient::Timestamp;
use strongroom_core::commit::{AdminChange, EntryChange, decode};
use strongroom_core::config::Format;
use strongroom_core::crypto::seal::{Context, Purpose};
use strongroom_core::id::{CompartmentId, EntryId, EnvironmentId, Hash, StoreId, Version};
use strongroom_core::policy::{Action, Policies};
use strongroom_core::snapshot::{Kind, Role};
use strongroom_core::vault::{Break, CommitError, Edit};
use vault_kit::*;

const PERMIT_ALL: &str = "permit (principal, action, resource);";

fn policy(environment: &str, at: &str, text: &str) -> Edit {
    put(environment, at, Kind::Policy, Format::Text, text.as_bytes())
}

fn may_read(world: &World, environment: &str, at: &str) -> bool {
    let policies = Policies::of(&world.vault.snapshot(), &env(environment)).unwrap();
    let entry = Plain::secret(at);
    policies
        .decide(
            &prepared(&user(1)),
            Action::ReadSecret,
            entry.resource(),
            Timestamp(0),
        )
        .allowed
}

fn denied(result: Result<impl std::fmt::Debug, CommitError>, with: &str) {
    let error = result.unwrap_err();
    assert!(matches!(error, CommitError::Denied { .. }), "{error}");
    assert!(error.to_string().contains(with), "{error}");
}

fn invalid(result: Result<impl std::fmt::Debug, CommitError>, with: &str) {
    let error = result.unwrap_err();
    assert!(matches!(error, CommitError::Invalid { .. }), "{error}");
    assert!(error.to_string().contains(with), "{error}");
}

#[test]
fn policies_govern_from_the_first_to_the_last() {
    let world = World::new();
    world.environment("dev");
    assert!(may_read(&world, "prod", "web/db"));
    let text = r#"permit (principal, action, resource in Path::"prod/web");"#;
    world.commit(vec![policy("prod", "policy/web", text)]).unwrap();
    assert!(may_read(&world, "prod", "web/db"));
    assert!(!may_read(&world, "prod", "db"));
    assert!(
        may_read(&world, "dev", "db"),
        "the policies of prod are not those of dev"
    );
    let entry = world
        .vault
        .snapshot()
        .entry(&env("prod"), &path("policy/web"))
        .unwrap();
    assert_eq!(entry.compartment.as_str(), "common");
    world
        .commit(vec![policy(
            "prod",
            "policy/web",
            "forbid (principal, action, resource) when { resource.path == \"web/db\" };",
        )])
        .unwrap();
    assert!(!may_read(&world, "prod", "web/db"));
    world.commit(vec![delete("prod", "policy/web")]).unwrap();
    assert!(may_read(&world, "prod", "db"));
}

#[test]
fn children_inherit_policies_and_add_their_own() {
    let world = World::new();
    world.child("prod-eu", "prod");
    let forbid = r#"permit (principal, action, resource in Path::"prod/web"); forbid (principal, action, resource) when { resource.path == "web/key" };"#;
    world.commit(vec![policy("prod", "policy/base", forbid)]).unwrap();
    assert!(may_read(&world, "prod-eu", "web/db"));
    assert!(!may_read(&world, "prod-eu", "db"));
    world
        .commit(vec![policy("prod-eu", "policy/all", PERMIT_ALL)])
        .unwrap();
    assert!(may_read(&world, "prod-eu", "db"));
    assert!(
        !may_read(&world, "prod-eu", "web/key"),
        "an inherited forbid wins"
    );
    assert!(
        !may_read(&world, "prod", "db"),
        "parents do not inherit from children"
    );
}

#[test]
fn every_member_reads_policies_and_only_admins_write_them() {
    let world = World::new();
    world
        .commit(vec![policy("prod", "policy/all", PERMIT_ALL)])
        .unwrap();
    let reader = world.open(&world.member("r", Role::Reader, &[])).unwrap();
    assert!(
        !Policies::of(&reader.snapshot(), &env("prod"))
            .unwrap()
            .is_default()
    );
    let writer = world.open(&world.member("w", Role::Writer, &["prod"])).unwrap();
    let compartment = "may not change entries of that compartment";
    denied(
        writer.commit(&change(vec![policy("prod", "policy/mine", PERMIT_ALL)])),
        compartment,
    );
    denied(
        writer.commit(&change(vec![policy("prod", "policy/all", "")])),
        compartment,
    );
    denied(
        writer.commit(&change(vec![delete("prod", "policy/all")])),
        "may not delete",
    );
}

#[test]
fn policies_lie_in_common_and_nothing_else_does() {
    let world = World::new();
    let mut elsewhere = policy("prod", "policy/all", PERMIT_ALL);
    set_compartment(&mut elsewhere, "prod");
    invalid(
        world.commit(vec![elsewhere]),
        "policies lie in compartment `common`",
    );
    let mut there = secret("prod", "a", b"1");
    set_compartment(&mut there, "common");
    invalid(world.commit(vec![there]), "policies lie in compartment `common`");
}

#[test]
fn a_policy_that_does_not_validate_is_not_committed() {
    let world = World::new();
    let before = world.vault.snapshot().revision();
    let text = "permit (principal is Workload, action, resource)\nwhen { principal.unitt == \"web\" };";
    invalid(
        world.commit(vec![policy("prod", "policy/web", text)]),
        "\"policy/web\": line 2, column 8: policy 1: attribute `unitt` on entity type `Workload` not found: did you mean `unit`?",
    );
    invalid(
        world.commit(vec![put(
            "prod",
            "policy/web",
            Kind::Policy,
            Format::Text,
            b"\xff",
        )]),
        "a policy is UTF-8 text",
    );
    assert_eq!(world.vault.refresh().unwrap().revision(), before);
}

#[test]
fn members_commit_where_policy_lets_them() {
    let world = World::new();
    for at in ["web/db", "payments/key"] {
        world.put("prod", at, b"1");
    }
    let writer = world.open(&world.member("w", Role::Writer, &["prod"])).unwrap();
    let rotator = world
        .open(&world.member("rot", Role::Rotator, &["prod"]))
        .unwrap();
    let text = r#"
        @id("admins") permit (principal in Role::"admin", action, resource);
        @id("w writes web") permit (principal == Member::"w", action in [Action::"commit", Action::"rotate"], resource in Path::"prod/web");
        @id("rotators rotate") permit (principal in Role::"rotator", action == Action::"rotate", resource);
        @id("not the frozen") forbid (principal, action == Action::"commit", resource) when { resource.hasTag("frozen") };
    "#;
    world
        .commit(vec![policy("prod", "policy/members", text)])
        .unwrap();
    let none = "no policy permits it";
    let commit = |vault: &strongroom_core::Vault, edit| vault.commit(&change(vec![edit]));
    commit(&writer, secret("prod", "web/db", b"2")).unwrap();
    commit(&writer, secret("prod", "web/new", b"2")).unwrap();
    commit(&writer, delete("prod", "web/new")).unwrap();
    denied(commit(&writer, secret("prod", "payments/key", b"2")), none);
    denied(commit(&writer, secret("prod", "payments/new", b"2")), none);
    denied(commit(&writer, delete("prod", "payments/key")), none);
    denied(commit(&writer, secret("prod", "webs", b"2")), none);
    let both = change(vec![
        secret("prod", "web/db", b"3"),
        secret("prod", "payments/key", b"3"),
    ]);
    denied(writer.commit(&both), none);
    denied(writer.plan(&both), none);
    commit(&rotator, secret("prod", "payments/key", b"4")).unwrap();
    // Out of what is forbidden by its label, and into it: both are refused.
    let mut frozen = secret("prod", "web/db", b"5");
    let labelled = |edit: &mut Edit, labels: &[&str]| {
        if let Edit::Put(put) = edit {
            put.labels = Some(
                labels
                    .iter()
                    .map(|label| ((*label).to_owned(), String::new()))
                    .collect(),
            );
        }
    };
    labelled(&mut frozen, &["frozen"]);
    denied(commit(&writer, frozen), "policy \"not the frozen\" forbids it");
    commit(&world.vault, delete("prod", "policy/members")).unwrap();
    let mut frozen = secret("prod", "web/db", b"5");
    labelled(&mut frozen, &["frozen"]);
    commit(&writer, frozen).unwrap();
    world
        .commit(vec![policy("prod", "policy/members", text)])
        .unwrap();
    let mut thawed = secret("prod", "web/db", b"6");
    labelled(&mut thawed, &[]);
    denied(commit(&writer, thawed), "policy \"not the frozen\" forbids it");
    // A new value alone is a rotation, which is not forbidden.
    commit(&writer, secret("prod", "web/db", b"6")).unwrap();
}

#[test]
fn a_forbid_that_fails_is_named_as_what_forbids() {
    let world = World::new();
    let writer = world.open(&world.member("w", Role::Writer, &["prod"])).unwrap();
    let text = r#"
        permit (principal, action, resource);
        @id("broken") forbid (principal == Member::"w", action, resource)
        when { context.now.toTime().toMilliseconds() + 9223372036854775807 > 0 };
    "#;
    world.commit(vec![policy("prod", "policy/broken", text)]).unwrap();
    denied(
        writer.commit(&change(vec![secret("prod", "a", b"1")])),
        "policy \"broken\" forbids it",
    );
}

#[test]
fn a_new_environment_is_governed_by_what_it_inherits_in_the_same_commit() {
    let world = World::new();
    let text = r#"permit (principal, action, resource in Path::"prod/web");"#;
    world.commit(vec![policy("prod", "policy/web", text)]).unwrap();
    let with = |at: &str| {
        let child = Edit::AddEnvironment {
            name: env("eu"),
            parent: Some(env("prod")),
            compartment: None,
        };
        world.commit(vec![child, secret("eu", at, b"1")])
    };
    denied(with("db"), "no policy permits it");
    with("web/db").unwrap();
}

#[test]
fn no_admin_shuts_themselves_out() {
    let world = World::new();
    world.child("eu", "prod");
    // Without any permit admins keep the policies.
    world.commit(vec![policy("prod", "policy/none", "")]).unwrap();
    denied(
        world.commit(vec![secret("prod", "a", b"1")]),
        "no policy permits it",
    );
    let forbid = r#"forbid (principal, action == Action::"administer", resource);"#;
    invalid(
        world.commit(vec![policy("prod", "policy/none", forbid)]),
        "leave a way back",
    );
    let below = r#"forbid (principal, action == Action::"administer", resource in Environment::"eu");"#;
    invalid(
        world.commit(vec![policy("prod", "policy/none", below)]),
        "in \"eu\"",
    );
    let others = r#"forbid (principal, action == Action::"administer", resource) unless { principal.name == "alice" };"#;
    world.commit(vec![policy("prod", "policy/none", others)]).unwrap();
    let other = world.open(&world.member("bob", Role::Admin, &[])).unwrap();
    denied(
        other.commit(&change(vec![delete("prod", "policy/none")])),
        "forbids it",
    );
    world.commit(vec![delete("prod", "policy/none")]).unwrap();
}

#[test]
fn policies_are_kept_while_they_stay_the_same() {
    let world = World::new();
    world
        .commit(vec![policy("prod", "policy/all", PERMIT_ALL)])
        .unwrap();
    let first = Arc::new(Policies::of(&world.vault.snapshot(), &env("prod")).unwrap());
    world.put("prod", "a", b"1");
    let second = first.renewed(&world.vault.snapshot()).unwrap();
    assert!(Arc::ptr_eq(&first, &second));
    world
        .commit(vec![policy(
            "prod",
            "policy/all",
            "permit (principal is Workload, action, resource);",
        )])
        .unwrap();
    let third = second.renewed(&world.vault.snapshot()).unwrap();
    assert!(!Arc::ptr_eq(&second, &third));
    world.commit(vec![delete("prod", "policy/all")]).unwrap();
    assert!(third.renewed(&world.vault.snapshot()).unwrap().is_default());
}

/// What sealing without our checks needs of a store.
struct Forger<'a> {
    world: &'a World,
    store: StoreId,
    environment: EnvironmentId,
    /// The entry of a path that is free again.
    entry: EntryId,
    common: CompartmentId,
    own: CompartmentId,
}

impl<'a> Forger<'a> {
    fn new(world: &'a World) -> Self {
        world.put("prod", "x", b"1");
        world.commit(vec![delete("prod", "x")]).unwrap();
        let all: Vec<_> = commits(&*world.store)
            .iter()
            .map(|each| decode(&each.bytes).unwrap().0)
            .collect();
        let added = |change: &AdminChange| match change {
            AdminChange::CompartmentAdd { id, .. } => Some(*id),
            _ => None,
        };
        let common = all.iter().flat_map(|commit| &commit.admin).find_map(added);
        let entries: Vec<_> = all.iter().flat_map(|commit| &commit.entries).collect();
        Self {
            world,
            store: all[0].store,
            environment: environments(&*world.store)[0],
            entry: entries[0].id,
            common: common.unwrap(),
            own: entries[0].compartment,
        }
    }

    fn seal(
        &self,
        purpose: Purpose,
        compartment: CompartmentId,
        version: u32,
        kind: u8,
        plain: &[u8],
    ) -> Hash {
        let context = Context {
            store: self.store,
            purpose,
            compartment,
            subject: self.entry.0,
            version,
            kind,
        };
        plant(&self.world.store, &self.world.identity, &context, plain)
    }

    /// Version 1 of the free path, of any kind in any compartment.
    fn change(&self, kind: Kind, compartment: CompartmentId) -> EntryChange {
        let meta = description(self.environment, kind, "x");
        EntryChange {
            id: self.entry,
            compartment,
            version: Version(1),
            meta: self.seal(Purpose::Meta, compartment, 0, 0, &meta),
            value: Some(self.seal(Purpose::Value, compartment, 1, kind as u8, PERMIT_ALL.as_bytes())),
            labels: None,
        }
    }
}

#[test]
fn readers_refuse_policies_outside_of_common_and_other_kinds_in_it() {
    for (kind, in_common, is_refused) in [
        (Kind::Policy, true, false),
        (Kind::Secret, false, false),
        (Kind::Policy, false, true),
        (Kind::Secret, true, true),
    ] {
        let world = World::new();
        let forger = Forger::new(&world);
        let compartment = if in_common { forger.common } else { forger.own };
        let change = forger.change(kind, compartment);
        append(&*world.store, &world.identity, |commit| {
            commit.entries = vec![change]
        });
        let opened = world.open(&world.identity);
        if is_refused {
            assert_eq!(refused(opened), Break::Contradiction);
            assert_eq!(refused(world.vault.verify(&mut |_, _| {})), Break::Contradiction);
            assert_eq!(refused(world.vault.refresh()), Break::Contradiction);
        } else {
            // So the forged one is refused for what it is, and not for how it was made.
            assert_eq!(opened.unwrap().snapshot().len(), 1);
            world.vault.verify(&mut |_, _| {}).unwrap();
        }
    }
}

#[test]
fn readers_refuse_a_policy_by_a_writer_who_was_given_common() {
    let world = World::new();
    let writer = world.member("w", Role::Writer, &["prod"]);
    let member = newest_member(&*world.store);
    let forger = Forger::new(&world);
    append(&*world.store, &world.identity, |commit| {
        commit.admin = vec![AdminChange::Grant {
            member,
            compartment: forger.common,
        }];
    });
    world.open(&writer).unwrap();
    let change = forger.change(Kind::Policy, forger.common);
    append(&*world.store, &writer, |commit| {
        commit.author = member;
        commit.entries = vec![change];
    });
    assert_eq!(refused(world.open(&writer)), Break::Unauthorised);
    assert_eq!(refused(world.open(&world.identity)), Break::Unauthorised);
}
