//! Merging config documents: what is merged keeps its meaning to the last digit.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use strongroom_core::config::{DocumentError, Format, check, merge, merge_values, read};

/// A document that holds `number` under `kept`, and one that holds something else.
fn document(format: Format, key: &str, value: &str) -> String {
    match format {
        Format::Toml => format!("{key} = {value}\n"),
        _ => format!("{{\"{key}\":{value}}}"),
    }
}

/// The float under `kept`, read by the standard library and not by the parser that is tested.
fn kept(format: Format, merged: &[u8]) -> f64 {
    let text = std::str::from_utf8(merged).unwrap();
    let (before, end) = match format {
        Format::Toml => ("kept = ", '\n'),
        _ => ("\"kept\":", ','),
    };
    let value = text.split_once(before).unwrap().1;
    value.split(end).next().unwrap().parse().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn merged_documents_keep_every_float(
        number in prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL | prop::num::f64::ZERO,
    ) {
        for near in [Format::Json, Format::Toml] {
            for far in [Format::Json, Format::Toml] {
                let other = document(near, "other", "true");
                let float = document(far, "kept", &format!("{number:?}"));
                let merged = merge(near, &[(near, other.as_bytes()), (far, float.as_bytes())]).unwrap();
                let found = kept(near, &merged);
                prop_assert_eq!(found.to_bits(), number.to_bits(), "{:?} over {:?}: {:?} became {:?}", near, far, number, found);
            }
        }
    }
}

/// A document as the rules see it: what the merge does is said once more here, key by key, from
/// what each layer says of it.
#[derive(Clone, Debug)]
enum Said {
    Leaf(i64),
    List(Vec<i64>),
    Unset,
    Secret(u8),
    Table(BTreeMap<String, Said>),
}

/// What is left of a key that `layers`, nearest first, say something of.
fn decided(layers: &[&Said]) -> Option<serde_json::Value> {
    match layers.first()? {
        Said::Leaf(number) => Some((*number).into()),
        Said::List(items) => Some(items.clone().into()),
        Said::Unset => None,
        Said::Secret(number) => Some(reference(*number)),
        Said::Table(_) => {
            // whoever says something else ends the tables that are merged
            let tables: Vec<_> = layers
                .iter()
                .map_while(|layer| match layer {
                    Said::Table(table) => Some(table),
                    _ => None,
                })
                .collect();
            let keys: BTreeSet<_> = tables.iter().flat_map(|table| table.keys()).collect();
            let of = |key: &String| {
                let layers: Vec<_> = tables.iter().filter_map(|table| table.get(key)).collect();
                decided(&layers)
            };
            let fields = keys.into_iter().filter_map(|key| Some((key.clone(), of(key)?)));
            Some(serde_json::Value::Object(fields.collect()))
        }
    }
}

fn said() -> impl Strategy<Value = Said> {
    let leaf = prop_oneof![
        (0..9_i64).prop_map(Said::Leaf),
        prop::collection::vec(0..9_i64, 0..3).prop_map(Said::List),
        Just(Said::Unset),
        (0..9_u8).prop_map(Said::Secret),
    ];
    let deeper = leaf.prop_recursive(4, 32, 4, |inner| {
        prop::collection::btree_map("[a-d]", inner, 0..4).prop_map(Said::Table)
    });
    prop::collection::btree_map("[a-d]", deeper, 0..4).prop_map(Said::Table)
}

fn reference(number: u8) -> serde_json::Value {
    serde_json::json!({"secret": format!("path/{number}")})
}

fn json(said: &Said) -> serde_json::Value {
    match said {
        Said::Leaf(number) => (*number).into(),
        Said::List(items) => items.clone().into(),
        Said::Unset => serde_json::json!({"strongroom": "unset"}),
        Said::Secret(number) => reference(*number),
        Said::Table(table) => table
            .iter()
            .map(|(key, said)| (key.clone(), json(said)))
            .collect(),
    }
}

fn written(format: Format, said: &Said) -> Vec<u8> {
    match format {
        Format::Toml => toml::to_string(&json(said)).unwrap().into_bytes(),
        _ => json(said).to_string().into_bytes(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_nearest_layer_that_says_something_decides(
        layers in prop::collection::vec((prop_oneof![Just(Format::Json), Just(Format::Toml)], said()), 1..5),
    ) {
        let bytes: Vec<_> = layers.iter().map(|(format, said)| (*format, written(*format, said))).collect();
        let documents: Vec<_> = bytes.iter().map(|(format, bytes)| (*format, bytes.as_slice())).collect();
        let expected = decided(&layers.iter().map(|(_, said)| said).collect::<Vec<_>>()).unwrap();
        let merged = merge(documents[0].0, &documents).unwrap();
        let read: serde_json::Value = read(documents[0].0, &merged).unwrap();
        prop_assert_eq!(&read, &expected);
        prop_assert_eq!(&merge_values(&documents).unwrap(), &expected);
        // what was merged unsets nothing any more
        let again = [(documents[0].0, merged.as_slice())];
        prop_assert_eq!(merge(again[0].0, &again).unwrap(), merged.clone());
    }
}

#[test]
fn what_is_reserved_is_refused_where_it_means_nothing() {
    let refused = |format, text: &str| check(format, text.as_bytes()).unwrap_err();
    assert_eq!(
        refused(Format::Toml, "a = { strongroom = 'unst' }"),
        DocumentError::Reserved
    );
    assert_eq!(
        refused(Format::Json, r#"{"strongroom":"unset"}"#),
        DocumentError::Unset
    );
    assert_eq!(
        refused(Format::Json, r#"[{"strongroom":"unset"}]"#),
        DocumentError::Unset
    );
    assert_eq!(
        refused(Format::Json, r#"{"a":[{"b":{"strongroom":"unset"}}]}"#),
        DocumentError::Unset
    );
    for ordinary in [
        "strongroom = { socket = 'x' }",
        "[strongroom.store]\nfile = 'x'",
        "a = { strongroom = 1 }",
        "a = { strongroom = 'unset', b = 1 }",
        "a = 'strongroom unset'",
    ] {
        check(Format::Toml, ordinary.as_bytes()).unwrap();
        let merged = merge(Format::Toml, &[(Format::Toml, ordinary.as_bytes())]).unwrap();
        assert_eq!(merged, ordinary.as_bytes());
    }
    // however it is spelled
    let spelled = "a = 1\n[b]\n\"strongroo\\u006d\" = \"unset\"\n";
    assert_eq!(
        merge(Format::Toml, &[(Format::Toml, spelled.as_bytes())]).unwrap(),
        b"a = 1\n"
    );
}
