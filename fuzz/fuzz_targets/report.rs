//! A report from untrusted storage, and what a member sealed in one: nothing panics, and both have one
//! encoding.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use strongroom_core::ambient::Ambient;
use strongroom_core::crypto::sign::{SIGNATURE, SigningKey};
use strongroom_core::uptake::{Consumer, decode};

static KEY: LazyLock<SigningKey> =
    LazyLock::new(|| SigningKey::generate(Ambient::system().entropy()).expect("a key"));

fuzz_target!(|bytes: &[u8]| {
    if let Ok((report, signature)) = decode(bytes) {
        let again = report.sign(&KEY);
        let (body, _) = again.split_at(again.len() - SIGNATURE);
        assert_eq!([body, &signature].concat(), bytes, "a second encoding was accepted");
    }
    if let Ok(consumer) = Consumer::decode(bytes) {
        assert_eq!(consumer.encode(), bytes, "a second encoding was accepted");
    }
});
