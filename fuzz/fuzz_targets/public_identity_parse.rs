//! The token of a public identity: nothing panics, it has one form, and it can be sealed to.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use strongroom_core::ambient::Ambient;
use strongroom_core::crypto::identity::PublicIdentity;
use strongroom_core::crypto::keyring::wrap;
use strongroom_core::crypto::seal::Kek;

static KEK: LazyLock<Kek> = LazyLock::new(|| Kek::generate(Ambient::system().entropy()).expect("a key"));

fuzz_target!(|text: &str| {
    if let Ok(public) = text.parse::<PublicIdentity>() {
        assert_eq!(public.to_string(), text);
        assert!(wrap(&KEK, &[&public]).is_ok());
    }
});
