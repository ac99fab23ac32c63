//! A key file from untrusted storage: nothing panics.
#![no_main]

mod vectors;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use strongroom_core::crypto::identity::Identity;
use strongroom_core::crypto::keyring::unwrap;

static IDENTITY: LazyLock<Identity> = LazyLock::new(|| {
    let all = vectors::parse(include_str!("../../tests/vectors/key-file-v1.json"));
    let text = all["identities"][0]["text"].as_str().expect("a string");
    let identity = Identity::from_text(text.as_bytes()).expect("an identity");
    assert!(
        unwrap(&vectors::bytes(&all["file"]), &identity).is_ok(),
        "the seed opens"
    );
    identity
});

fuzz_target!(|file: &[u8]| {
    // a stranger who knows the recipient may plant a file that opens; the signed commit decides
    let _ = unwrap(file, &IDENTITY);
});
