//! Bytes, UUIDs and keys without a certificate: owns their encodings.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ssh_key::LineEnding;
use ssh_key::private::{Ed25519Keypair, Ed25519PrivateKey, KeypairData, PrivateKey};
use ssh_key::public::Ed25519PublicKey;
use zeroize::Zeroizing;

use super::{Encoding, GenerateError, Generated};
use crate::ambient::Entropy;
use crate::crypto::identity;
use crate::crypto::sign::SigningKey;
use crate::secret::Secret;

pub(super) fn bytes(
    entropy: &dyn Entropy,
    length: usize,
    encoding: Encoding,
) -> Result<Secret, GenerateError> {
    let mut bytes = Zeroizing::new(vec![0; length]);
    entropy.fill(&mut bytes)?;
    // Both encodings write no more than twice the length and what base64 pads: nothing grows.
    let mut text = Zeroizing::new(String::with_capacity(2 * length + 4));
    match encoding {
        Encoding::Raw => return Ok(Secret::new(std::mem::take(&mut *bytes))),
        Encoding::Hex => {
            let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
            for byte in &*bytes {
                text.push(digit(byte >> 4));
                text.push(digit(byte & 0xf));
            }
        }
        Encoding::Base64 => STANDARD.encode_string(&*bytes, &mut text),
        Encoding::Base64Url => URL_SAFE_NO_PAD.encode_string(&*bytes, &mut text),
    }
    Ok(Secret::new(std::mem::take(&mut *text).into_bytes()))
}

pub(super) fn uuid(entropy: &dyn Entropy) -> Result<Secret, GenerateError> {
    let mut bytes = Zeroizing::new([0; 16]);
    entropy.fill(bytes.as_mut_slice())?;
    let uuid = Zeroizing::new(uuid::Builder::from_random_bytes(*bytes).into_uuid().into_bytes());
    let mut text = vec![0; uuid::fmt::Hyphenated::LENGTH];
    uuid::Uuid::from_bytes_ref(&uuid)
        .as_hyphenated()
        .encode_lower(&mut text);
    Ok(Secret::new(text))
}

pub(super) fn ssh(entropy: &dyn Entropy, comment: &str) -> Result<Generated, GenerateError> {
    let failed = |_| GenerateError::Encoding { what: "SSH key" };
    let key = SigningKey::generate(entropy)?;
    let pair = Ed25519Keypair {
        public: Ed25519PublicKey(key.verify_key().0),
        private: Ed25519PrivateKey::from_bytes(key.seed()),
    };
    let private = PrivateKey::new(KeypairData::Ed25519(pair), comment).map_err(failed)?;
    let mut text = private.to_openssh(LineEnding::LF).map_err(failed)?;
    let public = private.public_key().to_openssh().map_err(failed)?;
    Ok(Generated {
        value: Secret::new(std::mem::take(&mut *text).into_bytes()),
        public: Some(public),
    })
}

pub(super) fn age(entropy: &dyn Entropy) -> Result<Generated, GenerateError> {
    let (value, recipient) = identity::age_identity(entropy)?;
    Ok(Generated {
        value,
        public: Some(recipient),
    })
}
