//! Config as a type: read, followed, and with a schema that is derived from it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod vault_kit;

use std::sync::Arc;

use strongroom_core::Vault;
use strongroom_core::config::Format;
use strongroom_core::snapshot::{Kind, Role};
use strongroom_core::vault::Edit;
use vault_kit::*;

/// What the service is configured by.
#[derive(Debug, PartialEq, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct WebConfig {
    name: String,
    #[serde(default)]
    pool: Pool,
    level: Option<Level>,
}

#[derive(Debug, Default, PartialEq, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Pool {
    /// Connections at most.
    size: u32,
    hosts: Vec<String>,
}

#[derive(Debug, PartialEq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Level {
    Info,
    Debug,
}

fn config(text: &str) -> Edit {
    put("prod", "web", Kind::Config, Format::Toml, text.as_bytes())
}

fn schema(environment: &str) -> Edit {
    let derived = schemars::schema_for!(WebConfig).to_value().to_string();
    put(
        environment,
        "schema/web",
        Kind::Schema,
        Format::Text,
        derived.as_bytes(),
    )
}

#[test]
fn a_derived_schema_says_what_the_type_says() {
    let world = World::new();
    world.commit(vec![schema("prod")]).unwrap();
    for bad in [
        "",
        "name = 1",
        "name = 'x'\nmore = 1",
        "name = 'x'\nlevel = 'loud'",
        "name = 'x'\npool = { size = -1 }",
        "name = 'x'\npool = { hosts = [1] }",
    ] {
        let error = world.commit(vec![config(bad)]).unwrap_err();
        assert!(error.to_string().contains("web in prod:"), "{bad}: {error}");
    }
    world
        .commit(vec![config("name = 'x'\nlevel = 'debug'\npool = { size = 3 }")])
        .unwrap();
    let read: WebConfig = world.vault.config(&env("prod"), &path("web")).unwrap();
    assert_eq!(
        (read.name.as_str(), read.pool.size, read.level),
        ("x", 3, Some(Level::Debug))
    );
    // what the derive says of defaults is delivered
    assert_eq!(read.pool.hosts, Vec::<String>::new());
}

#[test]
fn only_what_is_valid_and_new_is_told() {
    let world = World::new();
    world.child("eu", "prod");
    world
        .commit(vec![schema("prod"), config("name = 'one'")])
        .unwrap();
    // bob opens neither the schema nor the parent's document
    let bob = world.open(&world.member("bob", Role::Writer, &["eu"])).unwrap();
    let by_bob = |text: &str| {
        let edit = put("eu", "web", Kind::Config, Format::Toml, text.as_bytes());
        bob.commit(&change(vec![edit])).unwrap();
    };
    let reader = Arc::new(world.open(&world.identity).unwrap());
    let mut watch = reader
        .watch_config::<WebConfig>(&env("eu"), &path("web"))
        .unwrap();
    assert_eq!(watch.current().name, "one");
    let next = |watch: &mut strongroom_core::vault::ConfigWatch<WebConfig>, reader: &Vault| {
        reader.refresh().unwrap();
        let value = watch.next_blocking().unwrap();
        assert_eq!(&value, watch.current());
        value
    };
    // none of these is told: another entry, the same value, and what does not fit
    let unseen: [&dyn Fn(); 3] = [
        &|| drop(world.put("eu", "other", b"1")),
        &|| by_bob("name = 'one' # said once more\n"),
        &|| by_bob("pool = { size = 'canary' }\n"),
    ];
    for commit in unseen {
        commit();
        reader.refresh().unwrap();
        assert_eq!(watch.try_next(), None);
    }
    assert_eq!(watch.current().name, "one");
    by_bob("[pool]\nsize = 2\n");
    let value = next(&mut watch, &reader);
    assert_eq!((value.name.as_str(), value.pool.size), ("one", 2));
    world.commit(vec![config("name = 'two'")]).unwrap();
    assert_eq!(next(&mut watch, &reader).name, "two");
    let missing = reader.watch_config::<WebConfig>(&env("prod"), &path("none"));
    assert!(missing.is_err());
    drop(reader);
    assert_eq!(watch.next_blocking(), None);
}

/// The derived schema, which lets the name be a secret.
fn marked_schema() -> Edit {
    let mut derived = schemars::schema_for!(WebConfig).to_value();
    derived["properties"]["name"]["secret"] = true.into();
    put(
        "prod",
        "schema/web",
        Kind::Schema,
        Format::Text,
        derived.to_string().as_bytes(),
    )
}

/// A type that panics when it is read from a document with `fail`.
#[derive(Debug, PartialEq)]
struct Fragile(u32);

impl<'de> serde::Deserialize<'de> for Fragile {
    fn deserialize<D: serde::Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        let keys = std::collections::BTreeMap::<String, u32>::deserialize(reader)?;
        assert!(!keys.contains_key("fail"), "on purpose");
        Ok(Self(keys["size"]))
    }
}

#[test]
fn a_type_that_panics_ends_no_thread_of_the_vault() {
    let world = World::new();
    let document = |text: &str| put("prod", "x", Kind::Config, Format::Toml, text.as_bytes());
    world.commit(vec![document("size = 1")]).unwrap();
    let vault = Arc::new(world.open(&world.identity).unwrap());
    let live = vault.live_config::<Fragile>(&env("prod"), &path("x")).unwrap();
    let mut watch = vault.watch();
    world.commit(vec![document("size = 2\nfail = 1")]).unwrap();
    vault.refresh().unwrap();
    assert!(watch.try_next().is_some());
    assert_eq!(live.load().0, 1);
    world.commit(vec![document("size = 3")]).unwrap();
    vault.refresh().unwrap();
    assert_eq!(live.load().0, 3);
}

#[test]
fn what_is_at_hand_is_the_last_good_value_in_every_thread() {
    let world = World::new();
    world.put("prod", "web/name", b"secret one");
    let referring = "name = { secret = 'web/name' }\n";
    world.commit(vec![marked_schema(), config(referring)]).unwrap();
    let reader = Arc::new(world.open(&world.identity).unwrap());
    let live = reader
        .live_config::<WebConfig>(&env("prod"), &path("web"))
        .unwrap();
    let name = |live: &strongroom_core::vault::LiveConfig<WebConfig>| live.load().name.clone();
    assert_eq!(name(&live), "secret one");
    let elsewhere = live.clone();
    world.put("prod", "web/name", b"secret two");
    reader.refresh().unwrap();
    assert_eq!(
        std::thread::spawn(move || name(&elsewhere)).join().unwrap(),
        "secret two"
    );
    // what does not fit the type stays away, though nothing else is said against it
    let bare = put("prod", "schema/web", Kind::Schema, Format::Text, b"{}");
    world.commit(vec![bare, config("name = 5")]).unwrap();
    reader.refresh().unwrap();
    assert_eq!(live.load().name, "secret two");
    world.commit(vec![config("name = 'three'")]).unwrap();
    reader.refresh().unwrap();
    assert_eq!(live.load().name, "three");
    world.put("prod", "other", b"1");
    reader.refresh().unwrap();
    assert!(!format!("{live:?}").contains("three"));
    drop(reader);
    assert_eq!(live.load().name, "three");
}
