//! Config documents and flag definitions, which any writer commits: nothing panics, a merge is
//! itself a document, merging with oneself changes nothing, and what is set by its key stands there.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strongroom_core::config::{Format, Key, KeyEdit, Setting, check, edit, layer, merge, origins};
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
        if let Ok(merged) = merge(near_format, &[(near_format, near), (far_format, far)]) {
            check(near_format, &merged).expect("a merge is a document");
            let twice = merge(near_format, &[(near_format, &merged), (near_format, &merged)]).expect("of two documents");
            let thrice = merge(near_format, &[(near_format, &twice), (near_format, &twice)]).expect("of two documents");
            assert_eq!(twice, thrice, "merging with itself changes it");
        }
    }
    set(near, far);
    if let Ok(flag) = Definition::parse(bytes) {
        assert_eq!(default_text(bytes).expect("a definition"), flag.default_text());
    }
});

/// Sets `KEY=VALUE` in a document, as a command line has it, and takes it out again.
fn set(document: &[u8], setting: &[u8]) {
    let Some((key, value)) = std::str::from_utf8(setting).ok().and_then(|text| text.split_once('=')) else {
        return;
    };
    let Ok(key) = key.parse::<Key>() else { return };
    for format in [Format::Json, Format::Toml] {
        if let Ok(document) = layer(format, document) {
            let _ = origins(&[document.clone(), document]);
        }
        let put = KeyEdit::Set(key.clone(), Setting::value(value));
        let Ok(edited) = edit(format, document, &[put]) else { continue };
        let now = layer(format, &edited).expect("an edited document is a document");
        assert!(key.find(&now).is_some(), "the key is not there");
        let gone = edit(format, &edited, &[KeyEdit::Remove(key.clone())]).expect("it is there");
        let now = layer(format, &gone).expect("an edited document is a document");
        assert!(key.find(&now).is_none(), "the key is still there");
    }
}
