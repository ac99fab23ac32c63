//! Documents and the schemas that govern them: what a commit is refused for, in the environment
//! itself and in those that inherit from it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod vault_kit;

use strongroom_core::config::Format;
use strongroom_core::snapshot::{Kind, Role, Unfit};
use strongroom_core::vault::{CommitError, Edit};
use vault_kit::*;

const SCHEMA: &str = r#"{
    "type": "object", "required": ["name"], "additionalProperties": false,
    "properties": {
        "name": {"type": "string"},
        "pool": {"type": "object", "properties": {"size": {"type": "integer", "maximum": 100}}}
    }
}"#;

fn config(environment: &str, text: &str) -> Edit {
    put(environment, "web", Kind::Config, Format::Toml, text.as_bytes())
}

fn schema(environment: &str, text: &str) -> Edit {
    put(
        environment,
        "schema/web",
        Kind::Schema,
        Format::Text,
        text.as_bytes(),
    )
}

/// `eu` inherits from `prod`.
fn world() -> World {
    let world = World::new();
    world.child("eu", "prod");
    world
}

/// What the commit is refused for; a plan of it is refused for the same.
fn unfit(world: &World, edits: impl Fn() -> Vec<Edit>) -> Vec<Unfit> {
    let before = world.vault.snapshot().revision();
    let planned = world.vault.plan(&change(edits())).unwrap_err().to_string();
    let refused = world.commit(edits()).unwrap_err();
    assert_eq!(refused.to_string(), planned);
    assert_eq!(world.vault.refresh().unwrap().revision(), before);
    match refused {
        CommitError::Unfit { unfit } => unfit,
        other => panic!("{other}"),
    }
}

fn told(unfit: &[Unfit]) -> Vec<String> {
    unfit.iter().map(ToString::to_string).collect()
}

#[test]
fn a_document_that_does_not_fit_is_refused_with_all_that_is_wrong() {
    let world = world();
    world.commit(vec![schema("prod", SCHEMA)]).unwrap();
    let bad = "naem = 'canary'\n[pool]\nsize = 'canary'\n";
    let found = unfit(&world, || vec![config("prod", bad)]);
    assert_eq!(
        told(&found),
        [
            "web in prod: `pool.size` must be a whole number: give it a value of that type",
            "web in prod: `naem` is not known to the schema: mind the spelling, take it out, or add it to the schema",
            "web in prod: `name` must be there: set it",
        ]
    );
    world
        .commit(vec![config("prod", "name = 'web'\n[pool]\nsize = 10\n")])
        .unwrap();
    // both at once are judged as they are together
    let stricter = SCHEMA.replace("100", "5");
    world
        .commit(vec![
            schema("prod", &stricter),
            config("prod", "name = 'web'\n[pool]\nsize = 5\n"),
        ])
        .unwrap();
}

#[test]
fn a_schema_that_breaks_what_is_live_is_refused_and_lists_it() {
    let world = world();
    world
        .commit(vec![config("prod", "name = 'web'\n[pool]\nsize = 50\n")])
        .unwrap();
    world.commit(vec![config("eu", "[pool]\nsize = 90\n")]).unwrap();
    let found = unfit(&world, || vec![schema("prod", &SCHEMA.replace("100", "40"))]);
    assert_eq!(
        told(&found),
        [
            "web in eu: `pool.size` must be at most 40: choose a value within the limit",
            "web in prod: `pool.size` must be at most 40: choose a value within the limit",
        ]
    );
    let found = unfit(&world, || vec![schema("prod", &SCHEMA.replace("100", "60"))]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].environment, env("eu"));
    world.commit(vec![schema("prod", SCHEMA)]).unwrap();
    // without a schema everything goes again
    world.commit(vec![delete("prod", "schema/web")]).unwrap();
    world.commit(vec![config("prod", "x = 1")]).unwrap();
}

