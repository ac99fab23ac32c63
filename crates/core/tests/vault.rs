//! The vault through its public face, on a store in memory.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod vault_kit;

use std::collections::BTreeMap;
use std::sync::Arc;

use strongroom_core::Vault;
use strongroom_core::config::Format;
use strongroom_core::id::Version;
use strongroom_core::snapshot::{Action, Kind, ReadError, Role};
use strongroom_core::store::{Fault, MemoryStore};
use strongroom_core::vault::{CommitError, Edit, Event, Expect, OpenError, OpenOptions, Scope};
use vault_kit::*;

#[test]
fn a_value_is_put_read_changed_and_deleted() {
    let world = World::new();
    world.put("prod", "web/password", b"one");
    let receipt = world.put("prod", "web/password", b"two");
    assert!(receipt.committed);
    assert_eq!(receipt.changes.len(), 1);
    assert_eq!(receipt.changes[0].action, Action::Updated);
    assert_eq!(receipt.changes[0].version, Version(2));
    assert_eq!(world.get("prod", "web/password").unwrap(), b"two");
    world.commit(vec![delete("prod", "web/password")]).unwrap();
    assert!(matches!(
        world.get("prod", "web/password"),
        Err(ReadError::NoEntry { .. })
    ));
    // The path may be used again, by another kind too.
    world
        .commit(vec![put(
            "prod",
            "web/password",
            Kind::Config,
            Format::Json,
            b"{}",
        )])
        .unwrap();
    assert_eq!(world.get("prod", "web/password").unwrap(), b"{}");
    world.vault.verify(&mut |_, _| {}).unwrap();
}

#[test]
fn empty_and_binary_values_are_legal_and_too_long_ones_are_not() {
    let world = World::new();
    let binary: Vec<u8> = (0..=255).collect();
    for value in [&b""[..], &binary, &vec![7; 1 << 20]] {
        world.put("prod", "x", value);
        assert_eq!(world.get("prod", "x").unwrap(), value);
    }
    let error = world
        .commit(vec![secret("prod", "x", &vec![7; (1 << 20) + 1])])
        .unwrap_err();
    assert!(matches!(error, CommitError::Invalid { .. }));
    assert!(error.to_string().contains("1048577 bytes"), "{error}");
}

#[test]
fn an_unchanged_value_makes_no_commit() {
    let world = World::new();
    let first = world.put("prod", "x", b"same");
    let second = world.put("prod", "x", b"same");
    assert!(!second.committed);
    assert_eq!(first.revision, second.revision);
    let planned = world
        .vault
        .plan(&change(vec![
            secret("prod", "x", b"same"),
            secret("prod", "y", b"new"),
        ]))
        .unwrap();
    assert!(planned[0].unchanged && !planned[1].unchanged);
    assert_eq!(planned[1].change.action, Action::Created);
    assert_eq!(
        world.vault.snapshot().revision(),
        second.revision,
        "a plan commits nothing"
    );
}

#[test]
fn preconditions_hold_or_nothing_happens() {
    let world = World::new();
    world.put("prod", "x", b"1");
    let mut edit = secret("prod", "x", b"2");
    set_expect(&mut edit, Expect::Absent);
    assert!(matches!(
        world.commit(vec![edit]),
        Err(CommitError::Stale {
            found: Version(1),
            ..
        })
    ));
    let mut edit = secret("prod", "x", b"2");
    set_expect(&mut edit, Expect::Version(Version(1)));
    world.commit(vec![edit]).unwrap();
    assert_eq!(world.get("prod", "x").unwrap(), b"2");
}

#[test]
fn one_bad_edit_refuses_the_whole_change() {
    let world = World::new();
    let before = world.vault.snapshot().revision();
    let bad = put("prod", "flag", Kind::Flag, Format::Text, b"not a flag");
    let error = world.commit(vec![secret("prod", "ok", b"1"), bad]).unwrap_err();
    assert!(matches!(error, CommitError::Invalid { .. }), "{error}");
    assert!(!error.to_string().contains("not a flag"));
    assert_eq!(world.vault.snapshot().revision(), before);
    assert!(world.get("prod", "ok").is_err());
}

