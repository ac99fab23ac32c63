//! Schemas, which any writer commits, and documents that are checked by them: nothing panics, hangs or
//! needs more stack than there is, and what is told of a document is never a value of it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strongroom_core::config::{Format, Schema, layer};

fuzz_target!(|bytes: &[u8]| {
    let (schema, document) = bytes.split_at(bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len()));
    let Ok(schema) = Schema::parse(schema) else { return };
    if let Ok(document) = layer(Format::Json, document.get(1..).unwrap_or_default()) {
        for format in [Format::Json, Format::Toml] {
            assert!(schema.fill_and_check(format, &mut document.clone()).len() <= 100);
        }
    }
    let _ = schema.check(schema.document());
});
