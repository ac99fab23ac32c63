//! Documents by their keys: changes that keep everything else, and where each key comes from.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use proptest::prelude::*;
use serde_json::{Value, json};
use strongroom_core::config::{
    DocumentError, EditError, Format, Key, KeyEdit, Setting, edit, layer, merge_values, origins,
};

fn key(text: &str) -> Key {
    text.parse().unwrap()
}

fn set(at: &str, value: &str) -> KeyEdit {
    KeyEdit::Set(key(at), Setting::value(value))
}

fn edited(format: Format, text: &str, edits: &[KeyEdit]) -> Result<String, EditError> {
    edit(format, text.as_bytes(), edits).map(|bytes| String::from_utf8(bytes).unwrap())
}

#[test]
fn keys_are_those_of_toml() {
    for text in ["pool.size", "a", "\"a.b\".c", "a-b._1", "\"\""] {
        assert_eq!(key(text).to_string(), text);
    }
    assert_eq!(key("'x y'.z").names(), ["x y", "z"]);
    for bad in ["", ".", "a.", "a..b", "a b", "a=1", "[a]", "é", &"a.".repeat(80)] {
        assert!(bad.parse::<Key>().is_err(), "{bad}");
    }
}

#[test]
fn a_toml_document_keeps_comments_order_and_spelling() {
    let before = "\
# the service
name = 'web' # as others call it

[pool] # of connections
# most at once
size   = 10   # enough
wait = 0x03

[log]
level = \"info\"
";
    let after = edited(
        Format::Toml,
        before,
        &[
            set("pool.size", "20"),
            KeyEdit::Set(key("version"), Setting::text("1.10")),
            set("cache.redis.host", "localhost"),
            KeyEdit::Unset(key("pool.wait")),
            KeyEdit::Remove(key("log.level")),
        ],
    );
    let expected = "\
# the service
name = 'web' # as others call it
version = \"1.10\"

[pool] # of connections
# most at once
size   = 20   # enough
wait = { strongroom = \"unset\" }

[log]

[cache.redis]
host = \"localhost\"
";
    assert_eq!(after.unwrap(), expected);
}

#[test]
fn a_json_document_keeps_its_order() {
    let before = r#"{"z":1,"a":{"y":2,"b":3}}"#;
    let edits = [
        set("a.y", "[true]"),
        KeyEdit::Remove(key("z")),
        set("n", "null"),
        set("t", "plain text"),
    ];
    let after = edited(Format::Json, before, &edits).unwrap();
    let expected = "{\n  \"a\": {\n    \"y\": [\n      true\n    ],\n    \"b\": 3\n  },\n  \"n\": null,\n  \"t\": \"plain text\"\n}\n";
    assert_eq!(after, expected);
    assert_eq!(
        edited(Format::Json, "", &[set("a", "1")]).unwrap(),
        "{\n  \"a\": 1\n}\n"
    );
}

#[test]
fn what_cannot_be_done_is_refused_without_the_value() {
    let toml = |text: &str, edits: &[KeyEdit]| edited(Format::Toml, text, edits).unwrap_err();
    let error = toml("a = 1", &[set("a.b", "'canary'")]);
    assert_eq!(error, EditError::NoTable { key: key("a") });
    let unset = "a = { strongroom = 'unset' }";
    assert_eq!(
        toml(unset, &[set("a.b", "1")]),
        EditError::IsUnset { key: key("a") }
    );
    assert_eq!(
        toml("a = 1", &[KeyEdit::Remove(key("b.c"))]),
        EditError::NoKey { key: key("b.c") }
    );
    for bad in ["[canary", "{canary", "\"canary", "'canary"] {
        let error = toml("", &[set("a", bad)]);
        assert_eq!(error, EditError::Value { key: key("a") });
        assert!(!format!("{error}{:?}{error:?}", Setting::value(bad)).contains("canary"));
    }
    let reserved = toml("", &[set("a.strongroom", "'x'")]);
    assert_eq!(reserved, EditError::Document(DocumentError::Reserved));
    let text = edited(Format::Text, "", &[set("a", "1")]).unwrap_err();
    assert_eq!(text, EditError::Document(DocumentError::Unstructured));
    let list = edited(Format::Json, "[1]", &[set("a", "1")]).unwrap_err();
    assert!(matches!(list, EditError::NoTable { .. }), "{list:?}");
}

fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        "[ -~é\n]{0,6}".prop_map(Value::from),
        prop::collection::vec(0..9_i64, 0..3).prop_map(Value::from),
    ]
}

