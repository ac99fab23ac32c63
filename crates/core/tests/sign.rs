//! Signatures: RFC 8032's own vectors, and what does not verify.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::sync::Mutex;

use strongroom_core::ambient::{Ambient, Entropy, EntropyError};
use strongroom_core::crypto::sign::{BadSignature, SigningKey, VerifyKey};

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2)
        .map(|at| u8::from_str_radix(&hex[2 * at..][..2], 16).unwrap())
        .collect()
}

/// Gives these bytes as randomness, once.
struct Fixed(Mutex<Vec<u8>>);

impl Entropy for Fixed {
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyError> {
        out.copy_from_slice(&std::mem::take(&mut *self.0.lock().unwrap()));
        Ok(())
    }
}

#[test]
fn rfc_8032_section_7_1() {
    for (seed, public, message, signature) in [
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        ),
        (
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            "af82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
        ),
    ] {
        let key = SigningKey::generate(&Fixed(Mutex::new(bytes(seed)))).unwrap();
        assert_eq!(key.verify_key().0.to_vec(), bytes(public));
        assert_eq!(key.sign(&bytes(message)).to_vec(), bytes(signature));
        key.verify_key()
            .verify(&bytes(message), &bytes(signature))
            .unwrap();
    }
}

#[test]
fn any_changed_bit_of_message_signature_or_key_is_refused() {
    let key = SigningKey::generate(Ambient::system().entropy()).unwrap();
    let (public, message) = (key.verify_key(), *b"a commit");
    let signature = key.sign(&message);
    public.verify(&message, &signature).unwrap();
    for bit in 0..512 {
        let mut changed = signature;
        changed[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(
            public.verify(&message, &changed),
            Err(BadSignature),
            "signature bit {bit}"
        );
    }
    for bit in 0..256 {
        let mut changed = public;
        changed.0[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(
            changed.verify(&message, &signature),
            Err(BadSignature),
            "key bit {bit}"
        );
    }
    for bit in 0..64 {
        let mut changed = message;
        changed[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(
            public.verify(&changed, &signature),
            Err(BadSignature),
            "message bit {bit}"
        );
    }
    for length in [0, 1, 63] {
        assert!(public.verify(&message, &signature[..length]).is_err());
    }
    assert!(public.verify(&message, &[0; 64]).is_err());
    assert!(VerifyKey([0; 32]).verify(&message, &signature).is_err());
}

#[test]
fn no_key_without_randomness() {
    struct Failing;
    impl Entropy for Failing {
        fn fill(&self, _: &mut [u8]) -> Result<(), EntropyError> {
            Err(EntropyError)
        }
    }
    assert!(SigningKey::generate(&Failing).is_err());
}
