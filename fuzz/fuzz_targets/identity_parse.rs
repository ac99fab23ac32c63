//! The text of an identity file: nothing panics, and what is accepted is written back alike.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strongroom_core::crypto::identity::Identity;

fuzz_target!(|text: &[u8]| {
    if let Ok(identity) = Identity::from_text(text) {
        let written = identity.to_text();
        let read = written
            .expose(Identity::from_text)
            .expect("what was written reads");
        assert_eq!(read.public(), identity.public());
        assert!(read.to_text().same_as(&written));
    }
});
