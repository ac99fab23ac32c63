//! Documents in the formats of delivery, read back by readers of those formats.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::process::Command;

use proptest::prelude::*;
use serde_json::{Value, json};
use strongroom_core::config::{DeliverError, Delivered, Key, by_key, deliver};

fn delivered(format: Delivered, document: &Value) -> String {
    let text = deliver(format, document).unwrap();
    text.expose(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
}

fn error(format: Delivered, document: &Value) -> DeliverError {
    deliver(format, document).unwrap_err()
}

fn key(text: &str) -> Key {
    text.parse().unwrap()
}

/// Texts of all kinds, with those that other readers take for something else.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        prop::sample::select(vec![
            "no",
            "1:30",
            "1e3",
            "null",
            "~",
            "- a",
            "a: b",
            "# c",
            "",
            " x ",
            "'",
            "\"",
            "$HOME",
            "`id`",
            "\\n",
            "a\nb",
            "\r\n",
            "\u{85}\u{2028}\u{feff}",
            "\u{7f}\u{0}",
            "é\u{1f600}",
            "%41",
            "<<",
            "=",
            "!tag",
            "&a",
        ])
        .prop_map(str::to_owned),
    ]
}

/// Texts without what needs two units in UTF-16.
fn in_one_unit() -> impl Strategy<Value = String> {
    text().prop_map(|text| text.replace(|letter| u32::from(letter) > 0xffff, "-"))
}

/// Any document; `has_null` for the formats that can say it.
fn document(has_null: bool) -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>()
            .prop_filter("JSON has finite numbers", |number| number.is_finite())
            .prop_map(Value::from),
        text().prop_map(Value::from),
        Just(if has_null { Value::Null } else { json!(1) }),
    ];
    let any = leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(text(), inner, 0..5).prop_map(|table| json!(table)),
        ]
    });
    prop::collection::btree_map(text(), any, 0..5).prop_map(|table| json!(table))
}

proptest! {
    #[test]
    fn json_is_read_back(document in document(true)) {
        let text = delivered(Delivered::Json, &document);
        prop_assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), document);
    }

    #[test]
    fn toml_is_read_back(document in document(false)) {
        let text = delivered(Delivered::Toml, &document);
        let read: Value = toml::from_str(&text).unwrap();
        prop_assert_eq!(read, document);
    }

    #[test]
    fn yaml_is_read_back(document in document(true)) {
        let text = delivered(Delivered::Yaml, &document);
        let options = serde_saphyr::options! { strict_booleans: true };
        let read: Value = serde_saphyr::from_str_with_options(&text, options).unwrap();
        prop_assert_eq!(read, document, "{}", text);
    }

    // this reader knows no pairs of \uXXXX, which Java reads: see the test below
    #[test]
    fn properties_are_read_back(texts in prop::collection::btree_map(in_one_unit(), in_one_unit(), 0..6)) {
        let text = delivered(Delivered::Properties, &json!(texts));
        prop_assert!(text.is_ascii());
        let read: BTreeMap<String, String> = java_properties::read(text.as_bytes()).unwrap().into_iter().collect();
        prop_assert_eq!(read, texts);
    }
}

#[test]
fn dotenv_is_understood_by_a_shell() {
    let values = [
        "plain",
        "",
        "two words",
        "$HOME `id` \\ # \"x\"",
        "it's",
        "it's $HOME `id` \"x\" \\n",
        "a=b",
        "é\u{1f600}",
        "~",
        "*",
        "\t",
    ];
    for value in values {
        let text = delivered(Delivered::Dotenv, &json!({ "pool": { "a-value": value } }));
        let shell = Command::new("sh")
            .args(["-c", "eval \"$1\"; printf %s \"$POOL_A_VALUE\"", "sh", &text])
            .env_clear()
            .output()
            .unwrap();
        assert!(shell.status.success(), "{text}");
        assert_eq!(String::from_utf8(shell.stdout).unwrap(), value, "{text}");
    }
}