#[test]
fn environments_inherit_config_and_flags_but_never_secrets() {
    let world = World::new();
    world.child("canary", "prod");
    let flag = br#"{"state":"ENABLED","variants":{"on":true,"off":false},"defaultVariant":"on"}"#;
    world
        .commit(vec![
            secret("prod", "s", b"hidden"),
            put(
                "prod",
                "web",
                Kind::Config,
                Format::Toml,
                b"[pool]\nsize = 1\nwait = 2\n",
            ),
            put("canary", "web", Kind::Config, Format::Toml, b"[pool]\nsize = 9\n"),
            put("prod", "new-page", Kind::Flag, Format::Text, flag),
        ])
        .unwrap();
    assert!(matches!(world.get("canary", "s"), Err(ReadError::NoEntry { .. })));
    assert_eq!(world.get("canary", "new-page").unwrap(), flag);
    let merged: BTreeMap<String, BTreeMap<String, u32>> =
        world.vault.config(&env("canary"), &path("web")).unwrap();
    assert_eq!(merged["pool"]["size"], 9);
    assert_eq!(merged["pool"]["wait"], 2);
    let listed = world.vault.snapshot().entries(&env("canary"), None).unwrap();
    let listed: Vec<_> = listed
        .iter()
        .map(|entry| (entry.environment.as_str(), entry.path.as_str()))
        .collect();
    assert_eq!(listed, [("prod", "new-page"), ("canary", "web")]);
}

#[test]
fn listing_under_a_prefix_stops_at_segments() {
    let world = World::new();
    for each in ["web", "web/a", "web/b/c", "web-2", "webb/x", "a"] {
        world.put("prod", each, b"1");
    }
    let entries = world
        .vault
        .snapshot()
        .entries(&env("prod"), Some(&path("web")))
        .unwrap();
    let paths: Vec<_> = entries.iter().map(|entry| entry.path.as_str()).collect();
    assert_eq!(paths, ["web", "web/a", "web/b/c"]);
}

#[test]
fn a_member_opens_its_compartments_and_nothing_else() {
    let world = World::new();
    let reader = world.member("web", Role::Reader, &["prod"]);
    world.environment("dev");
    world.put("prod", "x", b"for web");
    world.put("dev", "y", b"not for web");
    let vault = world.open(&reader).unwrap();
    assert_eq!(get(&vault, "prod", "x").unwrap(), b"for web");
    assert!(matches!(get(&vault, "dev", "y"), Err(ReadError::NoEntry { .. })));
    assert!(vault.snapshot().entries(&env("dev"), None).unwrap().is_empty());
    let error = vault
        .commit(&change(vec![secret("prod", "x", b"2")]))
        .unwrap_err();
    assert!(matches!(error, CommitError::Denied { .. }), "{error}");
    assert!(vault.verify(&mut |_, _| {}).unwrap().opened > 0);

    let stranger = identity();
    assert!(matches!(world.open(&stranger), Err(OpenError::NotMember)));

    // A grant opens what was there before.
    world
        .commit(vec![Edit::Grant {
            member: name("web"),
            compartment: compartment("dev"),
        }])
        .unwrap();
    vault.refresh().unwrap();
    assert_eq!(get(&vault, "dev", "y").unwrap(), b"not for web");
}

#[test]
fn roles_bound_what_is_committed() {
    let world = World::new();
    world.environment("dev");
    world.put("prod", "x", b"1");
    world
        .commit(vec![put("prod", "c", Kind::Config, Format::Text, b"1")])
        .unwrap();
    let writer = world
        .open(&world.member("writer", Role::Writer, &["prod"]))
        .unwrap();
    let rotator = world
        .open(&world.member("rotator", Role::Rotator, &["prod"]))
        .unwrap();
    let denied = |vault: &Vault, edit: Edit| {
        let error = vault.commit(&change(vec![edit])).unwrap_err();
        assert!(matches!(error, CommitError::Denied { .. }), "{error}");
    };
    writer.commit(&change(vec![secret("prod", "y", b"2")])).unwrap();
    denied(&writer, secret("dev", "y", b"2"));
    denied(
        &writer,
        Edit::AddCompartment {
            name: compartment("mine"),
        },
    );
    rotator.commit(&change(vec![secret("prod", "x", b"3")])).unwrap();
    denied(&rotator, secret("prod", "new", b"3"));
    denied(&rotator, put("prod", "c", Kind::Config, Format::Text, b"2"));
    denied(&rotator, delete("prod", "x"));
    world.vault.refresh().unwrap();
    assert_eq!(world.get("prod", "x").unwrap(), b"3");
    world.vault.verify(&mut |_, _| {}).unwrap();
}

