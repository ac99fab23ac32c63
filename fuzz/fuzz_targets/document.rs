//! Config documents and flag definitions, which any writer commits: nothing panics, a merge is
//! itself a document, and merging with oneself changes nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strongroom_core::config::{Format, check, merge};
use strongroom_core::flag::{Definition, default_text};

fuzz_target!(|bytes: &[u8]| {
    let (near, far) = bytes.split_at(bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len()));
    let far = far.get(1..).unwrap_or_default();
    for (near_format, far_format) in [
        (Format::Json, Format::Json),
        (Format::Toml, Format::Toml),
        (Format::Toml, Format::Json),
        (Format::Json, Format::Toml),
    ] {
        if let Ok(merged) = merge(&[(near_format, near), (far_format, far)]) {
            check(near_format, &merged).expect("a merge is a document");
            let twice = merge(&[(near_format, &merged), (near_format, &merged)]).expect("of two documents");
            let thrice = merge(&[(near_format, &twice), (near_format, &twice)]).expect("of two documents");
            assert_eq!(twice, thrice, "merging with itself changes it");
        }
    }
    if let Ok(flag) = Definition::parse(bytes) {
        assert_eq!(default_text(bytes).expect("a definition"), flag.default_text());
    }
});