#[test]
fn keys_become_names() {
    let document = json!({
        "name": "web", "debug": false, "pool": { "size": 20, "hosts": ["a", "b"], "max-age": 1.5, "none": {} }, "2fa": "x",
    });
    let expected =
        "NAME=web\nDEBUG=false\nPOOL_SIZE=20\nPOOL_HOSTS='[\"a\",\"b\"]'\nPOOL_MAX_AGE=1.5\n_2FA=x\n";
    assert_eq!(delivered(Delivered::Dotenv, &document), expected);
    let expected = "name=web\ndebug=false\npool.size=20\npool.hosts=[\"a\",\"b\"]\npool.max-age=1.5\n2fa=x\n";
    assert_eq!(delivered(Delivered::Properties, &document), expected);
    assert_eq!(
        delivered(Delivered::Properties, &json!({ "a": "é\u{1f600}" })),
        "a=\\u00e9\\ud83d\\ude00\n"
    );
    let texts: Vec<(String, String)> = by_key(&document)
        .unwrap()
        .iter()
        .map(|(key, text)| {
            let text = text.expose(|bytes| String::from_utf8(bytes.to_vec()).unwrap());
            (key.to_string(), text)
        })
        .collect();
    assert_eq!(texts[2], ("pool.size".to_owned(), "20".to_owned()));
    assert_eq!(texts.len(), 6);
}

#[test]
fn what_a_format_cannot_say_is_refused_by_key() {
    let null = json!({ "pool": { "size": null } });
    for format in [Delivered::Toml, Delivered::Dotenv, Delivered::Properties] {
        assert_eq!(error(format, &null), DeliverError::Null(key("pool.size")));
    }
    assert_eq!(by_key(&null).unwrap_err(), DeliverError::Null(key("pool.size")));
    for format in [Delivered::Toml, Delivered::Dotenv, Delivered::Properties] {
        assert_eq!(error(format, &json!(["canary"])), DeliverError::NotTable);
    }
    let names = json!({ "pool": { "size": "canary" }, "POOL_size": 2 });
    let expected = DeliverError::Collision(key("pool.size"), key("POOL_size"));
    assert_eq!(error(Delivered::Dotenv, &names), expected);
    assert!(!expected.to_string().contains("canary"));
    let names = json!({ "a": { "b": 1 }, "a.b": 2 });
    let expected = DeliverError::Collision(key("a.b"), key("'a.b'"));
    assert_eq!(error(Delivered::Properties, &names), expected);
    // whatever else is wrong with it
    let long = json!({ "a": { "b": "" }, "a.b": "x".repeat(1024 * 1024) });
    for format in [Delivered::Dotenv, Delivered::Properties] {
        assert!(
            matches!(error(format, &long), DeliverError::Collision(..)),
            "{format:?}"
        );
    }
    let number = json!({ "n": u64::MAX });
    assert_eq!(error(Delivered::Toml, &number), DeliverError::Number(key("n")));
    let nul = json!({ "n": "\0" });
    assert_eq!(error(Delivered::Dotenv, &nul), DeliverError::Nul(key("n")));
    let empty = json!({ "": 1 });
    assert_eq!(error(Delivered::Dotenv, &empty), DeliverError::Name(key("''")));
    let long = json!({ "n": "x".repeat(1024 * 1024) });
    for format in [
        Delivered::Toml,
        Delivered::Json,
        Delivered::Yaml,
        Delivered::Dotenv,
        Delivered::Properties,
    ] {
        assert_eq!(error(format, &long), DeliverError::TooLong, "{format:?}");
    }
}

#[test]
fn yaml_of_both_versions_reads_the_same() {
    let document = json!({
        "no": "no", "time": "1:30", "float": 1e300, "list": [[], {}, [1, { "a": null }]], "e": {}, "n": -0.5,
    });
    let expected = "\"no\": \"no\"\n\"time\": \"1:30\"\n\"float\": 1.0e+300\n\"list\":\n  - []\n  - {}\n  -\n    - 1\n    -\n      \"a\": null\n\"e\": {}\n\"n\": -0.5\n";
    assert_eq!(delivered(Delivered::Yaml, &document), expected);
    let long = json!({ "k".repeat(2000): [1] });
    let text = delivered(Delivered::Yaml, &long);
    assert_eq!(serde_saphyr::from_str::<Value>(&text).unwrap(), long);
}