#[test]
fn a_path_taken_in_another_compartment_is_refused_not_duplicated() {
    let world = World::new();
    world
        .commit(vec![Edit::AddCompartment {
            name: compartment("payments"),
        }])
        .unwrap();
    let mut edit = secret("prod", "db", b"1");
    set_compartment(&mut edit, "payments");
    world.commit(vec![edit]).unwrap();
    let writer = world
        .open(&world.member("writer", Role::Writer, &["prod"]))
        .unwrap();
    let error = writer
        .commit(&change(vec![secret("prod", "db", b"mine")]))
        .unwrap_err();
    assert!(matches!(error, CommitError::Denied { .. }), "{error}");
    world.vault.refresh().unwrap();
    assert_eq!(world.get("prod", "db").unwrap(), b"1");
}

#[test]
fn removing_a_member_renews_keys_and_names_what_it_could_read() {
    let world = World::new();
    world.environment("dev");
    world.put("prod", "seen", b"1");
    world.put("dev", "unseen", b"1");
    let web = world.member("web", Role::Reader, &["prod"]);
    let vault = world.open(&web).unwrap();
    let receipt = world
        .commit(vec![Edit::RemoveMember { name: name("web") }])
        .unwrap();
    let exposed: Vec<_> = receipt.exposed.iter().map(|each| each.path.as_str()).collect();
    assert_eq!(exposed, ["seen"]);
    world.put("prod", "seen", b"after");
    // It keeps what it had, and gets nothing new.
    assert!(matches!(vault.refresh(), Err(OpenError::NotMember)));
    assert_eq!(get(&vault, "prod", "seen").unwrap(), b"1");
    assert!(matches!(world.open(&web), Err(OpenError::NotMember)));
    let terms: BTreeMap<_, _> = world
        .vault
        .snapshot()
        .compartments()
        .into_iter()
        .map(|each| (each.name.to_string(), each.term))
        .collect();
    assert_eq!((terms["common"], terms["prod"], terms["dev"]), (2, 2, 1));
    let error = world
        .commit(vec![Edit::RemoveMember { name: name("alice") }])
        .unwrap_err();
    assert!(
        matches!(error, CommitError::Invalid { .. }),
        "the only admin stays"
    );
    world.vault.verify(&mut |_, _| {}).unwrap();
}

#[test]
fn history_rollback_and_reading_at_a_revision() {
    let world = World::new();
    let first = world.put("prod", "x", b"1").revision;
    world.put("prod", "y", b"1");
    world.put("prod", "x", b"2");
    let history = world.vault.history(Some((&env("prod"), &path("x"))), 10).unwrap();
    let versions: Vec<_> = history
        .iter()
        .map(|past| (past.changes[0].version.0, past.author.as_str()))
        .collect();
    assert_eq!(versions, [(2, "alice"), (1, "alice")]);
    assert_eq!(world.vault.history(None, 2).unwrap().len(), 2);
    let then = world.vault.at(first).unwrap();
    assert_eq!(expose(&then.read(&env("prod"), &path("x")).unwrap().value), b"1");
    assert!(then.read(&env("prod"), &path("y")).is_err());
    // The same from a vault that was opened later, and so replays.
    let later = world.open(&world.identity).unwrap();
    let then = later.at(first).unwrap();
    assert_eq!(expose(&then.read(&env("prod"), &path("x")).unwrap().value), b"1");

    let back = world
        .vault
        .rollback(&Scope::entry(env("prod"), path("x")), first)
        .unwrap();
    world.vault.commit(&back).unwrap();
    assert_eq!(world.get("prod", "x").unwrap(), b"1");
    assert_eq!(world.get("prod", "y").unwrap(), b"1");
    let back = world.vault.rollback(&Scope::default(), first).unwrap();
    let receipt = world.vault.commit(&back).unwrap();
    assert_eq!(receipt.changes.len(), 1);
    assert!(world.get("prod", "y").is_err());
    assert_eq!(
        world.vault.history(None, 1).unwrap()[0].message,
        format!("rollback to revision {first}")
    );
    assert!(matches!(
        world
            .vault
            .rollback(&Scope::entry(env("prod"), path("nothing")), first),
        Err(CommitError::Read(ReadError::NoEntry { .. }))
    ));
}

