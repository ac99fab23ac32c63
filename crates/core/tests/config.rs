//! Merging config documents: what is merged keeps its meaning to the last digit.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use strongroom_core::config::{Format, merge};

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
                let merged = merge(&[(near, other.as_bytes()), (far, float.as_bytes())]).unwrap();
                let found = kept(near, &merged);
                prop_assert_eq!(found.to_bits(), number.to_bits(), "{:?} over {:?}: {:?} became {:?}", near, far, number, found);
            }
        }
    }
}