fn document() -> impl Strategy<Value = Value> {
    let value = leaf().prop_recursive(3, 16, 4, |inner| {
        prop::collection::btree_map("[a-c. ]{1,2}", inner, 0..4).prop_map(|map| json!(map))
    });
    prop::collection::btree_map("[a-c. ]{1,2}", value, 0..4).prop_map(|map| json!(map))
}

fn names() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec("[a-c. ]{1,2}", 1..4)
}

/// The same change of a value: what an edit has to come to.
fn put(document: &mut Value, names: &[String], value: Value) {
    let Some((first, rest)) = names.split_first() else {
        *document = value;
        return;
    };
    let fields = document.as_object_mut().unwrap();
    put(
        fields.entry(first.clone()).or_insert_with(|| json!({})),
        rest,
        value,
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_edit_changes_its_key_and_nothing_else(before in document(), names in names(), value in leaf()) {
        for format in [Format::Toml, Format::Json] {
            let (text, spelled) = match format {
                Format::Toml => (
                    toml::to_string(&before).unwrap(),
                    toml::Value::try_from(&value).unwrap().to_string(),
                ),
                _ => (before.to_string(), value.to_string()),
            };
            let key = Key::of(names.clone());
            let blocked = (1..names.len()).any(|depth| {
                let above = Key::of(names[..depth].to_vec());
                above.find(&before).is_some_and(|value| !value.is_object())
            });
            let done = edit(format, text.as_bytes(), &[KeyEdit::Set(key.clone(), Setting::value(spelled))]);
            if blocked {
                prop_assert!(matches!(done, Err(EditError::NoTable { .. })), "{done:?}");
                continue;
            }
            let done = done.unwrap();
            let mut expected = before.clone();
            put(&mut expected, &names, value.clone());
            prop_assert_eq!(&layer(format, &done).unwrap(), &expected);
            // and back: the key is gone
            let gone = edit(format, &done, &[KeyEdit::Remove(key.clone())]).unwrap();
            prop_assert!(key.find(&layer(format, &gone).unwrap()).is_none());
            // a key's own spelling leads back to it
            prop_assert_eq!(key.to_string().parse::<Key>().unwrap(), key);
        }
    }

    #[test]
    fn origins_have_every_value_of_the_merge_and_its_layer(layers in prop::collection::vec(document(), 1..4)) {
        let bytes: Vec<_> = layers.iter().map(|layer| layer.to_string().into_bytes()).collect();
        let documents: Vec<_> = bytes.iter().map(|bytes| (Format::Json, bytes.as_slice())).collect();
        let merged = merge_values(&documents).unwrap();
        let mut rebuilt = json!({});
        for origin in origins(&layers) {
            let value = origin.value.unwrap();
            prop_assert_eq!(origin.key.find(&layers[origin.layer]), Some(value));
            prop_assert!(layers[..origin.layer].iter().all(|nearer| origin.key.find(nearer).is_none()));
            put(&mut rebuilt, origin.key.names(), value.clone());
        }
        prop_assert_eq!(rebuilt, merged);
    }
}

#[test]
fn origins_tell_what_is_unset_and_what_changes_its_type() {
    let layers = [
        json!({"pool": {"size": 1, "wait": {"strongroom": "unset"}}, "log": "out"}),
        json!({"pool": {"size": "many", "wait": 3}, "log": {"level": 1}, "empty": {}}),
    ];
    let found: Vec<_> = origins(&layers)
        .into_iter()
        .map(|origin| {
            (
                origin.key.to_string(),
                origin.layer,
                origin.value.is_some(),
                origin.retyped,
            )
        })
        .collect();
    let expected = [
        ("pool.size", 0, true, Some(1)),
        ("pool.wait", 0, false, None),
        ("log", 0, true, Some(1)),
        ("empty", 1, true, None),
    ];
    assert_eq!(
        found,
        expected.map(|(key, layer, is_set, retyped)| (key.to_owned(), layer, is_set, retyped))
    );
}