#[test]
fn many_commits_make_a_checkpoint_that_later_opens_use() {
    let world = World::new();
    for n in 0..300_u32 {
        world.put("prod", &format!("k{}", n % 7), &n.to_be_bytes());
    }
    let mut checkpoint = false;
    world.store.tamper(|_, _, bytes| checkpoint = bytes.is_some());
    assert!(checkpoint);
    // Damage a value commit the checkpoint spares: opening does not read it, verifying does.
    world.store.tamper(|commits, _, _| commits[40].bytes[60] ^= 1);
    let vault = world.open(&world.identity).unwrap();
    assert_eq!(vault.snapshot().hash(), world.vault.snapshot().hash());
    assert_eq!(get(&vault, "prod", "k5").unwrap(), 299_u32.to_be_bytes());
    assert!(matches!(
        vault.verify(&mut |_, _| {}),
        Err(OpenError::Integrity(_))
    ));
}

#[test]
fn racing_writers_all_get_in() {
    let world = World::new();
    let vaults: Vec<_> = (0..4).map(|_| world.open(&world.identity).unwrap()).collect();
    std::thread::scope(|scope| {
        for (n, vault) in vaults.iter().enumerate() {
            scope.spawn(move || {
                for i in 0..10 {
                    let edit = secret("prod", &format!("w{n}/{i}"), b"1");
                    vault.commit(&change(vec![edit])).unwrap();
                }
            });
        }
    });
    let snapshot = world.vault.refresh().unwrap();
    assert_eq!(snapshot.len(), 40);
    world.vault.verify(&mut |_, _| {}).unwrap();
}

#[test]
fn a_lost_answer_is_looked_up_and_a_lost_commit_is_an_error() {
    let world = World::new();
    world.store.arm(Fault::AppendUnacknowledged);
    assert!(world.put("prod", "x", b"1").committed);
    assert_eq!(world.get("prod", "x").unwrap(), b"1");
    world.store.arm(Fault::AppendLost);
    assert!(world.commit(vec![secret("prod", "x", b"2")]).is_err());
    assert_eq!(world.get("prod", "x").unwrap(), b"1");
    world.put("prod", "x", b"3");
    assert_eq!(world.get("prod", "x").unwrap(), b"3");
}

#[test]
fn a_follower_gets_other_vaults_commits_and_survives_a_lost_store() {
    let world = World::new();
    let follower = Arc::new(world.open(&world.identity).unwrap());
    let mut watch = follower.watch();
    follower.follow().unwrap();
    follower.follow().unwrap();
    let receipt = world.put("prod", "x", b"1");
    let Some(Event::Revised(revised)) = watch.next_blocking() else {
        panic!("the commit is the first event");
    };
    assert_eq!(revised.revision, receipt.revision);
    assert_eq!(revised.changes, receipt.changes);
    assert_eq!(get(&follower, "prod", "x").unwrap(), b"1");

    world.store.arm(Fault::Read);
    // The fault strikes whoever reads first: the follower is made to look.
    let _ = follower.refresh();
    assert_eq!(get(&follower, "prod", "x").unwrap(), b"1");
    world.put("prod", "x", b"2");
    let mut seen = false;
    while !seen {
        seen = matches!(watch.next_blocking().unwrap(), Event::Revised(_));
    }
    assert_eq!(get(&follower, "prod", "x").unwrap(), b"2");
}

#[test]
fn a_store_is_made_once_and_an_empty_one_says_so() {
    let world = World::new();
    let again = Vault::create(
        world.store.clone(),
        &name("eve"),
        identity(),
        strongroom_core::ambient::Ambient::system(),
    );
    assert!(matches!(again, Err(CommitError::Store(_))));
    let empty = Vault::open(Arc::new(MemoryStore::new()), identity(), OpenOptions::default());
    assert!(matches!(empty, Err(OpenError::Empty { .. })));
}

#[test]
fn debug_and_errors_never_show_a_value() {
    let world = World::new();
    let edit = put(
        "prod",
        "c",
        Kind::Config,
        Format::Json,
        b"{\"canary-value\": nonsense}",
    );
    let shown = format!("{edit:?}");
    let shown = format!("{shown} {:?}", world.commit(vec![edit]).unwrap_err());
    assert!(!shown.contains("canary-value"), "{shown}");
    world.put("prod", "x", b"canary-value");
    let reading = world.vault.read(&env("prod"), &path("x")).unwrap();
    let shown = format!("{reading:?} {:?} {:?}", world.vault, world.vault.snapshot());
    assert!(!shown.contains("canary"), "{shown}");
}