#[test]
fn a_parent_does_not_break_its_children() {
    let world = world();
    world
        .commit(vec![schema("prod", SCHEMA), config("prod", "name = 'web'")])
        .unwrap();
    world
        .commit(vec![config("eu", "name = { strongroom = 'unset' }")])
        .unwrap_err();
    world.commit(vec![config("eu", "[pool]\nsize = 1\n")]).unwrap();
    // only of the child is something required that the parent loses
    world
        .commit(vec![schema("eu", r#"{"required": ["name", "pool"]}"#)])
        .unwrap();
    world.commit(vec![schema("prod", "{}")]).unwrap();
    let found = unfit(&world, || vec![config("prod", "other = 1")]);
    assert_eq!(told(&found), ["web in eu: `name` must be there: set it"]);
    // the layer that says so is named where it is another
    world
        .commit(vec![schema(
            "eu",
            r#"{"properties": {"name": {"type": "string"}}}"#,
        )])
        .unwrap();
    let found = unfit(&world, || vec![config("prod", "name = 1")]);
    assert_eq!(
        told(&found),
        ["web in eu: `name` must be a text (set in prod): give it a value of that type"]
    );
    // a parent's document that goes leaves the child without
    world
        .commit(vec![
            schema("eu", r#"{"required": ["name"]}"#),
            config("prod", "name = 'x'"),
        ])
        .unwrap();
    let found = unfit(&world, || vec![delete("prod", "web")]);
    assert_eq!(told(&found), ["web in eu: `name` must be there: set it"]);
}

#[test]
fn what_is_no_schema_is_not_put_and_text_has_no_keys() {
    let world = world();
    let refused = |edit: Edit, words: &str| {
        let error = world.commit(vec![edit]).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    };
    refused(schema("prod", "{"), "not valid json");
    refused(
        schema("prod", r#"{"$ref": "http://x/"}"#),
        "only parts of this schema",
    );
    refused(
        schema("prod", r##"{"$ref": "#"}"##),
        "refers to itself without end",
    );
    world.commit(vec![schema("prod", "{}")]).unwrap();
    let text = put("prod", "web", Kind::Config, Format::Text, b"plain");
    refused(text, "is text, and a schema governs it");
}

#[test]
fn a_writer_is_held_to_what_it_opens() {
    let world = world();
    world
        .commit(vec![schema("prod", SCHEMA), config("prod", "name = 'web'")])
        .unwrap();
    let bob = world.open(&world.member("bob", Role::Writer, &["eu"])).unwrap();
    // Neither the parent's document nor its schema is there for bob.
    bob.commit(&change(vec![config("eu", "unknown = 1")])).unwrap();
    // Whoever sees both is told; a sidecar does not serve it.
    let snapshot = world.vault.refresh().unwrap();
    let unfit = snapshot.unfit(&env("eu")).unwrap();
    assert_eq!(unfit.len(), 1, "{unfit:?}");
    assert_eq!(snapshot.governed(&env("eu")).unwrap(), [path("web")]);
    // what was so before is no reason to refuse something else
    world.put("eu", "other", b"1");
    let next = world.vault.snapshot();
    let changes = next.changes_since(&snapshot);
    assert_eq!(next.unfit_after(&env("eu"), &changes).unwrap(), []);
    assert_eq!(next.unfit(&env("prod")).unwrap(), []);
}

fn delivered(world: &World, environment: &str) -> String {
    String::from_utf8(world.get(environment, "web").unwrap()).unwrap()
}

#[test]
fn defaults_are_filled_in_where_documents_say_nothing() {
    let world = world();
    let defaults = r##"{
        "required": ["name", "pool"],
        "properties": {
            "name": {"type": "string", "default": "web"},
            "pool": {"default": {}, "properties": {"size": {"type": "integer", "default": 10}, "wait": {"default": 3}}},
            "self": {"$ref": "#"}, "none": {"default": null}, "list": {"items": {"properties": {"x": {"default": 1}}}}
        }
    }"##;
    world.commit(vec![schema("prod", defaults)]).unwrap();
    // required keys with defaults need not be there
    world
        .commit(vec![config("prod", "# kept\n[pool] # of it\nsize = 20\n")])
        .unwrap();
    assert_eq!(
        delivered(&world, "prod"),
        "name = \"web\"\n# kept\n[pool] # of it\nsize = 20\nwait = 3\n"
    );
    world
        .commit(vec![config("prod", "list = [{ y = 1 }]\n[self]\nname = 'me'\n")])
        .unwrap();
    let typed: serde_json::Value = world.vault.config(&env("prod"), &path("web")).unwrap();
    let expected = serde_json::json!({
        "list": [{"y": 1}], "name": "web", "pool": {"size": 10, "wait": 3},
        "self": {"name": "me", "pool": {"size": 10, "wait": 3}},
    });
    assert_eq!(typed, expected);
    // what a parent says is no gap, and what is unset is one
    world.commit(vec![config("eu", "[pool]\nwait = 4\n")]).unwrap();
    let typed: serde_json::Value = world.vault.config(&env("eu"), &path("web")).unwrap();
    assert_eq!(typed["pool"], serde_json::json!({"size": 10, "wait": 4}));
    world
        .commit(vec![
            config("prod", "[pool]\nsize = 1\n"),
            config("eu", "pool = { strongroom = 'unset' }\n"),
        ])
        .unwrap();
    let typed: serde_json::Value = world.vault.config(&env("eu"), &path("web")).unwrap();
    assert_eq!(typed["pool"], serde_json::json!({"size": 10, "wait": 3}));
    // json can say null
    let json = put("prod", "web", Kind::Config, Format::Json, b"{}");
    world.commit(vec![delete("eu", "web")]).unwrap();
    world.commit(vec![json]).unwrap();
    let typed: serde_json::Value = world.vault.config(&env("prod"), &path("web")).unwrap();
    assert_eq!(typed["none"], serde_json::Value::Null);
    assert!(typed.as_object().unwrap().contains_key("none"));
    // a default that does not fit is a fault like any other
    let found = unfit(&world, || {
        vec![schema(
            "prod",
            r#"{"properties": {"x": {"type": "string", "default": 1}}}"#,
        )]
    });
    assert_eq!(
        told(&found),
        ["web in prod: `x` must be a text: give it a value of that type"]
    );
    // one that has itself in it ends
    let endless =
        r##"{"properties": {"a": {"$ref": "#", "default": {}}, "b": {"$ref": "#", "default": {}}}}"##;
    world.commit(vec![schema("prod", endless)]).unwrap();
    assert!(delivered(&world, "prod").len() < 100_000);
}

#[test]
fn who_does_not_open_all_of_it_does_not_judge() {
    let world = world();
    // `eu` gets its size from `prod`, which a member of `eu` alone does not open.
    world
        .commit(vec![
            config("prod", "[pool]\nsize = 1"),
            config("eu", "name = \"web\""),
        ])
        .unwrap();
    let needs = r#"{"required": ["pool"], "properties": {"name": {"type": "string"}}}"#;
    world.commit(vec![schema("eu", needs)]).unwrap();
    let member = world.open(&world.member("eu", Role::Reader, &["eu"])).unwrap();
    let snapshot = member.snapshot();
    assert!(snapshot.read(&env("eu"), &path("web")).is_ok());
    assert_eq!(snapshot.unfit(&env("eu")).unwrap(), []);
    // Whoever opens both does.
    world.vault.refresh().unwrap();
    let refused = unfit(&world, || vec![delete("prod", "web")]);
    assert!(told(&refused)[0].contains("`pool` must be there"), "{refused:?}");
}

#[test]
fn what_cannot_be_merged_is_not_committed() {
    let world = world();
    world.commit(vec![schema("prod", "{}")]).unwrap();
    let null = put("prod", "web", Kind::Config, Format::Json, br#"{"a": null}"#);
    world.commit(vec![null]).unwrap();
    let refused = unfit(&world, || vec![config("eu", "b = 1")]);
    assert!(told(&refused)[0].contains("cannot be delivered"), "{refused:?}");
}
