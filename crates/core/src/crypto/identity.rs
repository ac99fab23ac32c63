//! Identities: owns the pair of keys a member has (age to open with, Ed25519 to sign with) and
//! their text forms. The file they are kept in is `identity_file`'s. It must not know roles.

use std::fmt::{self, Write};
use std::str::FromStr;

use age::secrecy::ExposeSecret;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bech32::primitives::decode::CheckedHrpstring;
use bech32::{Bech32, Hrp};
use zeroize::{Zeroizing, zeroize_stack};

use super::keyring::STACK;
use super::sign::{SigningKey, VerifyKey};
use crate::ambient::{Ambient, Entropy, EntropyError};
use crate::secret::Secret;

pub use super::identity_file::{IdentityError, is_passphrase_protected};

const AGE_KEY: Hrp = Hrp::parse_unchecked("age-secret-key-");
const SIGNING_KEY: Hrp = Hrp::parse_unchecked("strongroom-signing-key-");
/// Longest key line, and more than the longest text of [`Identity::to_text`], bytes. Buffers of
/// these sizes never grow, so no copy of a key is left behind.
const LINE: usize = 96;
const TEXT: usize = 1024;

/// Both private keys of a member.
pub struct Identity {
    age: Box<age::x25519::Identity>,
    signing: SigningKey,
    public: PublicIdentity,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity([redacted])")
    }
}

/// The text does not hold an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an identity is one AGE-SECRET-KEY-1 line and one STRONGROOM-SIGNING-KEY-1 line")]
pub struct IdentityTextError;

impl Identity {
    /// Two new random keys; draws 32 bytes of entropy for each, the age key first.
    ///
    /// # Errors
    /// [`EntropyError`].
    pub fn generate(ambient: &Ambient) -> Result<Self, EntropyError> {
        let (_, age) = new_age(ambient.entropy())?;
        Ok(Self::new(age, SigningKey::generate(ambient.entropy())?))
    }

    fn new(age: Box<age::x25519::Identity>, signing: SigningKey) -> Self {
        let public = PublicIdentity {
            recipient: age.to_public().to_string(),
            verify_key: signing.verify_key(),
        };
        Self { age, signing, public }
    }

    /// The public halves.
    #[must_use]
    pub fn public(&self) -> PublicIdentity {
        self.public.clone()
    }

    /// The key to sign with.
    #[must_use]
    pub fn signing_key(&self) -> &SigningKey {
        &self.signing
    }

    pub(super) fn age(&self) -> &age::x25519::Identity {
        &self.age
    }

    /// Reads the text of an identity file that is not sealed: lines that are empty, start with
    /// `#`, or hold one of the two keys, each exactly once.
    ///
    /// # Errors
    /// [`IdentityTextError`].
    pub fn from_text(text: &[u8]) -> Result<Self, IdentityTextError> {
        let keys = parse(text).ok_or(IdentityTextError);
        zeroize_stack::<STACK>();
        let (age, seed) = keys?;
        Ok(Self::new(age, SigningKey::from_seed(seed)))
    }

    /// The text of an identity file, with both private keys in clear.
    #[must_use]
    pub fn to_text(&self) -> Secret {
        let mut text = Zeroizing::new(String::with_capacity(TEXT));
        let age = self.age.to_string();
        text.push_str("# Strongroom identity: whoever has this text reads and signs as its member.\n");
        // into memory and of the right length: neither fails
        let _ = writeln!(text, "# public: {}", self.public);
        text.push_str(age.expose_secret());
        text.push('\n');
        let _ = encode(&mut text, SIGNING_KEY, self.signing.seed());
        text.push('\n');
        zeroize_stack::<STACK>();
        Secret::new(std::mem::take(&mut *text).into_bytes())
    }
}

/// A new age identity for others to use, and its recipient.
///
/// # Errors
/// [`EntropyError`].
#[cfg(feature = "generate")]
pub(crate) fn age_identity(entropy: &dyn Entropy) -> Result<(Secret, String), EntropyError> {
    let (mut text, age) = new_age(entropy)?;
    let recipient = age.to_public().to_string();
    zeroize_stack::<STACK>();
    // within the capacity: nothing is copied
    text.push('\n');
    Ok((Secret::new(std::mem::take(&mut *text).into_bytes()), recipient))
}

/// The text of a new age key, and the key.
fn new_age(entropy: &dyn Entropy) -> Result<(Zeroizing<String>, Box<age::x25519::Identity>), EntropyError> {
    let mut seed = Zeroizing::new([0; 32]);
    entropy.fill(seed.as_mut_slice())?;
    let mut text = Zeroizing::new(String::with_capacity(LINE));
    // age takes its key as text only; neither step fails for 32 bytes
    let age = encode(&mut text, AGE_KEY, seed.as_slice())
        .ok()
        .and_then(|()| parse_age(&text))
        .ok_or(EntropyError)?;
    zeroize_stack::<STACK>();
    Ok((text, age))
}

