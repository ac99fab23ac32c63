//! Where each key of a merged document comes from: its layer, and the revision and member that
//! made it what it is.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod vault_kit;

use strongroom_core::Vault;
use strongroom_core::config::Format;
use strongroom_core::snapshot::{Kind, Role};
use strongroom_core::vault::{Edit, OriginError};
use vault_kit::*;

fn config(environment: &str, text: &str) -> Edit {
    put(environment, "web", Kind::Config, Format::Toml, text.as_bytes())
}

fn commit(vault: &Vault, edit: Edit) -> u64 {
    vault.commit(&change(vec![edit])).unwrap().revision.0
}

/// A child `eu` of `prod`, and writer `bob` who opens both.
fn world() -> (World, Vault) {
    let world = World::new();
    world.child("eu", "prod");
    let bob = world
        .open(&world.member("bob", Role::Writer, &["prod", "eu"]))
        .unwrap();
    (world, bob)
}

fn told(vault: &Vault, environment: &str) -> Vec<(String, bool, String, u64, String)> {
    vault.refresh().unwrap();
    let origins = vault.origins(&env(environment), &path("web")).unwrap();
    let tell = origins.into_iter().map(|origin| {
        let (key, layer) = (origin.key.to_string(), origin.layer.to_string());
        (
            key,
            origin.value.is_some(),
            layer,
            origin.revision.0,
            origin.author,
        )
    });
    tell.collect()
}

#[test]
fn a_key_is_of_whoever_made_it_what_it_is() {
    let (world, bob) = world();
    let first = commit(
        &world.vault,
        config("prod", "name = 'web'\n[pool]\nsize = 1\nwait = 1\n"),
    );
    let second = commit(&bob, config("prod", "name = 'web'\n[pool]\nsize = 2\nwait = 1\n"));
    // the same text in other clothes is no change of its keys, and one that was taken back is one
    let third = commit(
        &world.vault,
        config("prod", "pool = { size = 2, wait = 2 }\nname = 'web'\n"),
    );
    let fourth = commit(
        &world.vault,
        config("prod", "pool = { size = 2, wait = 1 }\nname = 'web'\n"),
    );
    assert!(third < fourth);
    let mine = |key: &str, layer: &str, revision, author: &str| {
        (
            key.to_owned(),
            true,
            layer.to_owned(),
            revision,
            author.to_owned(),
        )
    };
    assert_eq!(
        told(&world.vault, "prod"),
        [
            mine("name", "prod", first, "alice"),
            mine("pool.size", "prod", second, "bob"),
            mine("pool.wait", "prod", fourth, "alice"),
        ]
    );
    let own = commit(
        &bob,
        config("eu", "[pool]\nsize = 9\nwait = { strongroom = 'unset' }\n"),
    );
    assert_eq!(
        told(&world.vault, "eu"),
        [
            mine("name", "prod", first, "alice"),
            mine("pool.size", "eu", own, "bob"),
            ("pool.wait".into(), false, "eu".into(), own, "bob".into()),
        ]
    );
}

#[test]
fn a_document_that_was_deleted_begins_anew() {
    let (world, bob) = world();
    commit(&world.vault, config("prod", "a = 1"));
    commit(&world.vault, delete("prod", "web"));
    let again = commit(&bob, config("prod", "a = 1"));
    let told = told(&world.vault, "prod");
    assert_eq!((told[0].3, told[0].4.as_str()), (again, "bob"));
}

#[test]
fn what_has_no_keys_has_no_origins() {
    let (world, _) = world();
    commit(
        &world.vault,
        put("prod", "web", Kind::Config, Format::Text, b"plain"),
    );
    let refused = world.vault.origins(&env("prod"), &path("web")).unwrap_err();
    assert!(matches!(refused, OriginError::Read(_)), "{refused}");
    assert!(refused.to_string().contains("only json and toml"), "{refused}");
    world.put("prod", "key", b"1");
    let refused = world.vault.origins(&env("prod"), &path("key")).unwrap_err();
    assert!(
        refused.to_string().contains("is a secret, not a config"),
        "{refused}"
    );
}
