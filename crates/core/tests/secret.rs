//! What the types that hold secrets must not be able to do, and what they show.

use std::borrow::Borrow;
use std::fmt::Display;
use std::ops::Deref;

use proptest::prelude::*;
use static_assertions::assert_not_impl_any;
use strongroom_core::crypto::identity::Identity;
use strongroom_core::crypto::seal::Kek;
use strongroom_core::crypto::sign::SigningKey;
use strongroom_core::secret::Secret;

// Each of these would be a way for a secret to be copied, printed, compared in variable time or
// lent without `expose`: it must not compile.
assert_not_impl_any!(Secret: Clone, Display, serde::Serialize, PartialEq, Into<Vec<u8>>);
assert_not_impl_any!(Secret: AsRef<[u8]>, AsRef<str>, Borrow<[u8]>, Deref, IntoIterator, std::hash::Hash);
assert_not_impl_any!(Kek: Clone, Display, serde::Serialize, PartialEq, AsRef<[u8]>, Deref);
assert_not_impl_any!(SigningKey: Clone, Display, serde::Serialize, PartialEq, AsRef<[u8]>, Deref);
assert_not_impl_any!(Identity: Clone, Display, serde::Serialize, PartialEq, AsRef<[u8]>, Deref);

#[test]
fn debug_shows_nothing_in_any_form() {
    let secret = Secret::new(b"canary".to_vec());
    assert_eq!(format!("{secret:?}"), "Secret([redacted])");
    assert_eq!(
        format!("{:#?}", Some(&secret)),
        "Some(\n    Secret([redacted]),\n)"
    );
}

proptest! {
    #[test]
    fn comparison_is_equality_of_bytes(one: Vec<u8>, other: Vec<u8>) {
        let same = |a: &[u8], b: &[u8]| Secret::new(a.to_vec()).same_as(&Secret::new(b.to_vec()));
        prop_assert!(same(&one, &one));
        prop_assert_eq!(same(&one, &other), one == other);
        prop_assert!(!same(&one, &[&one[..], b"x"].concat()));
    }

    #[test]
    fn the_bytes_are_lent_as_they_are(bytes: Vec<u8>) {
        let secret = Secret::new(bytes.clone());
        prop_assert!(secret.expose(|lent| lent == bytes));
        prop_assert_eq!((secret.len(), secret.is_empty()), (bytes.len(), bytes.is_empty()));
    }
}