type Keys = (Box<age::x25519::Identity>, Box<Zeroizing<[u8; 32]>>);

#[inline(never)]
fn parse(text: &[u8]) -> Option<Keys> {
    let (mut age, mut signing) = (None, None);
    for line in std::str::from_utf8(text).ok()?.lines() {
        if line.starts_with("AGE-SECRET-KEY-1") && age.is_none() {
            age = Some(parse_age(line)?);
        } else if line.starts_with("STRONGROOM-SIGNING-KEY-1") && signing.is_none() {
            let mut seed = Box::new(Zeroizing::new([0; 32]));
            decode(line, SIGNING_KEY, &mut seed)?;
            signing = Some(seed);
        } else if !(line.is_empty() || line.starts_with('#')) {
            return None;
        }
    }
    Some((age?, signing?))
}

#[inline(never)]
fn parse_age(text: &str) -> Option<Box<age::x25519::Identity>> {
    text.parse().ok().map(Box::new)
}

fn encode(text: &mut String, hrp: Hrp, key: &[u8]) -> Result<(), bech32::EncodeError> {
    bech32::encode_upper_to_fmt::<Bech32, _>(text, hrp, key)
}

/// Decodes exactly 32 bytes of Bech32.
fn decode(text: &str, hrp: Hrp, out: &mut [u8; 32]) -> Option<()> {
    let checked = CheckedHrpstring::new::<Bech32>(text).ok()?;
    let bytes = checked.byte_iter();
    if checked.hrp() != hrp || bytes.len() != out.len() {
        return None;
    }
    out.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
    Some(())
}

/// Both public keys of a member, as one token: `age1...:BASE64URL`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PublicIdentity {
    /// The age X25519 recipient, `age1...`.
    pub recipient: String,
    /// The Ed25519 key.
    pub verify_key: VerifyKey,
}

/// The text is not a public identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a public identity is `age1...:KEY` as printed by `strongroom identity show`")]
pub struct PublicIdentityError;

impl fmt::Display for PublicIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = URL_SAFE_NO_PAD.encode(self.verify_key.0);
        write!(f, "{}:{key}", self.recipient)
    }
}

impl FromStr for PublicIdentity {
    type Err = PublicIdentityError;

    /// Accepts exactly what `Display` writes, and only keys that can be sealed to.
    fn from_str(text: &str) -> Result<Self, PublicIdentityError> {
        let (recipient, key) = text.split_once(':').ok_or(PublicIdentityError)?;
        age_recipient(recipient).ok_or(PublicIdentityError)?;
        let mut verify_key = [0; 32];
        match URL_SAFE_NO_PAD.decode_slice(key, &mut verify_key) {
            Ok(32) => Ok(Self {
                recipient: recipient.to_owned(),
                verify_key: VerifyKey(verify_key),
            }),
            _ => Err(PublicIdentityError),
        }
    }
}

/// The age recipient of a canonical text.
///
/// Points of low order are refused: a shared secret with one is zero, anyone could open what is
/// sealed to it, and age panics rather than seal.
pub(super) fn age_recipient(text: &str) -> Option<age::x25519::Recipient> {
    const AGE: Hrp = Hrp::parse_unchecked("age");
    let recipient: age::x25519::Recipient = text.parse().ok()?;
    let mut point = [0; 32];
    decode(text, AGE, &mut point)?;
    (recipient.to_string() == text && !is_low_order(point)).then_some(recipient)
}

/// True for the u-coordinates of Curve25519's points of low order, reduced or not (RFC 7748 has
/// the top bit ignored).
fn is_low_order(mut point: [u8; 32]) -> bool {
    const ORDER_8: [[u8; 32]; 2] = [
        [
            0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a,
            0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00,
        ],
        [
            0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b,
            0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57,
        ],
    ];
    if let Some(top) = point.last_mut() {
        *top &= 0x7f;
    }
    let (first, rest) = (point[0], &point[1..]);
    // 0 and 1; p - 1, p and p + 1 with p = 2^255 - 19
    let small = first <= 1 && rest.iter().all(|byte| *byte == 0);
    let about_p = matches!(first, 0xec..=0xee)
        && matches!(rest, [middle @ .., 0x7f] if middle.iter().all(|byte| *byte == 0xff));
    small || about_p || ORDER_8.contains(&point)
}
