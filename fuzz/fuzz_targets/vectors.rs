//! The test vectors, for targets that start from something valid.

use serde_json::Value;

/// Parses a vector file that was included as text.
pub fn parse(text: &str) -> Value {
    serde_json::from_str(text).expect("a vector file")
}

/// The bytes of a hexadecimal string.
pub fn bytes(value: &Value) -> Vec<u8> {
    let hex = value.as_str().expect("a string");
    (0..hex.len() / 2)
        .map(|at| u8::from_str_radix(&hex[2 * at..][..2], 16).expect("hexadecimal"))
        .collect()
}
