//! Config documents: owns their formats, parsing, changes by key and the merge of environment layers.
//! It must not know where a document comes from. Errors give a position, never content.

mod delivered;
mod differ;
mod edit;
mod error;
mod format;
mod key;
mod merge;
mod origin;
mod read;
mod reference;
mod schema;
mod unset;

pub use delivered::{DeliverError, Delivered, DeliveredError, MAX_DELIVERED, assign, by_key, deliver, text};
pub(crate) use delivered::{
    deliver_to, dotenv_value, is_yaml_block, properties_value, toml_value, yaml_value,
};
pub use differ::{Differs, differing};
pub use edit::{EditError, KeyEdit, Setting, edit};
pub use error::DocumentError;
pub use format::{Format, FormatError};
pub use key::{Key, KeyError};
pub(crate) use merge::merged_layers;
pub use merge::{delivered, layer, merge, merge_values};
pub use origin::{Origin, origins};
pub use read::{check, read};
pub(crate) use reference::{MAX_REFERENCES, MAX_SECRETS};
pub use reference::{Reference, references, references_in, resolve};
pub use schema::{Fault, Field, Schema, SchemaError, infer};

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn merged(layers: &[(Format, &str)]) -> String {
        let nearest = layers.first().unwrap().0;
        let layers: Vec<_> = layers
            .iter()
            .map(|(format, text)| (*format, text.as_bytes()))
            .collect();
        String::from_utf8(merge(nearest, &layers).unwrap()).unwrap()
    }

    #[test]
    fn one_layer_is_delivered_byte_for_byte() {
        let odd = "# kept\na   = 1\n";
        assert_eq!(merged(&[(Format::Toml, odd)]), odd);
    }

    #[test]
    fn tables_merge_and_the_nearest_wins() {
        let near = (Format::Toml, "[pool]\nsize = 2\n");
        let far = (Format::Json, r#"{"pool":{"size":1,"wait":3},"name":"x"}"#);
        let toml: toml::Table = toml::from_str(&merged(&[near, far])).unwrap();
        assert_eq!(toml, toml::from_str("name='x'\n[pool]\nsize=2\nwait=3").unwrap());
        let json: serde_json::Value = serde_json::from_str(&merged(&[far, near])).unwrap();
        assert_eq!(json, serde_json::json!({"pool":{"size":1,"wait":3},"name":"x"}));
    }

    #[test]
    fn arrays_and_text_replace() {
        let far = (Format::Json, r#"{"a":[1,2]}"#);
        assert_eq!(merged(&[(Format::Json, r#"{"a":[3]}"#), far]), r#"{"a":[3]}"#);
        assert_eq!(merged(&[(Format::Text, "plain"), far]), "plain");
        assert_eq!(
            merged(&[(Format::Json, "{\"b\":1 }"), (Format::Text, "x"), far]),
            "{\"b\":1 }"
        );
    }

    #[test]
    fn errors_have_a_position_and_no_content() {
        let error = check(Format::Toml, b"a = 1\nb = canary\n").unwrap_err();
        assert_eq!(
            error.to_string(),
            "the document is not valid toml at line 2, column 5"
        );
        let error =
            read::<std::collections::BTreeMap<String, u8>>(Format::Toml, b"a = 'canary'").unwrap_err();
        assert!(matches!(error, DocumentError::Shape { line: 1, .. }), "{error:?}");
        let error = read::<Vec<u8>>(Format::Json, br#"["canary"]"#).unwrap_err();
        assert!(!format!("{error:?}{error}").contains("canary"));
        let error = merge(
            Format::Toml,
            &[(Format::Toml, b"b=1"), (Format::Json, br#"{"a":null}"#)],
        )
        .unwrap_err();
        assert_eq!(error, DocumentError::Null);
    }
}
