//! Flags in a store: sets by path, inheritance, what a commit is refused for, and that compiled flags stay
//! while nothing of them changes.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod vault_kit;

use std::sync::Arc;

use serde_json::{Value, json};
use strongroom_core::config::Format;
use strongroom_core::flag::{Code, Context, Reason};
use strongroom_core::snapshot::Kind;
use strongroom_core::vault::{CommitError, Edit};
use vault_kit::*;

fn flag(environment: &str, at: &str, definition: &Value) -> Edit {
    put(
        environment,
        at,
        Kind::Flag,
        Format::Text,
        definition.to_string().as_bytes(),
    )
}

fn by_rule(rule: Value) -> Value {
    json!({"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "off", "targeting": rule})
}

fn simple(value: Value) -> Value {
    json!({"state": "ENABLED", "variants": {"v": value}, "defaultVariant": "v"})
}

fn is_ada() -> Value {
    json!({"$evaluators": {"is_ada": {"==": [{"var": "name"}, "ada"]}}, "metadata": {"team": "web"}})
}

fn ada() -> Context {
    [("name".to_owned(), json!("ada"))].into_iter().collect()
}

/// `eu` inherits from `prod`.
fn world() -> World {
    let world = World::new();
    world.child("eu", "prod");
    world
}

/// What the commit is refused for; a plan of it is refused for the same.
fn refused(world: &World, edits: impl Fn() -> Vec<Edit>) -> String {
    let before = world.vault.snapshot().revision();
    let planned = world.vault.plan(&change(edits())).unwrap_err().to_string();
    let refused = world.commit(edits()).unwrap_err();
    assert!(matches!(refused, CommitError::Invalid { .. }), "{refused:?}");
    assert_eq!(refused.to_string(), planned);
    assert_eq!(world.vault.refresh().unwrap().revision(), before);
    planned
}

#[test]
fn every_type_is_read() {
    let world = World::new();
    let edits = [
        ("b", json!(true)),
        ("s", json!("x")),
        ("i", json!(3)),
        ("f", json!(0.5)),
        ("o", json!({"a": 1})),
    ];
    world
        .commit(edits.map(|(at, value)| flag("prod", at, &simple(value))).into())
        .unwrap();
    let flags = world.vault.flags(&env("prod")).unwrap();
    let none = Context::new();
    assert_eq!(flags.bool("b", &none), Ok(Some(true)));
    assert_eq!(flags.string("s", &none), Ok(Some("x")));
    assert_eq!(flags.int("i", &none), Ok(Some(3)));
    assert_eq!(flags.float("f", &none), Ok(Some(0.5)));
    let object: std::collections::BTreeMap<String, u8> = flags.object("o", &none).unwrap().unwrap();
    assert_eq!(object["a"], 1);
    let details = flags.bool_details("b", &none).unwrap();
    assert_eq!((details.variant, details.reason), (Some("v"), Reason::Static));
    assert_eq!(flags.bool("s", &none).unwrap_err().code, Code::TypeMismatch);
    assert_eq!(flags.bool("gone", &none).unwrap_err().code, Code::FlagNotFound);
    assert_eq!(flags.keys().count(), 5);
    assert!(world.vault.flags(&env("nowhere")).is_err());
}

#[test]
fn a_set_is_of_the_flags_below_it_and_the_nearest_counts() {
    let world = World::new();
    let rule = by_rule(json!({"if": [{"$ref": "is_ada"}, "on"]}));
    let other = json!({"$evaluators": {"is_ada": {"==": [1, 2]}}});
    world
        .commit(vec![
            flag("prod", "web/@set", &is_ada()),
            flag("prod", "web/new", &rule),
            flag("prod", "web/deep/down", &rule),
            flag("prod", "web/deep/@set", &other),
        ])
        .unwrap();
    let flags = world.vault.flags(&env("prod")).unwrap();
    let ada = ada();
    let details = flags.bool_details("web/new", &ada).unwrap();
    assert_eq!(
        (details.value, details.reason),
        (Some(true), Reason::TargetingMatch)
    );
    assert_eq!(details.metadata["team"], "web");
    let down = flags.bool_details("web/deep/down", &ada).unwrap();
    assert_eq!(
        (down.value, down.metadata.len()),
        (Some(false), 0),
        "the nearest set counts alone"
    );
    assert_eq!(flags.keys().count(), 2, "a set is no flag");
    assert_eq!(flags.bool("web/@set", &ada).unwrap_err().code, Code::FlagNotFound);
}

#[test]
fn flags_and_sets_are_inherited() {
    let world = world();
    let rule = by_rule(json!({"if": [{"$ref": "is_ada"}, "on"]}));
    world
        .commit(vec![flag("prod", "@set", &is_ada()), flag("prod", "new", &rule)])
        .unwrap();
    let ada = ada();
    let value = |environment: &str| {
        let flags = world.vault.flags(&env(environment)).unwrap();
        flags.bool("new", &ada).unwrap()
    };
    assert_eq!(value("eu"), Some(true));
    let nobody = json!({"$evaluators": {"is_ada": {"==": [1, 2]}}});
    world.commit(vec![flag("eu", "@set", &nobody)]).unwrap();
    assert_eq!((value("prod"), value("eu")), (Some(true), Some(false)));
    world
        .commit(vec![flag("eu", "new", &simple(json!(true)))])
        .unwrap();
    assert_eq!(value("eu"), Some(true));
    world
        .commit(vec![delete("eu", "new"), delete("eu", "@set")])
        .unwrap();
    assert_eq!(value("eu"), Some(true));
}

#[test]
fn what_could_not_be_evaluated_is_not_committed() {
    let world = world();
    let rule = by_rule(json!({"if": [{"$ref": "is_ada"}, "on"]}));
    let said = refused(&world, || vec![flag("prod", "web/new", &rule)]);
    assert!(
        said.contains("web/new in prod") && said.contains("/targeting/if/0"),
        "{said}"
    );
    let said = refused(&world, || {
        vec![flag("prod", "new", &by_rule(json!({"canary": [1]})))]
    });
    assert!(
        said.contains("there is no such operator") && !said.contains("canary"),
        "{said}"
    );
    let version = || by_rule(json!({"if": [{"sem_ver": [{"var": "v"}, "=>", "1"]}, "on"]}));
    assert!(refused(&world, || vec![flag("prod", "new", &version())]).contains("/targeting/if/0/sem_ver"));
    let set = || json!({"$evaluators": {"a": {"canary": 1}}});
    assert!(refused(&world, || vec![flag("prod", "@set", &set())]).contains("/$evaluators/0"));
    assert!(refused(&world, || vec![flag("prod", "@set", &simple(json!(1)))]).contains("unknown key"));
    assert!(refused(&world, || vec![flag("prod", "new", &is_ada())]).contains("`state`"));
    let bucketing = || json!({"metadata": {"bucketing": "v4"}});
    assert!(refused(&world, || vec![flag("prod", "@set", &bucketing())]).contains("bucketing"));
    // A set that flags need stays, also for those of a child.
    world
        .commit(vec![
            flag("prod", "web/@set", &is_ada()),
            flag("eu", "web/new", &rule),
        ])
        .unwrap();
    let said = refused(&world, || vec![delete("prod", "web/@set")]);
    assert!(said.contains("web/new in eu"), "{said}");
    // What is no flag hides an inherited set too.
    let hiding = || put("eu", "web/@set", Kind::Config, Format::Json, b"{}");
    let said = refused(&world, || vec![hiding()]);
    assert!(said.contains("web/new in eu"), "{said}");
    let less = || json!({"metadata": {"team": "web"}});
    assert!(refused(&world, || vec![flag("prod", "web/@set", &less())]).contains("web/new in eu"));
}

#[test]
fn compiled_flags_stay_while_nothing_of_them_changes() {
    let world = World::new();
    world
        .commit(vec![
            flag("prod", "a", &simple(json!(1))),
            flag("prod", "b", &simple(json!(1))),
        ])
        .unwrap();
    let before = world.vault.flags(&env("prod")).unwrap();
    let (a, b) = (before.get("a").unwrap(), before.get("b").unwrap());
    world.commit(vec![flag("prod", "b", &simple(json!(2)))]).unwrap();
    let after = world.vault.flags(&env("prod")).unwrap();
    assert!(
        std::ptr::eq(a, after.get("a").unwrap()),
        "the same flag is compiled once"
    );
    assert!(!std::ptr::eq(b, after.get("b").unwrap()));
    let none = Context::new();
    assert_eq!(
        (before.int("b", &none), after.int("b", &none)),
        (Ok(Some(1)), Ok(Some(2)))
    );
    assert!(after.revision() > before.revision());
    world
        .commit(vec![flag("prod", "@set", &json!({"metadata": {"team": "web"}}))])
        .unwrap();
    let set = world.vault.flags(&env("prod")).unwrap();
    assert_eq!(set.get("a").unwrap().metadata()["team"], "web");
}

#[test]
fn the_list_of_flags_is_one_while_no_flag_changes() {
    let world = world();
    let a = |value: u8| flag("prod", "a", &simple(json!(value)));
    world
        .commit(vec![a(1), flag("prod", "@set", &json!({}))])
        .unwrap();
    let entries = || Arc::clone(world.vault.flags(&env("eu")).unwrap().shared_entries());
    let before = entries();
    world.commit(vec![secret("eu", "token", b"x")]).unwrap();
    assert!(Arc::ptr_eq(&before, &entries()));
    world.commit(vec![a(2)]).unwrap();
    assert!(!before[0].is_as(&entries()[0]));
    let before = entries();
    let hides = put("eu", "@set", Kind::Config, Format::Json, b"{}");
    world.commit(vec![hides]).unwrap();
    assert!(!before[0].is_as(&entries()[0]), "its set is hidden");
}

#[test]
fn time_is_the_vaults() {
    let world = World::new();
    let later = by_rule(json!({"if": [{">": [{"var": "$flagd.timestamp"}, 1_000_000_000]}, "on"]}));
    world.commit(vec![flag("prod", "later", &later)]).unwrap();
    let flags = world.vault.flags(&env("prod")).unwrap();
    assert_eq!(flags.bool("later", &Context::new()), Ok(Some(true)));
}
