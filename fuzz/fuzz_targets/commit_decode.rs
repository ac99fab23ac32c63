//! A commit from untrusted storage: nothing panics, and every commit has one encoding.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use strongroom_core::ambient::Ambient;
use strongroom_core::commit::{Checkpoint, decode, referenced_objects};
use strongroom_core::crypto::sign::{SIGNATURE, SigningKey};

static KEY: LazyLock<SigningKey> =
    LazyLock::new(|| SigningKey::generate(Ambient::system().entropy()).expect("a key"));

fuzz_target!(|bytes: &[u8]| {
    let decoded = decode(bytes);
    assert_eq!(decoded.is_ok(), referenced_objects(bytes).is_ok());
    if let Ok((commit, body, signature)) = decoded {
        assert_eq!([body, signature].concat(), bytes);
        let again = commit.sign(&KEY);
        assert_eq!(
            &again[..again.len() - SIGNATURE],
            body,
            "a second encoding was accepted"
        );
    }
    let _ = Checkpoint::decode(bytes);
});
